"""Colour maps: matplotlib's, other programs', and those of a colour bar's image."""

from __future__ import annotations

import difflib
import pathlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from vocoder.errors import BadInput
from vocoder.image.codec.base import IMAGE_SUFFIXES

# A map is refused when two of its colours are nearer to each other than this share of the way
# between them, or neighbouring ones further apart than so many 8-bit steps. Of matplotlib's maps
# that refuses the cyclic, the repeating and the qualitative ones, and none of the others.
RETURN_RATIO = 1 / 16
LARGEST_STEP = 64
CHUNK = 4096  # pixels looked up at once: their distances to a palette stay in the cache


@dataclass(frozen=True)
class Path:
    """Straight pieces between colours that lie close together.

    Parameters
    ----------
    colours : ndarray
        ``(points, 3)``, float32, 0 to 255, neighbours different.
    levels : ndarray
        ``(points,)``, float32, rising: the level of each colour.
    """

    colours: np.ndarray
    levels: np.ndarray

    def nearest(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest place on the path: the nearest colour, then the better of the two pieces
        that meet there.

        Parameters
        ----------
        pixels : ndarray
            ``(rows, columns, 3)``, 0 to 255.

        Returns
        -------
        levels, distance : ndarray
            ``(rows, columns)``, float32; the distance in 8-bit steps.
        """
        flat = pixels.reshape(-1, 3).astype(np.float32)
        # |pixel - colour|² but for |pixel|², as one matrix product
        terms = np.vstack([-2 * self.colours.T, (self.colours**2).sum(axis=1)])
        nearest = np.empty(len(flat), dtype=np.int64)
        for start in range(0, len(flat), CHUNK):
            part = flat[start : start + CHUNK]
            part = np.hstack([part, np.ones((len(part), 1), np.float32)])
            nearest[start : start + CHUNK] = (part @ terms).argmin(axis=1)
        channels = np.ascontiguousarray(flat.T)
        before = self._project(channels, np.maximum(nearest - 1, 0))
        after = self._project(channels, np.minimum(nearest, len(self.colours) - 2))
        better = before[1] < after[1]
        levels, squared = (np.where(better, b, a) for b, a in zip(before, after, strict=True))
        shape = pixels.shape[:2]
        return levels.reshape(shape), np.sqrt(squared).reshape(shape)

    def _project(self, channels: np.ndarray, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels ``(3, n)`` onto one piece each: levels and squared distances, ``(n,)``."""
        along = np.diff(self.colours, axis=0).T
        unit = along / (along**2).sum(axis=0)
        # Channel by channel, for gathering numbers is much faster than gathering rows.
        offset = [x - start[piece] for x, start in zip(channels, self.colours.T, strict=True)]
        share = sum(x * u[piece] for x, u in zip(offset, unit, strict=True))
        share = np.clip(share, 0, 1)
        squared = sum((x - share * a[piece]) ** 2 for x, a in zip(offset, along, strict=True))
        levels = self.levels[piece] + share * np.diff(self.levels)[piece]
        return levels, np.asarray(squared)


@lru_cache(maxsize=32)
def map_colours(cmap: str) -> np.ndarray:
    """The map's own colours, ``(levels, 3)``, uint8.

    Parameters
    ----------
    cmap : str
        A name of matplotlib's or of `EXTRA`, or the file of an image of a colour bar.
    """
    from matplotlib import colormaps

    cmap = str(cmap)
    if cmap in EXTRA:
        return np.asarray(np.rint(255 * EXTRA[cmap]()), np.uint8)
    if cmap in colormaps:
        colours = colormaps[cmap](np.arange(colormaps[cmap].N))[:, :3]
        return np.asarray(np.rint(255 * colours), np.uint8)
    file = pathlib.Path(cmap)
    if file.suffix.lower() in IMAGE_SUFFIXES:
        return _bar_colours(file)
    near = difflib.get_close_matches(str(cmap), [*EXTRA, *colormaps])
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise BadInput(
        f"codec.cmap is {cmap!r}, which matplotlib does not know{hint} "
        "(the file of an image of the colour bar will do too)",
        key="codec.cmap.unknown",
    )


def _bar_colours(file: pathlib.Path) -> np.ndarray:
    """The colours of an image of a colour bar, quiet first: from left to right or upwards."""
    try:
        with Image.open(file) as opened:
            bar = np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"codec.cmap: {file}: not an image ({error})", "codec.cmap.file") from error
    upright = bar.shape[0] > bar.shape[1]
    along = np.swapaxes(bar, 0, 1)[:, ::-1] if upright else bar
    inner = along[len(along) // 4 : len(along) - len(along) // 4]  # off a frame around it
    return np.asarray(np.rint(np.median(inner, axis=0)), np.uint8)


def _sox() -> np.ndarray:
    """What ``sox … spectrogram`` draws with by default: 251 colours (its spectrogram.c)."""
    x = np.linspace(0, 1, 251)
    red = np.where(x < 0.13, 0, np.sin(np.clip((x - 0.13) / 0.6, 0, 1) * np.pi / 2))
    green = np.where(x < 0.6, 0, np.sin(np.clip((x - 0.6) / 0.31, 0, 1) * np.pi / 2))
    blue = np.where(x < 0.6, 0.5 * np.sin(x / 0.6 * np.pi), np.clip((x - 0.78) / 0.22, 0, 1))
    return np.stack([red, green, blue], axis=1)


def _ffmpeg() -> np.ndarray:
    """ffmpeg's ``color=intensity``, the default of showspectrumpic (avf_showspectrum.c): corners
    in full-range YUV, straight lines between them, and the RGB of ITU-R BT.601."""
    corners = {
        "places": [0, 0.13, 0.3, 0.6, 0.73, 0.78, 0.91, 1],
        "y": [0, 0.0359, 0.1857, 0.2818, 0.6583, 0.7632, 0.9534, 1],
        "u": [0, 0.1573, 0.1772, -0.1593, -0.3716, -0.4307, -0.2045, 0],
        "v": [0, -0.0255, 0.1748, 0.4713, 0.2435, 0.1687, 0.0331, 0],
    }
    x = np.linspace(0, 1, 256)
    y, u, v = (np.interp(x, corners["places"], corners[name]) for name in "yuv")
    rgb = np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u], axis=1)
    return np.clip(rgb, 0, 1)


