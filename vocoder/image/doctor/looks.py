"""What pixels look like, with nothing known of them."""

from __future__ import annotations

import numpy as np

from vocoder.image.codec.base import channel_spread

# Bright pixels whose channels are further apart than this share of the brightest one are a colour
# code, not grey gone wrong (measured: painted grey 0.05, painted hue 0.9).
COLOUR_SHARE, BRIGHT_LEVEL = 0.5, 64


def planes(pixels: np.ndarray) -> list[np.ndarray]:
    """The three channels apart: numpy is slow at reducing a last axis of three."""
    return [pixels[..., channel] for channel in range(3)]


def looks_grey(pixels: np.ndarray) -> bool:
    """Whether an image of unknown kind is grey, though its channels may not agree quite."""
    spread = channel_spread(pixels)
    if not spread.any():
        return True
    brightest = np.maximum.reduce(planes(pixels))
    bright = brightest > BRIGHT_LEVEL  # dark pixels tell no colour
    return bool(bright.any() and spread[bright].mean() < COLOUR_SHARE * brightest[bright].mean())


def skewness(levels: np.ndarray) -> float:
    """Whether what is bright is loud (below 0) or what is dark (above).

    What analyses show has sharp minima between broad maxima, over time in every band: the second
    difference of speech in decibels is skewed by -0.5 to -3, that of its negative by as much
    upwards, and that of other pictures hardly.

    Parameters
    ----------
    levels : ndarray
        ``(bands, frames)``, 0 to 1.
    """
    before, here, after = levels[:, :-2], levels[:, 1:-1], levels[:, 2:]
    inside = np.minimum(np.minimum(before, here), after) > 0.01
    inside &= np.maximum(np.maximum(before, here), after) < 0.99
    second = (2 * here - before - after)[inside].astype(np.float64)
    size = float((second**2).mean()) ** 1.5 if second.size else 0.0
    return float((second**3).mean()) / size if size else 0.0


def tilt(levels: np.ndarray) -> float:
    """How much brighter the lower half of the bands ``(bands, frames)`` is, on average."""
    half = len(levels) // 2
    return float(levels[:half].mean() - levels[half:].mean())


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, over time within each band; 0 where either does not change."""
    one = one - one.mean(axis=1, keepdims=True)
    other = other - other.mean(axis=1, keepdims=True)
    size = np.sqrt(float((one**2).sum()) * float((other**2).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0
