"""Bringing two sounds to the same time, polarity and length before they are compared."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft
from scipy.optimize import minimize_scalar

from vocoder.errors import BadInput

MAX_DELAY_S = 0.05
# Waveforms with a smaller correlation than this are not taken to be one sound with one delay.
SAME_WAVEFORM = 0.7
# Neighbours on each side from which values between samples are interpolated.
_SIDE = 32


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
    return undo_delay(reference, degraded, *find_delay(reference, degraded, sample_rate))


def undo_delay(
    reference: np.ndarray, degraded: np.ndarray, delay_samples: float, sign: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `align` does with the delay and sign that `find_delay` found."""
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
        _log_spectrogram(reference.tobytes(), step),
        _log_spectrogram(degraded.tobytes(), step),
        step,
        sample_rate,
    )
    lags = round(coarse) + np.arange(-step - _SIDE, step + _SIDE + 1)
    correlation = _correlation(reference, degraded, lags)
    peak = _SIDE + int(np.argmax(np.abs(correlation[_SIDE:-_SIDE])))
    strength = correlation[peak] / (np.linalg.norm(reference) * np.linalg.norm(degraded))
    if abs(strength) < SAME_WAVEFORM:
        return coarse, 1
    sign = 1 if strength > 0 else -1
    near = slice(peak - _SIDE, peak + _SIDE + 1)

    def fall(lag: float) -> float:
        # Band-limited interpolation (Shannon), its sinc tapered by a Hann window.
        apart = lag - lags[near]
        taper = np.cos(np.pi / 2 * apart / (_SIDE + 1)) ** 2
        return -sign * float(correlation[near] @ (np.sinc(apart) * taper))

    bounds = lags[peak] - 1, lags[peak] + 1
    found = minimize_scalar(fall, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return float(found.x), sign


def _correlation(reference: np.ndarray, degraded: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Cross-correlation at consecutive lags, ``sum(reference[t] * degraded[t + lag])``."""
    first, last = int(lags[0]), int(lags[-1])
    inside = degraded[max(0, first) : max(0, last + len(reference))]
    before = max(0, -first)
    after = last - first + len(reference) - before - len(inside)
    return np.correlate(np.pad(inside, (before, after)), reference, "valid")


@lru_cache(maxsize=4)  # several systems have the same reference
def _log_spectrogram(content: bytes, step: int) -> np.ndarray:
    """Natural-log magnitudes ``(bins, frames)``, float32, a frame every ``step`` samples, the
    mean over time removed."""
    width = 12 * step
    padded = np.pad(np.frombuffer(content).astype(np.float32), width // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::step]
    magnitude = np.abs(fft.rfft(frames * np.hanning(width).astype(np.float32)))
    log = np.log(np.maximum(magnitude, 1e-3 * magnitude.max()))
    return np.ascontiguousarray((log - log.mean(axis=0)).T)


def _frame_delay(reference: np.ndarray, degraded: np.ndarray, step: int, sample_rate: int) -> float:
    """The shift in frames, within `MAX_DELAY_S`, at which two log spectrograms correlate best."""
    bound = int(MAX_DELAY_S * sample_rate / step)
    shorter = min(reference.shape[1], degraded.shape[1])
    if shorter <= 2 * bound:
        raise BadInput(
            f"sounds of {reference.shape[1] * step / sample_rate:.2f} s and "
            f"{degraded.shape[1] * step / sample_rate:.2f} s are too short to be aligned"
        )
    lags = np.arange(-bound, bound + 1)
    n = fft.next_fast_len(max(reference.shape[1], degraded.shape[1]) + bound, real=True)
    cross = np.einsum("bf,bf->f", fft.rfft(reference, n).conj(), fft.rfft(degraded, n))
    scores = fft.irfft(cross, n)[lags] / np.maximum(_norms(reference, degraded, lags), 1e-30)
    best = int(np.argmax(scores))
    if not 0 < best < 2 * bound:
        return float(lags[best])
    # The top of the parabola through the highest score and its neighbours.
    before, top, after = (float(score) for score in scores[best - 1 : best + 2])
    return float(lags[best]) + 0.5 * (before - after) / min(before - 2 * top + after, -1e-30)


def _norms(reference: np.ndarray, degraded: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Product of the norms of what overlaps at each lag."""
    begins, length = np.maximum(0, -lags), (reference.shape[1], degraded.shape[1])
    n = np.minimum(length[0] - begins, length[1] - begins - lags)
    sums = [
        np.concatenate([[0.0], np.cumsum(np.square(x, dtype=np.float64).sum(axis=0))])
        for x in (reference, degraded)
    ]
    energies = [
        total[begin + n] - total[begin]
        for total, begin in zip(sums, (begins, begins + lags), strict=True)
    ]
    return np.asarray(np.sqrt(energies[0] * energies[1]))


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
