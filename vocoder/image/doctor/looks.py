"""What pixels look like, with nothing known of them."""

from __future__ import annotations

import math

import numpy as np

from vocoder.image.codec.base import channel_spread, planes

# Bright pixels whose channels are further apart than this share of the brightest one are a colour
# code, not grey gone wrong (measured: generated grey 0.05, generated hue 0.9).
COLOUR_SHARE, BRIGHT_LEVEL = 0.5, 64
# A page: so much of an image's edges, and not as much of all of it, is of one bright colour.
PAGE_LEVEL, PAGE_EDGES, PAGE_APART = 192, 0.95, 12
MAX_LOOKED_AT = 12_000_000  # pixels


def middle_columns(pixels: np.ndarray) -> np.ndarray:
    """As many columns around the middle as can be looked at in a few hundred MB."""
    rows, columns = pixels.shape[:2]
    width = min(columns, max(256, MAX_LOOKED_AT // max(1, rows)))
    begin = (columns - width) // 2
    return pixels[:, begin : begin + width]


def looks_grey(pixels: np.ndarray) -> bool:
    """Whether an image of unknown kind is grey, though its channels may not agree quite."""
    spread = channel_spread(pixels)
    if not spread.any():
        return True
    brightest = np.maximum.reduce(planes(pixels))
    bright = brightest > BRIGHT_LEVEL  # dark pixels tell no colour
    return bool(bright.any() and spread[bright].mean() < COLOUR_SHARE * brightest[bright].mean())


def looks_drawn(pixels: np.ndarray) -> bool:
    """Whether an image is a figure on a bright page, with axes or only with margins."""
    colours = (pixels if pixels.ndim == 3 else pixels[..., None]).astype(np.float32)
    corner = colours[0, 0]

    def share(some: np.ndarray) -> float:
        return float((np.abs(some - corner) <= PAGE_APART).all(axis=-1).mean())

    edges = np.concatenate([colours[0], colours[-1], colours[:, 0], colours[:, -1]])
    return bool(corner.min() >= PAGE_LEVEL and share(edges) > PAGE_EDGES > share(colours))


def skewness(levels: np.ndarray) -> float:
    """Whether what is bright is loud (below 0) or what is dark (above).

    What analyses show has sharp minima between broad maxima, over time in every band: the second
    difference of speech in decibels is skewed by -0.5 to -3, that of its negative by as much
    upwards, and that of other images hardly.

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


# A logistic regression on 1 975 tiles, true ones and those of generators good and bad, against 648
# drawings, half of them negatives, of 38 photographs, textures, pages and charts (scikit-image's
# and matplotlib's samples). Two of the tiles are above the threshold, both of a generator that had
# hardly learnt anything. recipes/laws.md counts on what it was not fitted on.
UNLIKE, UNLIKELY = 3.0, 1.0
OFFSET = 0.96
WEIGHTS = {"tilt": -13.0, "shared": -9.4, "silent": -3.1, "loudest": 5.7, "smooth": 13.3}
BLOCK_FRAMES, MAX_BLOCKS = 600, 8
TRUE_SKEW, FEW_LOUDEST = -0.3, 0.05
# Of smoothness, which is ln 2 of what changes evenly: of analyses with a hop of a tenth of a window
# up to 0.59, of generated tiles 0.52. `TOLD` is between `UNLIKELY` and `UNLIKE`.
SMOOTH, TOLD = 0.63, 2.0
UNRELATED = 0.9  # of the standard deviation; of noise pixel by pixel 1.1, of those tiles up to 0.6


def unlikeness(levels: np.ndarray) -> float:
    """How unlike a spectrogram it is; above `UNLIKE` nothing but noise can come of it.

    Spectrograms are brighter in the lower half; most of what they show is a level a band plus a
    level a frame; something is silent and little as loud as the loudest; and over time what is
    twice as far apart does not differ nearly twice as much, as it does in smooth images.

    Parameters
    ----------
    levels : ndarray
        ``(bands, frames)``, 0 to 1 over 100 dB.
    """
    blocks = range(0, max(1, levels.shape[1] - BLOCK_FRAMES // 2), BLOCK_FRAMES)
    starts = blocks[:: -(-len(blocks) // MAX_BLOCKS)]
    pieces = [levels[:, start : start + BLOCK_FRAMES] for start in starts]
    return min((_unlikeness(piece) for piece in pieces if np.ptp(piece)), default=0.0)


def _unlikeness(levels: np.ndarray) -> float:
    off = levels - levels.mean()
    rest = off - off.mean(axis=1, keepdims=True) - off.mean(axis=0, keepdims=True)
    steps = [np.abs(levels[:, by:] - levels[:, :-by]).mean() + 1e-5 for by in (1, 2)]
    if steps[0] > UNRELATED * levels.std():
        return math.inf  # neighbours have nothing in common, where windows overlap
    found = {
        "tilt": tilt(levels),
        "shared": 1 - float((rest**2).sum() / (off**2).sum()),
        "silent": float((levels < 0.01).mean()),
        "loudest": float((levels > 0.95).mean()),
        "smooth": float(np.log(steps[1] / steps[0])),
    }
    score = OFFSET + sum(WEIGHTS[name] * value for name, value in found.items())
    # Steady music and hiss are told from photographs by their sharp minima.
    is_true = skewness(levels) < TRUE_SKEW and found["loudest"] < FEW_LOUDEST
    if is_true:
        return min(score, 0.0)
    return max(score, TOLD) if found["smooth"] > SMOOTH else score


# How far below the loudest of two tiles an overlap is compared, and how loud it is at least; what
# lies deeper a generator draws as it likes. Then 138 generated overlaps of three generators
# correlated by 0.69 and more, 93 % and more of wrong ones (turned over, mirrored, of another tile)
# by less than this.
_COMPARED_DB, _LOUD_DB, _SAME = 50.0, 20.0, 0.4


def goes_on(before: np.ndarray, after: np.ndarray, overlap: int) -> bool:
    """Whether two tiles, ``(bands, frames)`` in decibels, show the same where they overlap."""
    top = max(before.max(), after.max())
    ends = before[:, -overlap:], after[:, :overlap]
    if max(end.max() for end in ends) < top - _LOUD_DB:
        return True  # too quiet to say
    first, second = (np.maximum(end, top - _COMPARED_DB) for end in ends)
    return correlation(first, second) > _SAME


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, over time within each band; 0 where either does not change."""
    one = one - one.mean(axis=1, keepdims=True)
    other = other - other.mean(axis=1, keepdims=True)
    size = np.sqrt(float((one**2).sum()) * float((other**2).sum()))
    return float((one * other).sum()) / size if size > 0 else 0.0
