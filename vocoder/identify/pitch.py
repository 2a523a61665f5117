"""Harmonics in linear bins: how far apart they are, and whether they begin at 0 Hz."""

from __future__ import annotations

import numpy as np

# Of the distance of harmonics that is looked for, in bins; below 3 a window smears them together.
MIN_BINS, MAX_BINS, STEP = 3.0, 20.0, 1.004
HARMONICS = np.arange(2, 9)
FRAMES = 200
VOICED_SHARE = 0.15  # of the frames: the most harmonic ones


def comb(bins: np.ndarray, missing: int = 0) -> tuple[float, float]:
    """How harmonic speech is, and its median pitch.

    Parameters
    ----------
    bins : ndarray
        ``(bins, frames)`` of fractions, bin 0 at row 0, all equally far apart.
    missing : int
        How many bins are missing below row 0.

    Returns
    -------
    strength : float
        How much brighter the harmonics are than what lies between them, in the most harmonic
        frames.
    bins : float
        How many bins harmonics are apart there.
    """
    step = max(1, bins.shape[1] // FRAMES)
    frames = bins[:, ::step].astype(np.float64)
    apart = MIN_BINS * STEP ** np.arange(np.log(MAX_BINS / MIN_BINS) / np.log(STEP))
    count = min(len(HARMONICS), int((len(frames) - 2) / MAX_BINS))
    numbers = HARMONICS[: max(count, 3)]
    values = np.zeros((len(apart), frames.shape[1]))
    for number in numbers:
        values += _at(frames, number * apart - missing)
        values -= _at(frames, (number + 0.5) * apart - missing)
    values /= len(numbers)
    best = values.max(axis=0)
    order = np.argsort(best)[-max(3, int(VOICED_SHARE * len(best))) :]
    return float(best[order].mean()), float(np.median(apart[values.argmax(axis=0)[order]]))


def _at(frames: np.ndarray, places: np.ndarray) -> np.ndarray:
    places = np.clip(places, 0, len(frames) - 1.001)
    below = places.astype(int)
    share = (places - below)[:, None]
    return np.asarray((1 - share) * frames[below] + share * frames[below + 1])
