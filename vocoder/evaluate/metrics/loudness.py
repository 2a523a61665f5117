"""Loudness as ITU-R BS.1770 has it, and plain level."""

from __future__ import annotations

import math

import numpy as np

from vocoder.errors import BadInput
from vocoder.evaluate.alignment import checked
from vocoder.evaluate.metrics.metric import ZERO, metric, optional_package

# Blocks that BS.1770 gates by; a waveform must fill one.
BLOCK_S = 0.4


def loudness_lufs(samples: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness (ITU-R BS.1770-4, gated), in LUFS.

    A waveform shorter than the blocks of 400 ms that the recommendation gates by is taken as one
    block of its own length: the same weighting, but nothing to leave out. Below -70 LUFS, which
    BS.1770 calls silence, it raises.
    """
    pyloudnorm = optional_package("pyloudnorm", "loudness")
    samples = checked(samples, "the waveform")
    # pyloudnorm refuses a block that rounding makes longer than the waveform.
    block_s = min(BLOCK_S, math.nextafter(len(samples) / sample_rate, 0))
    meter = pyloudnorm.Meter(sample_rate, block_size=block_s)
    value = float(meter.integrated_loudness(samples))
    if not np.isfinite(value):
        raise BadInput(
            "the waveform is quieter than -70 LUFS, which BS.1770 calls silence", "audio.silent"
        )
    return value


@metric("loudness", title="loudness", unit="LU", better=ZERO, digits=1, packages=("pyloudnorm",))
def loudness_difference_lu(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Loudness (ITU-R BS.1770) above that of the reference."""
    return loudness_lufs(degraded, sample_rate) - loudness_lufs(reference, sample_rate)


# Not by default: loudness says it already.
@metric("level", title="level", unit="dB", better=ZERO, digits=1, default=False)
def level_difference_db(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int | None = None
) -> float:
    """Root-mean-square level above that of the reference."""
    reference = checked(reference, "the reference")
    degraded = checked(degraded, "the degraded waveform")
    return float(10 * np.log10(np.mean(degraded**2) / np.mean(reference**2)))
