"""What a network sees of a spectrogram: logarithms in a range that suits weights near one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vocoder.spec import SpectrogramSpec

# Below this a picture says nothing that is heard: 0 dB is a full-scale sine, and quantisation to
# 16 bits alone lies at about -98 dB.
FLOOR_DB = -90.0
# Centre and half width of what speech fills, so that features have about zero mean and unit
# variance (measured on the corpus of recipes/fillets: mean -62 dB, deviation 19 dB).
CENTRE_DB, SCALE_DB = -60.0, 20.0


def to_db(values: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Values in a spec's units to decibels relative to a full-scale sine, floored.

    Parameters
    ----------
    values : Tensor
        ``(batch, bins, frames)``, not negative.
    spec : SpectrogramSpec

    Returns
    -------
    Tensor
        Of the same shape, `FLOOR_DB` or more.
    """
    lowest = 10 ** (FLOOR_DB / 20 * spec.power)
    ratio = (values / spec.full_scale).clamp(min=lowest)
    return ratio.log10() * (20 / spec.power)


def from_db(decibels: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Inverse of `to_db`; the floor becomes zero, since a picture's black means silence."""
    values = torch.exp(decibels * (math.log(10) / 20 * spec.power)) * spec.full_scale
    return torch.where(decibels > FLOOR_DB, values, torch.zeros_like(values))


def features(values: Tensor, spec: SpectrogramSpec) -> Tensor:
    """The input of every model: ``(batch, bins, frames)`` values to normalised logarithms.

    A spec with ``compression=log`` keeps its natural logarithm above its floor as it is, which is
    what published vocoders were trained on; all others give decibels, centred and scaled.
    """
    if spec.compression == "log":
        return values.clamp(min=spec.floor).log()
    return (to_db(values, spec) - CENTRE_DB) / SCALE_DB
