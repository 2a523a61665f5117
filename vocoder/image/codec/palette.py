"""Codecs that walk a path through the colour cube: a level is a place on the path."""

from __future__ import annotations

import difflib
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter

from vocoder.errors import BadInput
from vocoder.image.codec.base import JPEG, PNG, WEBP, LevelCodec, require_number

DECODERS = ("nearest", "neighbours")
# Trust in a pixel falls with its distance from the path as a Gaussian of this width, in 8-bit
# steps: noise of 6 levels a channel puts pixels some 8 steps off and should change nothing, while a
# blend of two distant stretches is 40 to 120 off. Of 5 to 90 the best mean ESTOI on 16 training
# lines damaged as a wavering painter does (recipes/colours.md).
TRUST_STEPS = 60.0
# Distrusted pixels are filled from about their eight nearest neighbours.
FILL_PIXELS = 0.7
# A map is refused when two of its colours are nearer to each other than this share of the way
# between them, or neighbouring ones further apart than so many 8-bit steps. Of matplotlib's maps
# that refuses the cyclic, the repeating and the qualitative ones, and none of the others.
RETURN_RATIO = 1 / 16
LARGEST_STEP = 64
HUE_CORNERS = np.array(
    [
        (0, 0, 0),
        (0, 0, 255),
        (0, 255, 255),
        (0, 255, 0),
        (255, 255, 0),
        (255, 0, 0),
        (255, 0, 255),
        (255, 255, 255),
    ]
)
EDGE = 255  # levels, and 8-bit steps, from one corner to the next
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


