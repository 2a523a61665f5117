"""A network that repairs images: degraded decibels in, what they should have been out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.model.features import CENTRE_DB, FLOOR_DB, SCALE_DB
from vocoder.model.generator import require_sizes
from vocoder.spec import SpectrogramSpec

LEVELS = 4  # resolutions, each half of the one before in bins and in frames


class RepairNet(nn.Module):
    """U-Net over the image with a full-band bottleneck; begins as the identity.

    A generated image is wrong locally (blur, checkerboard, speckle) and globally (a voice where
    there is none, harmonics that don't belong together). The convolutions of the U-Net
    (Ronneberger, Fischer, Brox 2015) see the first, and one block per frame over all bins at the
    coarsest resolution, with dilated convolutions along time, the second. The last layer is zero
    at first, so that an untrained net changes nothing. What is black stays black: a shade above it
    would be noise where there is none (on JPEGs, PESQ 3.28 instead of 3.72).

    Parameters
    ----------
    channels : int
        At the finest resolution; it grows with every coarser one.
    context : int
        Channels of the full-band bottleneck.
    context_blocks : int
        Dilated blocks in it, the dilation doubling from one.
    windows : sequence of int
        Window lengths of further analyses in the image, in samples, in the order of
        `vocoder.spectrogram.Spectrogram.others`. All are repaired together.

    Attributes
    ----------
    specs : tuple of SpectrogramSpec
        Of all analyses.
    context_frames : int
        Frames on either side of its own that a pixel depends on.
    stride_frames : int
        Pieces of an image that begin at a multiple of this are repaired as the whole is.
    """

    inputs: Sequence[str] = ("decibels",)
    outputs: Sequence[str] = ("repaired",)
    stride_frames: int = 2**LEVELS

    def __init__(
        self,
        spec: SpectrogramSpec,
        channels: int,
        context: int,
        context_blocks: int,
        windows: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if spec.bins % self.stride_frames:
            raise BadInput(
                f"the repair net needs a multiple of {self.stride_frames} bins, and this spec has "
                f"{spec.bins}; use one such as mel256",
                key="model.spec",
            )
        sizes = {"channels": channels, "context": context, "context_blocks": context_blocks}
        require_sizes({**sizes, **{f"windows[{k}]": length for k, length in enumerate(windows)}})
        if windows and (spec.kind != "mel" or not spec.center):
            raise BadInput(
                "model.windows needs centred mel bands, which are the same for all windows; the "
                f"spec is {spec.describe()}",
                key="model.windows.spec",
            )
        self.spec, self.settings = spec, {**sizes, "windows": list(windows)}
        self.specs = (spec, *(spec.with_window(length) for length in windows))
        pixels = 4 * len(self.specs)  # of two by two bins and frames
        # Convolutions reach a bin further each, of their level's size; strides as far as one cell.
        dilated = self.stride_frames * (2**context_blocks - 1)
        per_level = [2 * 6, 4 * 4, 8 * 4, 16 * 2]
        self.context_frames: int = sum(per_level) + dilated + self.stride_frames
        widths = [channels * factor for factor in (1, 2, 3, 4)]
        # The bins are not alike: a plane for each channel says which is which.
        self.bin_bias = nn.Parameter(torch.zeros(1, channels, spec.bins // 2, 1))
        self.enter = nn.Conv2d(pixels, channels, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.fine = nn.ModuleList(Residual(width) for width in widths)
        coarse_bins = spec.bins // self.stride_frames
        self.full_band = _FullBand(widths[-1] * coarse_bins, context, context_blocks)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.merge = nn.ModuleList(Residual(width) for width in widths[:-1])
        self.leave = nn.Conv2d(channels, pixels, 3, padding=1)
        _zero(self.leave)

    def forward(self, decibels: Tensor) -> Tensor:
        """Repair decibels ``(batch, bins, frames)``; what lies below the floor is raised to it.

        Of several analyses one below the other, `vocoder.spectrogram.Spectrogram.stacked`.
        """
        decibels = decibels.clamp(min=FLOOR_DB)
        frames = decibels.shape[2]
        padded = functional.pad(decibels, (0, -frames % self.stride_frames), value=FLOOR_DB)
        planes = torch.stack(padded.chunk(len(self.specs), dim=1), dim=1)
        x = functional.pixel_unshuffle((planes - CENTRE_DB) / SCALE_DB, 2)
        x = self.enter(x.contiguous(memory_format=torch.channels_last)) + self.bin_bias
        skips = []
        for fine, down in zip(self.fine[:-1], self.down, strict=True):
            x = fine(x)
            skips.append(x)
            x = down(x)
        x = self.full_band(self.fine[-1](x))
        for up, merge, skip in zip(
            reversed(self.up), reversed(self.merge), reversed(skips), strict=True
        ):
            x = merge(up(x) + skip)
        change = functional.pixel_shuffle(self.leave(x), 2).flatten(1, 2)[:, :, :frames]
        return torch.where(decibels > FLOOR_DB, decibels + change * SCALE_DB, decibels)

    def averaged(self, decibels: Tensor, n_shifts: int) -> Tensor:
        """Average repairs with the grid of the strides at several places.

        What depends on where the grid lies is the network's own, and no part of the image.

        Parameters
        ----------
        decibels : Tensor
            As for `forward`.
        n_shifts : int
            1 to `stride_frames`, evenly spread.
        """
        shifts = [self.stride_frames * k // n_shifts for k in range(n_shifts)]
        repairs = [
            self(functional.pad(decibels, (shift, 0), value=FLOOR_DB))[:, :, shift:]
            for shift in shifts
        ]
        return torch.stack(repairs).mean(0)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity; the second begins at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        _zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.second(functional.silu(self.first(functional.silu(x))))
        return changed


class _FullBand(nn.Module):
    """All bins of a frame in one vector, through dilated convolutions along time, and back."""

    def __init__(self, flat: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.gather = nn.Conv1d(flat, channels, 1)
        self.blocks = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, padding=2**k, dilation=2**k) for k in range(blocks)
        )
        self.spread = nn.Conv1d(channels, flat, 1)
        _zero(self.spread)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, bins, frames = x.shape
        y = self.gather(x.reshape(batch, channels * bins, frames))
        for block in self.blocks:
            y = y + block(functional.silu(y))
        spread: Tensor = self.spread(functional.silu(y))
        return x + spread.view(batch, channels, bins, frames)


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
