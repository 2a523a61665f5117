"""Fundamental frequency and voicing."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from vocoder.evaluate.alignment import checked_pair
from vocoder.evaluate.metrics.metric import LOWER, metric, optional_package

PITCH_SAMPLE_RATE = 16_000
# Of speaking voices, children's and excited ones included; wider ranges invite octave errors.
FMIN_HZ, FMAX_HZ = 50.0, 600.0
FRAME_S = 0.016  # swift-f0's
# From which confidence on swift-f0 calls a frame voiced.
VOICED = 0.5
CENTS_PER_OCTAVE = 1200


@metric(
    "f0",
    title="F0 RMSE",
    unit="cents",
    better=LOWER,
    digits=0,
    match_level=True,
    packages=("swift_f0",),
)
def f0_rmse_cents(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float | None:
    """Error of the fundamental frequency where both are voiced, every 16 ms by swift-f0.

    Root mean square; an octave error counts as 1200 cents. ``None`` where no frame is voiced in
    both.
    """
    true_hz, true_voiced, hz, voiced = _tracks(reference, degraded, sample_rate)
    both = true_voiced & voiced
    if not both.any():
        return None
    cents = CENTS_PER_OCTAVE * np.log2(hz[both] / true_hz[both])
    return float(np.sqrt(np.mean(cents**2)))


@metric(
    "voicing",
    title="voicing error",
    better=LOWER,
    digits=3,
    match_level=True,
    packages=("swift_f0",),
)
def voicing_error(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Share of frames that are voiced in one of the two only, 0 to 1."""
    _, true_voiced, _, voiced = _tracks(reference, degraded, sample_rate)
    return float(np.mean(true_voiced != voiced))


def _tracks(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int
) -> tuple[np.ndarray, ...]:
    reference, degraded = checked_pair(reference, degraded)
    return *pitch_track(reference, sample_rate), *pitch_track(degraded, sample_rate)


def pitch_track(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Fundamental frequency in Hz and whether there is one, ``(frames,)`` each, every 16 ms."""
    return _track(np.asarray(samples, np.float64).tobytes(), sample_rate)


@lru_cache(maxsize=4)  # both metrics, and several systems with the same reference
def _track(content: bytes, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    import soxr

    samples = np.frombuffer(content)
    if sample_rate != PITCH_SAMPLE_RATE:
        samples = soxr.resample(samples, sample_rate, PITCH_SAMPLE_RATE)
    found = _detector().detect(samples, PITCH_SAMPLE_RATE, FMIN_HZ, FMAX_HZ)
    return found.pitch_hz, found.confidence >= VOICED


@lru_cache(maxsize=1)
def _detector() -> Any:
    """One thread: several processes of many threads would wait for one another."""
    swift_f0 = optional_package("swift_f0", "F0")
    return swift_f0.SwiftF0(threads=1, spin=False)
