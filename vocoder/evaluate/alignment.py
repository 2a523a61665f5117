"""Bring two waveforms to the same time, polarity and length before they are compared."""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np

from vocoder.audio import constant_offset
from vocoder.errors import BadInput

MIN_OVERLAP_S = 0.1
# Waveforms that correlate less than this are not taken for one waveform with one delay.
SAME_WAVEFORM = 0.7
# The coarse search looks at every so many frames of 1 ms; the fine one at all within the reach.
_COARSE_FRAMES, _FINE_FRAMES = 4, 8
# Neighbours on each side from which values between samples are interpolated.
_SIDE = 32


class Pair:
    """A waveform and its reference, aligned and without constant offsets.

    A constant offset is inaudible, but moves the floor of every spectral measure: 0.3 % of full
    scale in a reference costs a perfect copy a quarter of its ESTOI.

    Parameters
    ----------
    reference, degraded : ndarray
        ``(samples,)``, floating point, full scale at 1; the lengths may differ.
    sample_rate : int
        Of both, in Hz.

    Attributes
    ----------
    reference, degraded : ndarray
        float64, of equal length: what both have.
    delay_s : float
        How late ``degraded`` was.
    inverted : bool
        Whether its polarity was the opposite.
    reference_offset, offset : float
        The constants that were subtracted.
    """

    def __init__(self, reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> None:
        reference = checked(reference, "the reference")
        degraded = checked(degraded, "the degraded waveform")
        self.sample_rate = sample_rate
        self.reference_offset = constant_offset(reference, sample_rate)
        self.offset = constant_offset(degraded, sample_rate)
        reference, degraded = reference - self.reference_offset, degraded - self.offset
        delay_samples, sign = find_delay(reference, degraded, sample_rate)
        self.delay_s, self.inverted = delay_samples / sample_rate, sign < 0
        whole = round(delay_samples)
        degraded = sign * _advance(degraded, delay_samples - whole)
        reference, degraded = reference[max(0, -whole) :], degraded[max(0, whole) :]
        length = min(len(reference), len(degraded))
        self.reference = checked(reference[:length], "the reference, where both overlap,")
        self.degraded = checked(degraded[:length], "the degraded waveform, where both overlap,")

    @cached_property
    def matched(self) -> np.ndarray:
        """``degraded`` at the root-mean-square level of the reference."""
        gain = np.sqrt(np.mean(self.reference**2) / np.mean(self.degraded**2))
        return np.asarray(gain * self.degraded)


def find_delay(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> tuple[float, int]:
    """Find the delay of ``degraded``, however long, and -1 where its polarity is inverted, else 1.

    Phase retrieval keeps the spectrogram and not the waveform, whose cross-correlation then peaks
    whole pitch periods away. So the delay is found where the log spectrograms correlate best, at
    any delay at which they overlap by 0.1 s; only where the waveforms agree too do these give the
    delay to a fraction of a sample, and the polarity.

    Returns
    -------
    delay_samples : float
        Above 0 where ``degraded`` is late.
    sign : int
    """
    from scipy.optimize import minimize_scalar

    reference = checked(reference, "the reference")
    degraded = checked(degraded, "the degraded waveform")
    step = max(1, round(sample_rate / 1000))
    first, second = (_log_spectrogram(x.tobytes(), step) for x in (reference, degraded))
    min_frames = round(MIN_OVERLAP_S * sample_rate / step)
    if min(first.shape[1], second.shape[1]) <= min_frames:
        seconds = " and ".join(f"{len(x) / sample_rate:.2f} s" for x in (reference, degraded))
        raise BadInput(
            f"waveforms of {seconds} cannot be aligned; expected more than {MIN_OVERLAP_S:g} s",
            "audio.short",
        )
    around = _coarse_delay(first, second, min_frames)
    coarse = step * _fine_delay(first, second, around, min_frames)
    lags = round(coarse) + np.arange(-step - _SIDE, step + _SIDE + 1)
    correlation = _correlation(reference, degraded, lags)
    peak = _SIDE + int(np.argmax(np.abs(correlation[_SIDE:-_SIDE])))
    strength = correlation[peak] / (np.linalg.norm(reference) * np.linalg.norm(degraded))
    if abs(strength) < SAME_WAVEFORM:
        return coarse, 1
    sign = 1 if strength > 0 else -1
    near = slice(peak - _SIDE, peak + _SIDE + 1)

    def negative(lag: float) -> float:
        # Band-limited interpolation (Shannon), its sinc tapered by a Hann window.
        apart = lag - lags[near]
        taper = np.cos(np.pi / 2 * apart / (_SIDE + 1)) ** 2
        return -sign * float(correlation[near] @ (np.sinc(apart) * taper))

    bounds = lags[peak] - 1, lags[peak] + 1
    found = minimize_scalar(negative, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return float(found.x), sign


@lru_cache(maxsize=4)  # several systems have the same reference
def _log_spectrogram(content: bytes, step: int) -> np.ndarray:
    """Natural-log magnitudes ``(bins, frames)``, float32, a frame every ``step`` samples, the
    mean over time removed."""
    from scipy import fft

    width = 12 * step
    padded = np.pad(np.frombuffer(content).astype(np.float32), width // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[::step]
    magnitude = np.abs(fft.rfft(frames * np.hanning(width).astype(np.float32)))
    log = np.log(np.maximum(magnitude, 1e-3 * magnitude.max()))
    return np.ascontiguousarray((log - log.mean(axis=0)).T)


def _coarse_delay(reference: np.ndarray, degraded: np.ndarray, min_frames: int) -> int:
    """The shift in frames of the highest cross-correlation of two log spectrograms.

    It is not divided by what overlaps, so that a chance likeness of short ends does not win.
    """
    from scipy import fft

    first, second = (log[:, ::_COARSE_FRAMES] for log in (reference, degraded))
    n = fft.next_fast_len(first.shape[1] + second.shape[1], real=True)
    cross = np.einsum("bf,bf->f", fft.rfft(first, n).conj(), fft.rfft(second, n))
    overlap = -(-min_frames // _COARSE_FRAMES)
    lags = np.arange(overlap - first.shape[1], second.shape[1] - overlap + 1)
    return _COARSE_FRAMES * int(lags[np.argmax(fft.irfft(cross, n)[lags])])


def _fine_delay(reference: np.ndarray, degraded: np.ndarray, coarse: int, min_frames: int) -> float:
    """The shift in frames near ``coarse`` at which what overlaps correlates best."""
    lags = np.arange(coarse - _FINE_FRAMES, coarse + _FINE_FRAMES + 1)
    scores = np.full(len(lags), -1.0)
    for index, lag in enumerate(lags):
        first, second = reference[:, max(0, -lag) :], degraded[:, max(0, lag) :]
        n = min(first.shape[1], second.shape[1])
        if n >= min_frames:
            first, second = first[:, :n], second[:, :n]
            norms = np.linalg.norm(first) * np.linalg.norm(second)
            scores[index] = np.vdot(first, second) / max(norms, 1e-30)
    best = int(np.argmax(scores))
    if not 0 < best < len(lags) - 1:
        return float(lags[best])
    # The top of the parabola through the highest score and its neighbours.
    before, top, after = (float(score) for score in scores[best - 1 : best + 2])
    return float(lags[best]) + 0.5 * (before - after) / min(before - 2 * top + after, -1e-30)


def _correlation(reference: np.ndarray, degraded: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Cross-correlation at consecutive lags, ``sum(reference[t] * degraded[t + lag])``."""
    first, last = int(lags[0]), int(lags[-1])
    inside = degraded[max(0, first) : max(0, last + len(reference))]
    before = max(0, -first)
    after = last - first + len(reference) - before - len(inside)
    return np.correlate(np.pad(inside, (before, after)), reference, "valid")


def _advance(samples: np.ndarray, fraction: float) -> np.ndarray:
    """Shift earlier by a fraction of a sample, by a phase ramp; zero-padded against wrapping."""
    n = 1 << (len(samples) + 64).bit_length()
    transform = np.fft.rfft(samples, n)
    ramp = np.exp(2j * np.pi * np.arange(len(transform)) / n * fraction)
    return np.fft.irfft(transform * ramp, n)[: len(samples)]


def checked(samples: np.ndarray, name: str) -> np.ndarray:
    """Return ``samples`` as float64; refuse what cannot be compared, calling it ``name``."""
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1:
        raise BadInput(f"{name} has shape {samples.shape}; expected (samples,)", "audio.shape")
    if not np.isfinite(samples).all():
        raise BadInput(f"{name} holds NaN or infinite samples", "audio.infinite")
    if not samples.size or np.ptp(samples) == 0:
        kind = "silent" if samples.size else "empty"
        raise BadInput(f"{name} is {kind}; nothing can be compared", f"audio.{kind}")
    return samples


def checked_pair(reference: np.ndarray, degraded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64; refuse what is unusable, and unequal lengths."""
    pair = checked(reference, "the reference"), checked(degraded, "the degraded waveform")
    if len(pair[0]) != len(pair[1]):
        raise BadInput(
            f"the reference has {len(pair[0])} samples, the degraded waveform {len(pair[1])}; "
            "align them first",
            "audio.length",
        )
    return pair
