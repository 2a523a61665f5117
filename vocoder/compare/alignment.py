"""Bringing two sounds to the same time, polarity and length before they are compared."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from vocoder.errors import BadInput

MAX_DELAY_S = 0.05
# Waveforms with a smaller correlation than this are not taken to be one sound with one delay.
SAME_WAVEFORM = 0.7


def align(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut two sounds to where they overlap, the second shifted and turned over to fit the first.

    Parameters
    ----------
    reference, degraded : ndarray
        ``(samples,)``; the lengths may differ.
    sample_rate : int
        In Hz.

    Returns
    -------
    reference, degraded : ndarray
        float64, of equal length. See `find_delay`.

    Raises
    ------
    BadInput
        One is empty, silent, not finite or not one-dimensional, or too little overlaps.
    """
    delay_samples, sign = find_delay(reference, degraded, sample_rate)
    whole = round(delay_samples)
    degraded = sign * _advance(np.asarray(degraded, np.float64), delay_samples - whole)
    reference = np.asarray(reference, np.float64)
    reference, degraded = reference[max(0, -whole) :], degraded[max(0, whole) :]
    length = min(len(reference), len(degraded))
    return reference[:length], degraded[:length]


def find_delay(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> tuple[float, int]:
    """Delay of ``degraded``, and -1 where its polarity is turned over (else 1).

    Phase retrieval keeps the spectrogram and not the waveform, whose cross-correlation then peaks
    whole pitch periods away. So the delay is found where the cross-correlation of the log
    spectrograms peaks; only where the waveforms agree too does theirs, within a millisecond of
    that, give the delay to a fraction of a sample and the polarity.

    Returns
    -------
    delay_samples : float
        Within 50 ms; above 0 where ``degraded`` is late.
    sign : int

    Raises
    ------
    BadInput
        As `align` does.
    """
    reference = checked(reference, "the reference")
    degraded = checked(degraded, "the sound to compare")
    step = max(1, round(sample_rate / 1000))
    coarse = step * _frame_delay(
        _log_spectrogram(reference, step), _log_spectrogram(degraded, step), step, sample_rate
    )
    n = 1 << (len(reference) + len(degraded) - 1).bit_length()
    cross = np.fft.rfft(degraded, n) * np.conj(np.fft.rfft(reference, n))
    correlation = np.fft.irfft(cross, n)
    lags = round(coarse) + np.arange(-step, step + 1)
    peak = int(lags[np.argmax(np.abs(correlation[lags]))])
    strength = correlation[peak] / (np.linalg.norm(reference) * np.linalg.norm(degraded))
    if abs(strength) < SAME_WAVEFORM:
        return coarse, 1
    sign = 1 if strength > 0 else -1
    turns = 2j * np.pi * np.arange(len(cross)) / n

    def fall(lag: float) -> float:
        return -sign * float(np.real(cross @ np.exp(turns * lag)))

    found = minimize_scalar(
        fall, bounds=(peak - 1, peak + 1), method="bounded", options={"xatol": 1e-3}
    )
    return float(found.x), sign


def _log_spectrogram(samples: np.ndarray, step: int) -> np.ndarray:
    """Natural-log magnitudes ``(frames, bins)``, a frame every ``step`` samples, mean removed."""
    width = 12 * step
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, width // 2), width)[::step]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(width)))
    log = np.log(np.maximum(magnitude, 1e-3 * magnitude.max()))
    return np.asarray(log - log.mean(axis=0))


def _frame_delay(reference: np.ndarray, degraded: np.ndarray, step: int, sample_rate: int) -> float:
    """The shift in frames, within `MAX_DELAY_S`, at which two log spectrograms correlate best."""
    bound = int(MAX_DELAY_S * sample_rate / step)
    scores = np.empty(2 * bound + 1)
    for lag in range(-bound, bound + 1):
        a, b = reference[max(0, -lag) :], degraded[max(0, lag) :]
        n = min(len(a), len(b))
        if n <= bound:
            raise BadInput(
                f"sounds of {len(reference) * step / sample_rate:.2f} s and "
                f"{len(degraded) * step / sample_rate:.2f} s are too short to be aligned"
            )
        norm = float(np.linalg.norm(a[:n]) * np.linalg.norm(b[:n]))
        scores[lag + bound] = float(np.vdot(a[:n], b[:n])) / max(norm, 1e-30)
    best = int(np.argmax(scores))
    if not 0 < best < 2 * bound:
        return float(best - bound)
    # The top of the parabola through the highest score and its neighbours.
    before, top, after = scores[best - 1 : best + 2]
    return best - bound + float(0.5 * (before - after) / min(before - 2 * top + after, -1e-30))


def _advance(samples: np.ndarray, fraction: float) -> np.ndarray:
    """Shift earlier by a fraction of a sample, by a phase ramp; zero-padded against wrapping."""
    n = 1 << (len(samples) + 64).bit_length()
    transform = np.fft.rfft(samples, n)
    ramp = np.exp(2j * np.pi * np.arange(len(transform)) / n * fraction)
    return np.fft.irfft(transform * ramp, n)[: len(samples)]


def checked(samples: np.ndarray, name: str) -> np.ndarray:
    """``samples`` as float64; `BadInput` that names it where it cannot be compared."""
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1:
        raise BadInput(f"{name} has shape {samples.shape}; expected (samples,)")
    if not np.isfinite(samples).all():
        raise BadInput(f"{name} holds NaN or infinite samples")
    if not samples.any():
        raise BadInput(
            f"{name} is {'silent' if samples.size else 'empty'}; nothing can be compared"
        )
    return samples


def checked_pair(reference: np.ndarray, degraded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64; `BadInput` where one is unusable or the lengths differ."""
    pair = checked(reference, "the reference"), checked(degraded, "the sound to compare")
    if len(pair[0]) != len(pair[1]):
        raise BadInput(
            f"the reference has {len(pair[0])} samples, the sound to compare {len(pair[1])}; "
            "align them first"
        )
    return pair
