"""A post-filter that gives back the contrast that a regression loses."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import bin_centres_hz

# Bins that are averaged to tell ridges from what they stand on; 5 and 17 did worse.
NEIGHBOURS = 9
# Full strength from the second frequency on, none up to the first. The lowest harmonics are
# generated well, and raising the wrong one of them moves the pitch by an octave.
NONE_TO_HZ, FULL_FROM_HZ = 250.0, 1000.0


def postfilter(decibels: Tensor, strength: float, spec: SpectrogramSpec) -> Tensor:
    """Raise what stands out of its neighbours along frequency, and deepen the valleys.

    A network that is trained to err little gives the mean of what may be: its harmonics are
    flatter than true ones, and the valleys between them are filled with noise. Speech synthesis
    has the same trouble, and such filters against it (Toda and Tokuda, "A speech parameter
    generation algorithm considering global variance", IEICE Trans. 2007).

    Parameters
    ----------
    decibels : Tensor
        ``(batch, bins, frames)``.
    strength : float
        What is added of the difference from the neighbours' mean; 0 changes nothing.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    half = NEIGHBOURS // 2
    padded = functional.pad(decibels.mT, (half, half), mode="replicate")
    mean = functional.avg_pool1d(padded, NEIGHBOURS, stride=1).mT
    return decibels + strength * _rise(spec, decibels.device) * (decibels - mean)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _rise(spec: SpectrogramSpec, device: torch.device) -> Tensor:
    """How much of the strength each bin gets, ``(bins, 1)``."""
    hz = bin_centres_hz(spec)
    rise = (hz - NONE_TO_HZ) / (FULL_FROM_HZ - NONE_TO_HZ)
    return torch.from_numpy(rise).clamp(0, 1)[:, None].to(device, torch.float32)
