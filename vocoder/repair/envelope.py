"""The envelope of a spectrogram: its power, averaged over the width of one pitch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vocoder.repair.pitch import NO_VOICE, pitches_hz
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import bin_centres_hz

# What an envelope is averaged over where there is no pitch.
VOICELESS_WIDTH_HZ = 150.0


def envelope_db(decibels: Tensor, track: np.ndarray, spec: SpectrogramSpec) -> Tensor:
    """Average powers over one pitch's width around every bin.

    Parameters
    ----------
    decibels : Tensor
        ``(bins, frames)``.
    track : ndarray
        ``(frames,)``, from `vocoder.repair.pitch.pitch_track`.

    Returns
    -------
    Tensor
        ``(bins, frames)`` in dB.
    """
    power = 10 ** (decibels / 10)
    smooth = torch.empty_like(power)
    for pitch in np.unique(track):
        frames = torch.from_numpy(track == pitch)
        width_hz = VOICELESS_WIDTH_HZ if pitch == NO_VOICE else float(pitches_hz()[pitch])
        smooth[:, frames] = smoother(spec, width_hz) @ power[:, frames]
    return 10 * torch.log10(smooth + 1e-12)


@lru_cache(maxsize=512)
@torch.inference_mode(False)
def smoother(spec: SpectrogramSpec, width_hz: float) -> Tensor:
    """A mean over ``width_hz`` around each bin, ``(bins, bins)``: by how much of it bins cover."""
    centres = bin_centres_hz(spec)
    half = np.gradient(centres) / 2
    low = np.maximum(centres[:, None] - width_hz / 2, centres - half)
    high = np.minimum(centres[:, None] + width_hz / 2, centres + half)
    covered = (high - low).clip(min=0)
    covered /= np.maximum(covered.sum(axis=1, keepdims=True), 1e-9)
    return torch.from_numpy(covered).float()
