"""A network that reads pitch and voicing from an image, however broken its harmonics are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.model.features import CENTRE_DB, FLOOR_DB, SCALE_DB
from vocoder.model.generator import require_sizes
from vocoder.repair.pitch import pitch_strengths, pitches_hz
from vocoder.spec import SpectrogramSpec

BINS_POOLED = 4  # to one, for the network to see the envelope
STRENGTH_SCALE = 4.0  # brings pitch strengths to about unit variance
MAX_DILATION_LOG2 = 4


class PitchNet(nn.Module):
    """Dilated convolutions along time, over what every pitch explains and over the envelope.

    Harmonics alone (`pitch_strengths`) don't tell the voicing of noisy recordings, nor the pitch
    where a generator has blurred them away. What the envelope says of both is learnt here.

    Parameters
    ----------
    channels, blocks : int
        Of the residual convolutions, the dilation doubling from one to eight and again from one.
    dropout : float
        0 to 1.

    Attributes
    ----------
    context_frames : int
        Frames on either side of its own that a result depends on.
    """

    inputs: Sequence[str] = ("decibels", "repaired")
    outputs: Sequence[str] = ("log_probabilities",)
    stride_frames: int = 1

    def __init__(self, spec: SpectrogramSpec, channels: int, blocks: int, dropout: float) -> None:
        super().__init__()
        if spec.bins % BINS_POOLED:
            raise BadInput(
                f"the pitch net needs a multiple of {BINS_POOLED} bins, and this spec has "
                f"{spec.bins}; use one such as mel256",
                key="model.spec",
            )
        self.spec = spec
        sizes = {"channels": channels, "blocks": blocks}
        require_sizes(sizes)
        self.settings = {**sizes, "dropout": dropout}
        dilations = [2 ** (block % MAX_DILATION_LOG2) for block in range(blocks)]
        self.context_frames: int = sum(dilations)
        n_pitches = len(pitches_hz())
        self.enter = nn.Conv1d(2 * (n_pitches + spec.bins // BINS_POOLED), channels, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation),
                nn.Dropout(dropout),
            )
            for dilation in dilations
        )
        self.leave = nn.Conv1d(channels, n_pitches + 1, 1)

    def forward(self, decibels: Tensor, repaired: Tensor) -> Tensor:
        """How probable every pitch is, and last that there is none.

        Parameters
        ----------
        decibels, repaired : Tensor
            ``(batch, bins, frames)``, as an image shows them and as a
            `vocoder.repair.network.RepairNet` makes them.

        Returns
        -------
        Tensor
            ``(batch, pitches + 1, frames)``, natural logarithms.
        """
        images = [image.clamp(min=FLOOR_DB) for image in (decibels, repaired)]
        strengths = [STRENGTH_SCALE * pitch_strengths(image, self.spec) for image in images]
        bands = [
            functional.avg_pool2d((image[:, None] - CENTRE_DB) / SCALE_DB, (BINS_POOLED, 1))[:, 0]
            for image in images
        ]
        x = self.enter(torch.cat([*strengths, *bands], dim=1))
        for block in self.blocks:
            x = x + block(x)
        scores: Tensor = self.leave(functional.silu(x))
        return scores.log_softmax(1)
