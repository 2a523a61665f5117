"""Whether the voice has the same melody: fundamental frequency and voicing."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import soxr

from vocoder.evaluate.alignment import checked_pair
from vocoder.evaluate.metrics.optional import optional_package

PITCH_SAMPLE_RATE = 16_000
# Of speaking voices, children's and excited ones included; wider ranges invite octave errors.
FMIN_HZ, FMAX_HZ = 50.0, 600.0
# From which confidence on swift-f0 calls a frame voiced.
VOICED = 0.5
CENTS_PER_OCTAVE = 1200


def pitch_errors(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int
) -> tuple[float | None, float]:
    """Errors of fundamental frequency and voicing, found by swift-f0 every 16 ms.

    Returns
    -------
    f0_rmse_cents : float or None
        Root-mean-square difference in cents over frames that are voiced in both; ``None`` where
        there are none. An octave error counts as 1200 cents.
    voicing_error : float
        Share of all frames that are voiced in one of them only, 0 to 1.

    Raises
    ------
    BadInput
        Unequal lengths, silence, or swift-f0 is not installed.
    """
    reference, degraded = checked_pair(reference, degraded)
    true_hz, true_voiced = pitch_track(reference, sample_rate)
    hz, voiced = pitch_track(degraded, sample_rate)
    both = true_voiced & voiced
    error = float(np.mean(true_voiced != voiced))
    if not both.any():
        return None, error
    cents = CENTS_PER_OCTAVE * np.log2(hz[both] / true_hz[both])
    return float(np.sqrt(np.mean(cents**2))), error


def pitch_track(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Fundamental frequency in Hz and whether there is one, ``(frames,)`` each, every 16 ms.

    Parameters
    ----------
    samples : ndarray
        ``(samples,)``, -1 to 1.
    sample_rate : int

    Raises
    ------
    BadInput
        swift-f0 is not installed.
    """
    return _track(np.asarray(samples, np.float64).tobytes(), sample_rate)


@lru_cache(maxsize=4)  # several systems have the same reference
def _track(content: bytes, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    samples = np.frombuffer(content)
    if sample_rate != PITCH_SAMPLE_RATE:
        samples = soxr.resample(samples, sample_rate, PITCH_SAMPLE_RATE)
    found = _detector().detect(samples, PITCH_SAMPLE_RATE, FMIN_HZ, FMAX_HZ)
    return found.pitch_hz, found.confidence >= VOICED


@lru_cache(maxsize=1)
def _detector() -> Any:
    """One thread: several processes of many threads would wait for one another."""
    swift_f0 = optional_package("swift_f0", "F0", extra="evaluate")
    return swift_f0.SwiftF0(threads=1, spin=False)
