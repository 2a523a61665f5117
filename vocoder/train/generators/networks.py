"""Small image-to-image networks as most programs build them (Isola et al. 2017, Zhu et al. 2017).

All take and give images ``(batch, channels, height, width)`` from -1 to 1. Normalisation is that of
batches of one, and dropout stays on when they generate, as in pix2pix.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """Half of the values, always."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.5, training=True)


class Norm(nn.Module):
    """Instance norm, where there is more than a pixel."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.shape[2] * x.shape[3] == 1 else functional.instance_norm(x)


class Level(nn.Module):
    """A level of a U-Net, around all coarser ones, beside the identity."""

    def __init__(self, outer: int, inner: int, coarser: nn.Module | None, dropout: bool) -> None:
        super().__init__()
        wide = inner if coarser is None else 2 * inner
        self.inside = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Conv2d(outer, inner, 4, 2, 1),
            Norm(),
            coarser or nn.Identity(),
            nn.ReLU(),
            nn.ConvTranspose2d(wide, outer, 4, 2, 1),
            Norm(),
            Dropout() if dropout else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.inside(x)], dim=1)


def unet(width: int, levels: int, *, dropout: bool, channels: int = 1) -> nn.Module:
    """Encoder-decoder with skips, halving ``levels`` times (Isola et al., section 6.1.1)."""
    widths = [width * min(2**level, 8) for level in range(levels)]
    level = Level(widths[-2], widths[-1], None, dropout)
    for k in reversed(range(levels - 2)):
        level = Level(widths[k], widths[k + 1], level, dropout and k >= levels - 4)
    last = nn.ConvTranspose2d(2 * width, channels, 4, 2, 1)
    first = nn.Conv2d(channels, width, 4, 2, 1)
    return nn.Sequential(first, level, nn.ReLU(), last, nn.Tanh())


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int, dropout: bool) -> None:
        super().__init__()
        middle = [Dropout()] if dropout else []
        parts = (_convolution(width, width), nn.ReLU(), *middle, _convolution(width, width))
        self.inside = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.inside(x)
        return changed


def resnet(width: int, blocks: int, *, dropout: bool, channels: int = 1) -> nn.Module:
    """Residual blocks between two halvings and two doublings (Zhu et al., section 7.2)."""
    layers: list[nn.Module] = [_convolution(channels, width, 7), nn.ReLU()]
    for k in (1, 2):
        layers += [_convolution(k * width, 2 * k * width, stride=2), nn.ReLU()]
    layers += [Residual(4 * width, dropout) for _ in range(blocks)]
    for k in (2, 1):
        up = nn.ConvTranspose2d(2 * k * width, k * width, 3, 2, 1, output_padding=1)
        layers += [up, Norm(), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, channels, 7, padding=3), nn.Tanh())


def discriminator(width: int, channels: int) -> nn.Module:
    """PatchGAN (Isola et al., section 6.1.2): stacked images to logits of patches."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for k in (1, 2):
        layers += [nn.Conv2d(k * width, 2 * k * width, 4, 2, 1), Norm(), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 4, 1, 1))


def initialise(network: nn.Module) -> None:
    """Weights from a Gaussian of deviation 0.02 (Isola et al., section 6.2)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)


def _convolution(inner: int, outer: int, size: int = 3, stride: int = 1) -> nn.Module:
    padding = size // 2
    return nn.Sequential(nn.Conv2d(inner, outer, size, stride, padding), Norm())
