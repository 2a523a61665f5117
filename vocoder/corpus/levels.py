"""How loud an utterance is, in the two numbers that a manifest keeps."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

TINY = 0.5 / 32768  # what digital silence is given: half a step of 16 bits


class Levels(NamedTuple):
    """Greatest magnitude and root mean square, in dB relative to 1.0."""

    peak_dbfs: float
    rms_dbfs: float


def levels(samples: np.ndarray) -> Levels:
    """Measure ``(samples,)``, floating point, full scale at 1; rounded to 0.01 dB.

    >>> levels(np.array([0.5, -0.5]))
    Levels(peak_dbfs=-6.02, rms_dbfs=-6.02)
    """
    wide = np.asarray(samples, dtype=np.float64)
    peak, rms = (
        (float(np.abs(wide).max()), float(np.sqrt(np.mean(wide**2)))) if wide.size else (0.0, 0.0)
    )
    return Levels(*(round(20 * math.log10(max(value, TINY)), 2) for value in (peak, rms)))
