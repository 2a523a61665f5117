"""How loud a sound is, in the two numbers that a manifest keeps."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

# What digital silence is given: half a step of 16 bits.
TINY = 0.5 / 32768


class Levels(NamedTuple):
    """Greatest magnitude and root mean square, in dB relative to 1.0."""

    peak_dbfs: float
    rms_dbfs: float


def levels(samples: np.ndarray) -> Levels:
    """Levels of a sound, ``(samples,)``, floating point, full scale at 1; rounded to 0.01 dB."""
    wide = np.asarray(samples, dtype=np.float64)
    peak, rms = (
        (float(np.abs(wide).max()), float(np.sqrt(np.mean(wide**2)))) if wide.size else (0.0, 0.0)
    )
    return Levels(*(round(20 * math.log10(max(value, TINY)), 2) for value in (peak, rms)))
