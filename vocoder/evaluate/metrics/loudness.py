"""Loudness as ITU-R BS.1770 has it."""

from __future__ import annotations

import math

import numpy as np

from vocoder.errors import BadInput
from vocoder.evaluate.alignment import checked
from vocoder.evaluate.metrics.optional import optional_package

# Blocks that BS.1770 gates by; a sound must fill one.
BLOCK_S = 0.4


def loudness_lufs(samples: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness (ITU-R BS.1770-4, gated), in LUFS.

    A sound shorter than the blocks of 400 ms that the recommendation gates by is taken as one
    block of its own length: the same weighting, but nothing to leave out.

    Raises
    ------
    BadInput
        Below -70 LUFS, which BS.1770 calls silence; or pyloudnorm is not installed.
    """
    pyloudnorm = optional_package("pyloudnorm", "loudness", extra="evaluate")
    samples = checked(samples, "the sound")
    # pyloudnorm refuses a block that rounding makes longer than the sound.
    block_s = min(BLOCK_S, math.nextafter(len(samples) / sample_rate, 0))
    meter = pyloudnorm.Meter(sample_rate, block_size=block_s)
    value = float(meter.integrated_loudness(samples))
    if not np.isfinite(value):
        raise BadInput("the sound is quieter than -70 LUFS, which BS.1770 takes for silence")
    return value


def loudness_difference_lu(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """How much louder ``degraded`` is than ``reference``, in loudness units (dB).

    Raises
    ------
    BadInput
        As `loudness_lufs` does.
    """
    return loudness_lufs(degraded, sample_rate) - loudness_lufs(reference, sample_rate)
