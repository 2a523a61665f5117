"""Images and arrays of other programs: any law, grey or through a colour map."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput
from vocoder.image.codec.base import (
    BMP,
    JPEG,
    PNG,
    TIFF,
    WEBP,
    Codec,
    Decoded,
    channel_spread,
    joined,
    pixel_mode,
    strips,
)
from vocoder.image.codec.law import Law
from vocoder.image.codec.maps import map_colours, map_path
from vocoder.spec import SpectrogramSpec

CHANNELS = {"mean": None, "red": 0, "green": 1, "blue": 2}


@dataclass(frozen=True, kw_only=True)
class Foreign(Law, Codec):
    """The codec of images and arrays that follow a `Law`.

    Parameters
    ----------
    channel : {"mean", "red", "green", "blue"}
        Which channel of a colour image holds the numbers (stereo in two channels, say).
    cmap : str or None
        The colour map: a name of matplotlib's or of `maps.EXTRA`, or an image of its colour bar,
        cut out, from quiet (left or bottom) to loud. ``None``: grey.
    """

    name: ClassVar[str] = "foreign"
    mode: ClassVar[str] = "RGB"
    suffixes: ClassVar[tuple[str, ...]] = PNG + JPEG + WEBP + TIFF + BMP

    channel: str = "mean"
    cmap: str | None = None

    def __post_init__(self) -> None:
        Law.__post_init__(self)
        self._require(self.channel in CHANNELS, "channel", f"one of {tuple(CHANNELS)}")
        if self.cmap is not None:
            self._require(self.channel == "mean", "channel", "mean beside a colour map")
            map_path(self.cmap)

    @property
    def modes(self) -> tuple[str, ...]:
        return ("L", "RGB", "I;16", "F")

    @property
    def caveat(self) -> str:
        if self.reference != "max":
            return ""
        return (
            "the file does not hold its level (codec.reference=max): the loudest was brought to "
            f"{self.max_db:g} dB of a full-scale sine, which may be several dB too quiet; "
            "gain=peak makes it as loud as a file can be, codec.max_db= sets another level"
        )

    def reference_db(self, spec: SpectrogramSpec) -> float:
        return self._shift(spec, 0.0)

    def resolution_db(self) -> float:
        """The step between neighbouring levels of 8 bits, in dB; of what is 0 in silence the
        topmost one."""
        low, high = self.ends()
        if self.unit == "linear":
            return 20 / self.exponent * math.log10(256 / 255)
        if self.unit == "log1p":
            return 20 * math.log10(math.expm1(high or 1.0) / math.expm1((high or 1.0) * 254 / 255))
        unit_db = {"db": 1.0, "ln": 20 / math.log(10), "log10": 20.0}[self.unit]
        return unit_db * ((high or 0) - (low or 0)) / 255

    def encode(self, decibels: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        self._check_shape(decibels, spec)
        fractions = self.decibels_to_fractions(decibels, spec)
        if self.row_0 != "low":
            fractions = fractions[::-1]
        if self.transposed:
            fractions = fractions.T
        if self.cmap is None:
            return np.ascontiguousarray(np.rint(255 * fractions), np.uint8)
        colours = map_colours(self.cmap)
        return np.asarray(colours[np.rint((len(colours) - 1) * fractions).astype(int)])

    def decode(self, pixels: np.ndarray, spec: SpectrogramSpec) -> Decoded:
        mode = pixel_mode(pixels)
        pixels = self._arrange(pixels, row_0=self.row_0 or "high")
        if mode == "F":
            return Decoded(self._of_array(pixels, spec))
        distances: list[np.ndarray | None] = []

        def one_by_one() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for strip in strips(pixels):
                fractions, distance = self._fractions(pixels[:, strip], mode)
                distances.append(distance)
                yield self._of_fractions(fractions)

        db = self._placed(one_by_one(), spec)
        return Decoded(_audible(db), joined(distances))

    def decode_array(self, numbers: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        """Read an array of numbers, ``(bins, frames)`` as a rule, as decibels."""
        return self._of_array(self._arrange(numbers, row_0=self.row_0 or "low"), spec)

    def _of_array(self, numbers: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        pieces = (self._of_numbers(numbers[:, strip]) for strip in strips(numbers))
        return _audible(self._placed(pieces, spec))

    def _arrange(self, pixels: np.ndarray, row_0: str) -> np.ndarray:
        """Cut out, turn: frequencies upwards from row 0, time across."""
        if self.crop is not None:
            left, top, right, bottom = self.crop
            pixels = pixels[top : bottom or None, left : right or None]
            if not pixels.size:
                raise BadInput(f"codec.crop {self.crop} leaves nothing", key="codec.crop")
        if self.transposed:
            pixels = np.swapaxes(pixels, 0, 1)
        return pixels[::-1] if row_0 == "high" else pixels

    def _fractions(self, pixels: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels to fractions of 0 to 1, and how far each lies off the map or off grey."""
        if self.cmap is not None:
            if mode == "I;16":
                pixels = pixels / np.float32(257)
            colours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            levels, distance = map_path(self.cmap).nearest(colours)
            return levels / (len(map_colours(self.cmap)) - 1), distance
        if mode == "I;16":
            return pixels / 65535, None
        if pixels.ndim == 2:
            return pixels / 255, None
        chosen = CHANNELS[self.channel]
        if chosen is not None:
            return pixels[..., chosen] / 255, None
        spread = channel_spread(pixels).astype(np.float32)
        return pixels.mean(axis=2, dtype=np.float64) / 255, spread

    def _write(self, db: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _read(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        raise NotImplementedError


def _audible(db: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(db, np.float32(SILENCE_DB), out=db))