@dataclass(frozen=True, kw_only=True)
class PathCodec(LevelCodec):
    """A codec whose levels are places on a path through the colour cube.

    Parameters
    ----------
    decoder : {"nearest", "neighbours"}
        ``nearest`` takes every pixel for the nearest colour of the path. A painter that wavers
        between two levels paints a blend of their colours, and the nearest colour of a blend may
        be far from both; ``neighbours`` trusts a pixel the less the further off the path it lies,
        and fills in from the trusted ones around it. Pixels on the path decode alike in both.
    trust_steps : float
        Of ``neighbours``: trust falls with the distance as a Gaussian of this width, in 8-bit
        steps.
    """

    decoder: str = field(default="neighbours", compare=False)
    trust_steps: float = field(default=TRUST_STEPS, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder not in DECODERS:
            raise BadInput(f"codec.decoder is {self.decoder!r}; expected one of {DECODERS}")
        require_number(self.trust_steps, "codec.trust_steps", "8-bit steps")
        if self.trust_steps <= 0:
            raise BadInput(f"codec.trust_steps is {self.trust_steps:g}; expected above 0")

    @abstractmethod
    def path(self) -> Path:
        """The path that levels 0 to `top` walk."""

    def _levels(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        levels, distance = self.path().nearest(pixels)
        if self.decoder == "neighbours":
            levels = fill_distrusted(levels, distance, self.trust_steps)
        return levels, distance


def fill_distrusted(
    levels: np.ndarray, distance: np.ndarray, trust_steps: float = TRUST_STEPS
) -> np.ndarray:
    """Levels ``(rows, columns)``, each drawn towards the mean of its trusted neighbours as far
    as its own colour's ``distance`` from the path makes it doubtful."""
    trust = np.exp(-((distance / trust_steps) ** 2))
    weight = trust + np.float32(1e-4)  # where all are doubtful, all count alike
    own = gaussian_filter([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]], FILL_PIXELS, radius=1)[1, 1]

    def around(values: np.ndarray) -> np.ndarray:
        blurred = gaussian_filter(values, FILL_PIXELS, radius=1, mode="nearest")
        return np.asarray(blurred - own * values)

    filled = around(weight * levels) / around(weight)
    return np.asarray(trust * levels + (1 - trust) * filled)


@dataclass(frozen=True, kw_only=True)
class Hue(PathCodec):
    """Along the edges of the colour cube: black, blue, cyan, green, yellow, red, magenta, white,
    255 steps an edge, 1786 levels."""

    name: ClassVar[str] = "hue"
    mode: ClassVar[str] = "RGB"
    suffixes: ClassVar[tuple[str, ...]] = PNG + JPEG + WEBP

    @property
    def top(self) -> int:
        return EDGE * (len(HUE_CORNERS) - 1)

    def path(self) -> Path:
        return _hue_path()

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        return _hue_colours(levels)


def _hue_colours(levels: np.ndarray) -> np.ndarray:
    edge = np.minimum(levels // EDGE, len(HUE_CORNERS) - 2)
    step = np.diff(HUE_CORNERS, axis=0)[edge] // EDGE
    return np.asarray(HUE_CORNERS[edge] + (levels - EDGE * edge)[..., None] * step, np.uint8)


@lru_cache(maxsize=1)
def _hue_path() -> Path:
    # Every 15th level is enough, for the path is straight in between.
    levels = np.arange(0, EDGE * (len(HUE_CORNERS) - 1) + 1, 15)
    return Path(_hue_colours(levels).astype(np.float32), levels.astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class Colormap(PathCodec):
    """One of matplotlib's colour maps, as many levels as it has colours (mostly 256).

    Neighbouring levels that 8 bits cannot tell apart decode to their middle.

    Parameters
    ----------
    cmap : str
        The map's name.
    """

    name: ClassVar[str] = "colormap"
    mode: ClassVar[str] = "RGB"
    suffixes: ClassVar[tuple[str, ...]] = PNG + JPEG + WEBP

    cmap: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.path()

    @property
    def top(self) -> int:
        return len(_map_colours(self.cmap)) - 1

    def resolution_db(self) -> float:
        """The step between levels, times as many as share a colour where the map is dullest."""
        starts = _run_starts(_map_colours(self.cmap))
        return self.step_db * int(np.diff(np.append(starts, self.top + 1)).max())

    def path(self) -> Path:
        return _map_path(self.cmap)

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        return np.asarray(_map_colours(self.cmap)[levels])


@lru_cache(maxsize=8)
def _map_colours(cmap: str) -> np.ndarray:
    """The map's own colours, ``(levels, 3)``, uint8."""
    from matplotlib import colormaps

    if cmap not in colormaps:
        near = difflib.get_close_matches(str(cmap), list(colormaps))
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise BadInput(f"codec.cmap is {cmap!r}, which matplotlib does not know{hint}")
    colours = colormaps[cmap](np.arange(colormaps[cmap].N))[:, :3]
    return np.asarray(np.rint(255 * colours), np.uint8)


def _run_starts(colours: np.ndarray) -> np.ndarray:
    """Where in ``colours`` each run of equal neighbours begins."""
    return np.flatnonzero(np.append(True, np.diff(colours.astype(int), axis=0).any(axis=1)))


@lru_cache(maxsize=8)
def _map_path(cmap: str) -> Path:
    colours = _map_colours(cmap)
    starts = _run_starts(colours)
    ends = np.append(starts[1:], len(colours)) - 1
    levels = (starts + ends) / 2
    levels[0] = 0  # the floor is silence however many levels share its colour
    distinct = colours[starts].astype(np.float32)
    _refuse_ambiguous(cmap, distinct, starts)
    return Path(distinct, levels.astype(np.float32))


def _refuse_ambiguous(cmap: str, colours: np.ndarray, levels: np.ndarray) -> None:
    """Raise `BadInput` when a map's colours do not tell its levels apart."""
    advice = "; use a map such as viridis, or codec hue"
    steps = np.linalg.norm(np.diff(colours, axis=0), axis=1)
    if not len(steps):
        raise BadInput(f"codec.cmap {cmap} has only one colour{advice}")
    way = np.concatenate([[0], np.cumsum(steps)])
    first, second = np.triu_indices(len(colours), 1)
    apart = np.linalg.norm(colours[first] - colours[second], axis=1)
    share = apart / (way[second] - way[first])
    nearest, widest = int(share.argmin()), int(steps.argmax())
    a, b = levels[first[nearest]], levels[second[nearest]]
    if share[nearest] == 0:
        raise BadInput(f"codec.cmap {cmap} has the same colour at levels {a} and {b}{advice}")
    if share[nearest] < RETURN_RATIO:
        raise BadInput(
            f"codec.cmap {cmap} comes back to itself: levels {a} and {b} are only "
            f"{apart[nearest]:.0f} steps of 255 apart{advice}"
        )
    if steps[widest] > LARGEST_STEP:
        raise BadInput(
            f"codec.cmap {cmap} leaps {steps[widest]:.0f} steps of 255 from level {levels[widest]} "
            f"to {levels[widest + 1]}, so that a blend of the two reads as other levels{advice}"
        )
