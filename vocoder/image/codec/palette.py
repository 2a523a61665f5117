"""Codecs that walk a path through the colour cube: a level is a place on the path."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import scipy  # its packages are imported at their first use

from vocoder.errors import expect
from vocoder.image.codec.base import JPEG, PNG, WEBP, LevelCodec, require_number
from vocoder.image.codec.maps import Path, map_colours, map_path, run_starts

DECODERS = ("nearest", "neighbours")
# Trust in a pixel falls with its distance from the path as a Gaussian of this width, in 8-bit
# steps: noise of 6 levels a channel puts pixels some 8 steps off and should change nothing, while a
# blend of two distant stretches is 40 to 120 off. Of 5 to 90 the best mean ESTOI on 16 training
# utterances degraded as a wavering generator does (recipes/colours.md).
TRUST_STEPS = 60.0
# Distrusted pixels are filled from about their eight nearest neighbours.
FILL_PIXELS = 0.7
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


@dataclass(frozen=True, kw_only=True)
class PathCodec(LevelCodec):
    """A codec whose levels are places on a path through the colour cube.

    Parameters
    ----------
    decoder : {"nearest", "neighbours"}
        ``nearest`` takes every pixel for the nearest colour of the path. A generator that wavers
        between two levels draws a blend of their colours, and the nearest colour of a blend may
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
        known = self.decoder in DECODERS
        expect(known, "codec.decoder", self.decoder, f"one of {DECODERS}", "unknown")
        require_number(self.trust_steps, "codec.trust_steps", "8-bit steps")
        expect(self.trust_steps > 0, "codec.trust_steps", self.trust_steps, "above 0")

    @abstractmethod
    def path(self) -> Path:
        """The path that levels 0 to `top` walk."""

    def _levels(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
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
    own = scipy.ndimage.gaussian_filter(np.diag([0.0, 1, 0]), FILL_PIXELS, radius=1)[1, 1]

    def around(values: np.ndarray) -> np.ndarray:
        blurred = scipy.ndimage.gaussian_filter(values, FILL_PIXELS, radius=1, mode="nearest")
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
    top = EDGE * (len(HUE_CORNERS) - 1)

    def path(self) -> Path:
        # Every 15th level is enough, for the path is straight in between.
        levels = np.arange(0, self.top + 1, 15)
        return Path(self._colours(levels).astype(np.float32), levels.astype(np.float32))

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        edge = np.minimum(levels // EDGE, len(HUE_CORNERS) - 2)
        step = np.diff(HUE_CORNERS, axis=0)[edge] // EDGE
        return np.asarray(HUE_CORNERS[edge] + (levels - EDGE * edge)[..., None] * step, np.uint8)


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
    def modes(self) -> tuple[str, ...]:
        """Grey too, for maps such as ``gray_r``."""
        return ("RGB", "L")

    @property
    def top(self) -> int:
        return len(map_colours(self.cmap)) - 1

    def resolution_db(self) -> float:
        """The step between levels, times as many as share a colour where the map is dullest."""
        starts = run_starts(map_colours(self.cmap))
        return self.step_db * int(np.diff(np.append(starts, self.top + 1)).max())

    def path(self) -> Path:
        return map_path(self.cmap)

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        return np.asarray(map_colours(self.cmap)[levels])
