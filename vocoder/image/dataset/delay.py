"""Whether the given recording of a pair is late: pix2pix learns what stands at the same place."""

from __future__ import annotations

import numpy as np
import torch

from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

# Of longer pairs the beginning tells the delay; longer delays than this are no delays.
_SHOWN_S, _MAX_DELAY_S = 30.0, 2.0
# Less than two frames blurs nothing that an image shows.
_MIN_FRAMES = 2
# Correlations of 20 utterances with what a noisy telephone made of them were 0.75 to 0.92, with
# others of the speaker up to 0.53 and with whispers 0.3 to 0.55, whose delay is not reported; and
# what a delay has to gain on none.
_ALIKE, _GAIN = 0.6, 0.05
# Levels further below the loudest are noise.
_RANGE_DB = 50.0


def delay_s(given: np.ndarray, target: np.ndarray, spec: SpectrogramSpec) -> float:
    """How much later ``given`` is than ``target``; 0 where they are in time, or not alike.

    Where their spectrograms correlate best, over time in every band.

    Parameters
    ----------
    given, target : ndarray
        ``(samples,)``, float32, of equal length, at the spec's rate.
    """
    from scipy import fft

    n_samples = int(_SHOWN_S * spec.sample_rate)
    first, second = (_shown(one[:n_samples], spec) for one in (target, given))
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    if not size:
        return 0.0
    n = fft.next_fast_len(2 * first.shape[1], real=True)
    cross = np.einsum("bf,bf->f", fft.rfft(first, n).conj(), fft.rfft(second, n))
    reach = min(int(_MAX_DELAY_S * spec.frame_rate_hz), first.shape[1] // 2)
    lags = np.arange(-reach, reach + 1)
    correlation = fft.irfft(cross, n)[lags] / size
    best = int(np.argmax(correlation))
    gained = correlation[best] - correlation[reach]
    if abs(lags[best]) < _MIN_FRAMES or correlation[best] < _ALIKE or gained < _GAIN:
        return 0.0
    return float(lags[best] / spec.frame_rate_hz)


def _shown(samples: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
    """Levels ``(bins, frames)`` above the noise, without their mean over time."""
    decibels = analyse(torch.from_numpy(samples)[None], spec).decibels[0].numpy()
    levels = np.maximum(decibels, decibels.max() - _RANGE_DB)
    return np.asarray(levels - levels.mean(axis=1, keepdims=True))
