"""How phases go on from bin to bin, by a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.decibels import to_decibels
from vocoder.errors import BadInput
from vocoder.inverter.differences import gradient_differences, log_above_floor
from vocoder.model.generator import require_sizes
from vocoder.model.weights import is_shipped, load_network, spec_of
from vocoder.repair.network import Residual
from vocoder.spec import SpectrogramSpec

DEPTH_DB = 87.0  # below the loudest bin, where phases are random anyway
CENTRE_DB, SCALE_DB = -40.0, 26.0
BEYOND = -DEPTH_DB / SCALE_DB  # the edge: darker than any bin
BLOCKS = (1, 2, 3)  # at each resolution on the way down, the finest first
MERGING_BLOCKS = (2, 1)  # and on the way up, likewise


class PhaseNet(nn.Module):
    """Corrects the phase differences that the gradient of the magnitudes gives; a U-Net.

    The gradient gives them exactly for a Gaussian window and an STFT without gaps (Prusa, Balazs,
    Sondergaard 2017). For Hann's window and a hop of a quarter of it they are off, most between
    harmonics and where a sound begins. What a network finds there has been used before: Masuyama,
    Yatabe, Koizumi, Oikawa, Harada, "Phase reconstruction based on recurrent phase unwrapping with
    deep neural networks", ICASSP 2020. Here it gives the mean of the unit vector of each
    difference relative to the gradient's, whose length says how certain it is.

    Parameters
    ----------
    spec : SpectrogramSpec
        Only its sample rate, window and hop count.
    channels : int
        At the finest resolution, of two by two bins and frames; twice and three times as many at
        the next ones.

    Attributes
    ----------
    spec : SpectrogramSpec
        Of all bins of that STFT.
    context_frames : int
        Frames on either side of its own that a difference depends on.
    """

    inputs: Sequence[str] = ("decibels",)
    outputs: Sequence[str] = ("corrections",)
    stride_frames: int = 2 ** len(BLOCKS)

    def __init__(self, spec: SpectrogramSpec, channels: int) -> None:
        super().__init__()
        require_sizes({"channels": channels})
        if spec.power != 1:
            raise BadInput(
                f"model=phases is for magnitudes, and the spec is {spec.describe()}; use one such "
                "as mel256, whose STFT may be the same",
                key="model.spec",
            )
        self.spec = replace(spec.without_bands(), nyquist=True)
        self.settings = {"channels": channels}
        blocks = [sum(one) for one in zip(BLOCKS, (*MERGING_BLOCKS, 0), strict=True)]
        # Each of a block's two convolutions reaches a cell further, those at the ends one of two
        # frames, and strides as far as a cell of the coarsest.
        inner = sum(2 * count * 2 ** (1 + level) for level, count in enumerate(blocks))
        self.context_frames: int = inner + 2 * 2 + self.stride_frames
        widths = [channels * factor for factor in (1, 2, 3)]
        self.enter = nn.Conv2d(8, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(_blocks(*one) for one in zip(widths, BLOCKS, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        finer = zip(widths[:-1], MERGING_BLOCKS, strict=True)
        self.merge = nn.ModuleList(_blocks(*one) for one in finer)
        self.leave = nn.Conv2d(widths[0], 16, 3, padding=1)
        for parameter in self.leave.parameters():  # the gradient's own at first
            nn.init.zeros_(parameter)

    def forward(self, decibels: Tensor) -> Tensor:
        """Correct the differences of an STFT.

        Parameters
        ----------
        decibels : Tensor
            ``(batch, n_freqs, frames)`` of all bins.

        Returns
        -------
        Tensor
            ``(batch, 4, n_freqs, frames)``: real and imaginary part of the correction of the
            difference to the next frame, then those of that to the next bin.
        """
        n_freqs, frames = decibels.shape[1:]
        depth = (decibels - decibels.amax((1, 2), keepdim=True)).clamp(min=-DEPTH_DB)
        missing = (0, -frames % self.stride_frames, 0, -n_freqs % self.stride_frames)
        x = functional.pad((depth - CENTRE_DB) / SCALE_DB, missing, value=BEYOND)
        # The bins are not alike: mel bands are wider than bins in the upper half.
        heights = torch.linspace(-1, 1, x.shape[1], device=x.device)[:, None].expand_as(x)
        planes = functional.pixel_unshuffle(torch.stack([x, heights], 1), 2)
        h = self.enter(planes.contiguous(memory_format=torch.channels_last))
        skips = []
        for block, down in zip(self.blocks[:-1], self.down, strict=True):
            skips.append(block(h))
            h = down(skips[-1])
        h = self.blocks[-1](h)
        for up, merge, skip in zip(
            reversed(self.up), reversed(self.merge), reversed(skips), strict=True
        ):
            h = merge(up(h) + skip)
        found = functional.pixel_shuffle(self.leave(h), 2)[:, :, :n_freqs, :frames].float()
        return found + found.new_tensor([1, 0, 1, 0])[:, None, None]

    @torch.inference_mode()
    def differences(self, magnitude: Tensor) -> Tensor:
        """The corrected differences.

        Parameters
        ----------
        magnitude : Tensor
            ``(1, n_freqs, frames)``.

        Returns
        -------
        Tensor
            Complex ``(2, n_freqs, frames)``: to the next frame and to the next bin, of a length
            from 0 to 1 that says how certain they are.
        """
        found = self(to_decibels(magnitude, self.spec))[0].unflatten(0, (2, 2))
        correction = torch.complex(found[:, 0], found[:, 1])
        length = correction.abs()
        correction = correction / length.clamp(min=1)
        log_magnitude = log_above_floor(magnitude[0].mT)
        angles = torch.stack(gradient_differences(log_magnitude, self.spec)).mT
        return correction * torch.polar(torch.ones_like(angles), angles)


def phase_network(weights: str, spec: SpectrogramSpec, device: torch.device) -> PhaseNet | None:
    """Load the network for an STFT; ``None`` where weights of the package are not meant for it."""
    own = spec_of(weights)
    if own.same_transform(spec):
        return load_network(weights, PhaseNet, own, device)
    if is_shipped(weights):
        return None
    raise BadInput(
        f"{weights} were trained for another STFT than the image's ({own.describe()}; and "
        f"{spec.describe()}); give weights for this one, or inverter.phases=null",
        key="spec.conflict",
    )


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[Residual(channels) for _ in range(count)])
