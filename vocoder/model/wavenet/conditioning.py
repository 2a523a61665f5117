"""What the network knows beforehand: of the spectrogram once a frame, of a draft every step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from vocoder.errors import BadInput

# Frames that a convolution sees on either side.
SIDE_FRAMES = 1
# Of the convolutions over a draft: together 124 steps on either side, 22 ms of four bands, about
# half of a window of the spectrogram.
DRAFT_TAPS, DRAFT_DILATIONS = 9, (1, 5, 25)
UPSAMPLINGS = ("interpolation", "transposed")


class FrameNet(nn.Module):
    """A few residual convolutions over the frames; costs next to nothing, since frames are few.

    Parameters
    ----------
    bins, channels, blocks : int
        Rows of the spectrogram, width, and residual blocks.
    outputs : int
        Channels of what comes out: what the layers of the stack add to their gates.
    """

    def __init__(self, bins: int, channels: int, blocks: int, outputs: int) -> None:
        super().__init__()
        size = 2 * SIDE_FRAMES + 1
        self.context_frames = SIDE_FRAMES * (1 + blocks)
        self.first = nn.Conv1d(bins, channels, size, padding=SIDE_FRAMES)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, channels, size, padding=SIDE_FRAMES),
                nn.GELU(),
                nn.Conv1d(channels, channels, 1),
            )
            for _ in range(blocks)
        )
        self.last = weight_norm(nn.Linear(channels, outputs))

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, bins, frames)`` to ``(batch, frames, outputs)``."""
        hidden = self.first(features)
        for block in self.blocks:
            hidden = hidden + block(functional.gelu(hidden))
        projected: Tensor = self.last(functional.gelu(hidden).mT)
        return projected


class DraftNet(nn.Module):
    """A few dilated convolutions over the steps of a draft, which see what comes, too.

    Parameters
    ----------
    bands, outputs : int
        Of the draft, and channels of what comes out: what the stack's first layer is told.

    Attributes
    ----------
    reach_steps : int
        Steps on either side that a step depends on.
    """

    reach_steps = DRAFT_TAPS // 2 * sum(DRAFT_DILATIONS)

    def __init__(self, bands: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(inputs, outputs, DRAFT_TAPS, padding="same", dilation=dilation)
            for inputs, dilation in zip((bands, outputs, outputs), DRAFT_DILATIONS, strict=True)
        )
        self.last = nn.Conv1d(outputs, outputs, 1)

    def forward(self, draft: Tensor) -> Tensor:
        """``(batch, bands, steps)``, in units of levels, to ``(batch, steps, outputs)``."""
        first, *others = self.layers
        hidden = first(draft)
        for layer in others:
            hidden = hidden + layer(functional.gelu(hidden))
        told: Tensor = self.last(functional.gelu(hidden)).mT
        return told


class Upsampling(nn.Module):
    """From frames to steps: the weights of the two frames around each step.

    The same weights for all channels, so that they may come after every linear map of the frames:
    the network's projections are done once a frame instead of once a step.

    Parameters
    ----------
    kind : {"interpolation", "transposed"}
        Straight lines between frames, after the convolutions of `FrameNet`; or a transposed
        convolution of two frames' width, learned, that begins as straight lines.
    steps : int
        Of a frame.

    Raises
    ------
    BadInput
        No such kind.
    """

    def __init__(self, kind: str, steps: int) -> None:
        super().__init__()
        if kind not in UPSAMPLINGS:
            raise BadInput(f"model.upsampling is {kind!r}; expected one of {UPSAMPLINGS}")
        later = torch.arange(steps) / steps
        weights = torch.stack([1 - later, later])
        if kind == "transposed":
            self.weights: Tensor = nn.Parameter(weights)
        else:
            self.register_buffer("weights", weights, persistent=False)

    def forward(self, frames: Tensor, onto: Tensor) -> Tensor:
        """Add what frames say of their steps.

        Parameters
        ----------
        frames : Tensor
            ``(batch, frames + 1, channels)``.
        onto : Tensor
            ``(batch, frames * steps, channels)``.
        """
        # As a product of matrices it is one pass over the memory instead of three.
        around = torch.stack([frames[:, :-1], frames[:, 1:]], dim=2).flatten(0, 1)
        weights = self.weights.mT.expand(around.shape[0], -1, -1)
        of_frames = onto.reshape(around.shape[0], -1, onto.shape[2])
        return torch.baddbmm(of_frames, weights, around).view_as(onto)
