"""What a network sees of a spectrogram: numbers in a range that suits weights near one."""

from __future__ import annotations

import math

from torch import Tensor

from vocoder.spec import SpectrogramSpec

# Below this an image says nothing that is heard: 0 dB is a full-scale sine, and quantisation to
# 16 bits alone lies at about -98 dB.
FLOOR_DB = -90.0
# Centre and half width of what speech fills, so that features have about zero mean and unit
# variance (measured on the corpus of recipes/fillets: mean -62 dB, deviation 19 dB).
CENTRE_DB, SCALE_DB = -60.0, 20.0


def features(decibels: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Normalise decibels ``(batch, bins, frames)`` to the input of a vocoder.

    A spec with ``compression=log`` gets its natural logarithm above its floor, which is what
    published vocoders were trained on; all others decibels, floored, centred and scaled.
    """
    if spec.compression == "log":
        logarithm = decibels * (spec.power * math.log(10) / 20) + math.log(spec.full_scale)
        return logarithm.clamp(min=math.log(spec.floor))
    return (decibels.clamp(min=FLOOR_DB) - CENTRE_DB) / SCALE_DB
