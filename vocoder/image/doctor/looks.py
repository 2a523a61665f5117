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


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, over time within each band; 0 where either does not change."""
    one = one - one.mean(axis=1, keepdims=True)
    other = other - other.mean(axis=1, keepdims=True)
    size = np.sqrt(float((one**2).sum()) * float((other**2).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0
