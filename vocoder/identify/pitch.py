"""Harmonics: how far apart they are in linear bins, whether they begin at 0 Hz, and whether mel
bands are where they are said to be."""

from __future__ import annotations

import numpy as np

from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import bin_centres_hz

# Of the distance of harmonics that is looked for, in bins; below 3 a window smears them together.
MIN_BINS, MAX_BINS, STEP = 3.0, 20.0, 1.004
HARMONICS, ALL_HARMONICS = np.arange(2, 9), np.arange(1, 10)
OCTAVE_HARMONICS = np.arange(1, 7)
FRAMES = 200
VOICED_SHARE = 0.15  # of the frames: the most harmonic ones
PITCHES_HZ = 80 * 2 ** np.arange(0, 2.2, 1 / 36)
RESOLVED = 2.2  # bands from harmonic to harmonic, where bands keep them apart


def comb(bins: np.ndarray) -> tuple[float, float]:
    """How harmonic speech is, and its median pitch.

    Parameters
    ----------
    bins : ndarray
        ``(bins, frames)`` of fractions, bin 0 at row 0, all equally far apart.

    Returns
    -------
    strength : float
        How much brighter the harmonics are than what lies between them, in the most harmonic
        frames.
    bins : float
        How many bins harmonics are apart there.
    """
    values, apart = _harmonicity(bins[:, :: max(1, bins.shape[1] // FRAMES)], HARMONICS)
    best = values.max(axis=0)
    order = _most(best)
    return float(best[order].mean()), float(np.median(apart[values.argmax(axis=0)[order]]))


def bin_is_missing(rows: np.ndarray) -> float:
    """Whether the lowest row is bin 1 instead of bin 0, by where harmonics begin.

    Every harmonic frame has a vote. Of 360 drawings of 60 utterances, half of them without 0 Hz
    and half without Nyquist, 356 were told right by its sign.

    Parameters
    ----------
    rows : ndarray
        See `comb`.

    Returns
    -------
    float
        -1 (no) to 1 (yes).
    """
    with_0_hz, without = (_harmonicity(rows, ALL_HARMONICS, missing)[0] for missing in (0, 1))
    with_0_hz, without = with_0_hz.max(axis=0), without.max(axis=0)
    order = _most(np.maximum(with_0_hz, without))
    return float(np.sign(without[order] - with_0_hz[order]).mean())


def harmonics_rise(rows: np.ndarray, per_octave: float) -> float:
    """Whether frequencies rise from row to row of equally many an octave: harmonics draw nearer to
    each other upwards. Every harmonic frame has a vote.

    Returns
    -------
    float
        -1 (they fall) to 1 (they rise).
    """
    frames = rows.astype(np.float64)
    peaks = per_octave * np.log2(OCTAVE_HARMONICS)
    between = per_octave * np.log2(OCTAVE_HARMONICS + 0.5)
    first = np.arange(len(frames) - int(between[-1]))
    rising, falling = (
        np.max(
            sum(_at(one, first + peak) for peak in peaks)
            - sum(_at(one, first + place) for place in between),
            axis=0,
        )
        for one in (frames, frames[::-1])
    )
    order = _most(np.maximum(rising, falling))
    return float(np.sign(rising[order] - falling[order]).mean())


def mel_comb(bands: np.ndarray, spec: SpectrogramSpec) -> float:
    """How harmonic speech is where mel bands are those of ``spec``.

    Parameters
    ----------
    bands : ndarray
        ``(n_mels, frames)`` of fractions.

    Returns
    -------
    float
        How much brighter harmonics are than what lies between them, over all that bands keep
        apart, in the most harmonic frames.
    """
    frames = bands[:, :: max(1, bands.shape[1] // FRAMES)].astype(np.float64)
    hz = np.maximum.accumulate(bin_centres_hz(spec))  # bands without a bin are at 0
    places, widths = np.arange(len(hz)), np.diff(hz, append=hz[-1])
    total, count = np.zeros((len(PITCHES_HZ), frames.shape[1])), np.ones((len(PITCHES_HZ), 1))
    for number in ALL_HARMONICS:
        peak = number * PITCHES_HZ
        apart = np.interp(peak, hz, widths) < PITCHES_HZ / RESOLVED
        apart &= (hz[0] < peak) & (peak < hz[-1])
        at, below, above = (
            _at(frames, np.interp(peak + away * PITCHES_HZ, hz, places)) for away in (0, -0.5, 0.5)
        )
        total += apart[:, None] * (at - (below + above) / 2)
        count += apart[:, None]
    best = (total / count).max(axis=0)
    return float(best[_most(best)].mean())


def _harmonicity(
    rows: np.ndarray, numbers: np.ndarray, missing: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """By how much the harmonics outshine what lies between them, for every distance of them, and
    these distances; ``missing`` bins lie below row 0."""
    frames = rows.astype(np.float64)
    apart = MIN_BINS * STEP ** np.arange(np.log(MAX_BINS / MIN_BINS) / np.log(STEP))
    numbers = numbers[: max(3, int((len(frames) - 2) / MAX_BINS))]
    values = np.zeros((len(apart), frames.shape[1]))
    for number in numbers:
        values += _at(frames, number * apart - missing)
        values -= _at(frames, (number + 0.5) * apart - missing)
    return values / len(numbers), apart


def _most(harmonicity: np.ndarray) -> np.ndarray:
    """The most harmonic frames."""
    return np.asarray(np.argsort(harmonicity)[-max(3, int(VOICED_SHARE * len(harmonicity))) :])


def _at(frames: np.ndarray, places: np.ndarray) -> np.ndarray:
    places = np.clip(places, 0, len(frames) - 1.001)
    below = places.astype(int)
    share = (places - below)[:, None]
    return np.asarray((1 - share) * frames[below] + share * frames[below + 1])
