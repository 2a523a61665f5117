"""A small pix2pix: the shapes of Isola et al. 2017, as most programs build them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 8  # a 256 x 256 picture becomes one pixel
L1_WEIGHT = 100.0  # as in the paper, section 6.2


class Painter(nn.Module):
    """U-Net generator ``unet_256`` with dropout, which stays on when it paints (section 3.3).

    Parameters
    ----------
    width : int
        Channels of the first level; 64 in the paper.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(LEVELS)]
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, channels in enumerate(widths):
            above = 3 if level == 0 else widths[level - 1]
            self.down.append(nn.Conv2d(above, channels, 4, 2, 1))
            deepest = level == LEVELS - 1
            back = nn.ConvTranspose2d(channels * (1 if deepest else 2), above, 4, 2, 1)
            self.up.append(back)

    def forward(self, picture: Tensor) -> Tensor:
        """``(batch, 3, 256, 256)``, -1 to 1, to the same."""
        seen = []
        x = picture
        for level, layer in enumerate(self.down):
            x = layer(x if level == 0 else functional.leaky_relu(x, 0.2))
            if 0 < level < LEVELS - 1:
                x = _normed(x)
            seen.append(x)
        x = seen.pop()
        for level in range(LEVELS - 1, -1, -1):
            x = self.up[level](functional.relu(x))
            if level == 0:
                break
            x = _normed(x)
            if LEVELS - 4 <= level < LEVELS - 1:
                x = functional.dropout(x, 0.5, training=True)
            x = torch.cat([seen.pop(), x], dim=1)
        return torch.tanh(x)


class Judge(nn.Module):
    """PatchGAN discriminator of 70 x 70 pixels.

    Parameters
    ----------
    width : int
        Channels of the first layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [6, width, 2 * width, 4 * width, 8 * width]
        strides = [2, 2, 2, 1]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride, 1)
            for a, b, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )
        self.last = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    def forward(self, picture: Tensor, painted: Tensor) -> Tensor:
        """Logits of the patches of ``painted``, given what it was painted from."""
        x = torch.cat([picture, painted], dim=1)
        for level, layer in enumerate(self.layers):
            x = layer(x)
            x = functional.leaky_relu(_normed(x) if level else x, 0.2)
        logits: Tensor = self.last(x)
        return logits


def _normed(x: Tensor) -> Tensor:
    """Batch norm of a batch of one, with which pix2pix trains and paints."""
    return x if x.shape[2:] == (1, 1) else functional.instance_norm(x)


def initialise(network: nn.Module) -> None:
    """Weights from a Gaussian of deviation 0.02 (section 6.2)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
