"""Decibels of a full-scale sine, the unit of every spectrogram up to the inverter's door.

0 dB is the value that a sine of amplitude 1 reaches at most (`SpectrogramSpec.full_scale`). The
networks, the codecs, gains and cross-fades all work in decibels; phase retrieval alone wants linear
values, and asks for them here.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vocoder.spec import SpectrogramSpec

# Digital silence, which has no decibels of its own: far below what 24 bits hold (-144 dB), and
# still far above the smallest float32 when squared. Here and below, linear values are exactly 0.
SILENCE_DB = -200.0


def to_decibels(linear: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Convert magnitudes or powers, as ``spec`` says, to decibels.

    Parameters
    ----------
    linear : Tensor
        ``(batch, bins, frames)`` or any other shape, not negative.

    Returns
    -------
    Tensor
        Of the same shape, `SILENCE_DB` or more.
    """
    lowest = 10 ** (SILENCE_DB / 20 * spec.power)
    return (linear / spec.full_scale).clamp(min=lowest).log10() * (20 / spec.power)


def to_linear(decibels: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Convert decibels to magnitudes or powers, as ``spec`` says; silence becomes exactly 0."""
    linear = torch.exp(decibels * (math.log(10) / 20 * spec.power)) * spec.full_scale
    return torch.where(decibels > SILENCE_DB, linear, torch.zeros_like(linear))


def amplify(decibels: np.ndarray, gain_db: float) -> np.ndarray:
    """Add a gain, float32; silence stays silent."""
    louder = decibels + np.float32(gain_db)
    return np.asarray(np.where(decibels > SILENCE_DB, louder, SILENCE_DB), np.float32)