ROSEUS = (
    "010101 020f15 001d36 0f255b 2e267e 512197 7519a2 96169d b51f8e "
    "ce307a e34664 f26051 fa7c46 fb9a4c f6b868 eed497 eceacd fefbf9"
)


def _roseus() -> np.ndarray:
    """Audacity's colours: every 15th of M. Keum's map (github.com/dofuuz/roseus, MIT licence), and
    straight lines between them, no further off than 4.2 steps of 255."""
    colours = np.array([list(bytes.fromhex(colour)) for colour in ROSEUS.split()]) / 255
    x, places = np.linspace(0, 1, 256), np.linspace(0, 1, len(colours))
    return np.stack([np.interp(x, places, channel) for channel in colours.T], axis=1)


EXTRA = {"sox": _sox, "ffmpeg": _ffmpeg, "roseus": _roseus}
# For `nearest_map`, the likeliest first; those that others run backwards share their colours.
USUAL = (
    *("gray", "viridis", "magma", "inferno", "plasma", "sox", "jet", "turbo", "hot", "cividis"),
    *("coolwarm", "bone", "cubehelix", "gnuplot2", "Greens", "Blues", "Reds", "YlGnBu", "Spectral"),
    *("ffmpeg", "roseus"),
)
SAMPLED = 10_000  # pixels; enough for a mean distance


def run_starts(colours: np.ndarray) -> np.ndarray:
    """Where in ``colours`` each run of equal neighbours begins."""
    return np.flatnonzero(np.append(True, np.diff(colours.astype(int), axis=0).any(axis=1)))


@lru_cache(maxsize=32)
def map_path(cmap: str) -> Path:
    """The path through a map's colours that differ."""
    colours = map_colours(cmap)
    starts = run_starts(colours)
    ends = np.append(starts[1:], len(colours)) - 1
    levels = (starts + ends) / 2
    levels[0] = 0  # the floor is silence however many levels share its colour
    distinct = colours[starts].astype(np.float32)
    if why := _ambiguity(distinct, starts):
        raise BadInput(
            f"codec.cmap {cmap} {why}; use a map such as viridis, or codec hue",
            key="codec.cmap.ambiguous",
        )
    return Path(distinct, levels.astype(np.float32))


def nearest_map(pixels: np.ndarray) -> tuple[str, float]:
    """Which of the maps that people use an image's colours are nearest to.

    Parameters
    ----------
    pixels : ndarray
        ``(rows, columns, 3)``, 0 to 255.

    Returns
    -------
    cmap : str
    distance : float
        Mean over the pixels, in 8-bit steps.
    """
    flat = pixels.reshape(-1, 1, 3)
    some = flat[:: max(1, len(flat) // SAMPLED)]
    distances = {name: float(map_path(name).nearest(some)[1].mean()) for name in USUAL}
    best = min(USUAL, key=lambda name: distances[name])
    return best, distances[best]


def _ambiguity(colours: np.ndarray, levels: np.ndarray) -> str:
    """Why a map's colours do not tell its levels apart; empty where they do."""
    steps = np.linalg.norm(np.diff(colours, axis=0), axis=1)
    if not len(steps):
        return "has only one colour"
    way = np.concatenate([[0], np.cumsum(steps)])
    first, second = np.triu_indices(len(colours), 1)
    apart = np.linalg.norm(colours[first] - colours[second], axis=1)
    share = apart / (way[second] - way[first])
    nearest, widest = int(share.argmin()), int(steps.argmax())
    if share[nearest] < RETURN_RATIO:
        a, b = levels[first[nearest]], levels[second[nearest]]
        return f"comes back: levels {a} and {b} are {apart[nearest]:.0f} steps of 255 apart"
    if steps[widest] > LARGEST_STEP:
        return (
            f"leaps {steps[widest]:.0f} steps of 255 from level {levels[widest]} to "
            f"{levels[widest + 1]}, so that a blend of the two reads as other levels"
        )
    return ""
