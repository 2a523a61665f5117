"""Codecs: how the decibels of a spectrogram become pixels, and how pixels become values again."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import Field, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput, expect
from vocoder.spec import SpectrogramSpec

# Levels up to here are written as 0.
SILENT_LEVEL = 0.5

PNG, JPEG, WEBP, TIFF = (".png",), (".jpg", ".jpeg"), (".webp",), (".tif", ".tiff")
BMP, GIF, PPM = (".bmp",), (".gif",), (".ppm", ".pgm", ".pnm")  # only read
# What is decoded at a time: numbers take eight bytes and more where pixels take one.
STRIP_PIXELS = 1 << 21
# All that are read, the likeliest to be whole first: of images of one stem one is taken.
IMAGE_SUFFIXES = PNG + TIFF + BMP + PPM + GIF + WEBP + JPEG
MODE_WORDS = {
    "L": "8-bit grey (mode L)",
    "RGB": "8-bit colour (mode RGB)",
    "I;16": "16-bit grey (mode I;16)",
    "F": "floating-point (mode F)",
}


@dataclass(frozen=True)
class Decoded:
    """What an image says.

    Parameters
    ----------
    decibels : ndarray
        ``(bins, frames)``, float32, relative to a full-scale sine; `vocoder.decibels.SILENCE_DB`
        where the image stands at its floor. Of several analyses one below the other.
    distance : ndarray or None
        ``(bins, frames)``, float32: how far each pixel's colour lies from the codec's path, in
        8-bit steps (Euclidean); of large images ``(1, frames)``, means. ``None`` for codecs in
        which every pixel is a valid one.
    """

    decibels: np.ndarray
    distance: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Codec(ABC):
    """One way of writing decibels into pixels; each class is one option of ``codec=``.

    The range is fixed for a data set, never adapted to an image, or else the level would jump
    from tile to tile. What lies beyond the range is clipped; a pixel at the floor means silence.

    Parameters
    ----------
    db_min, db_max : float
        What the darkest and the brightest pixel mean, in dB above `reference_db`.
    """

    name: ClassVar[str]  # in conf/codec and in an image's metadata
    mode: ClassVar[str]  # Pillow's mode: "L", "I;16", "F" or "RGB"
    suffixes: ClassVar[tuple[str, ...]]  # of the containers that keep what the codec needs
    exact: ClassVar[bool] = False  # whether a lossy container would destroy the values
    top_down: ClassVar[bool] = True  # whether row 0 is the highest band
    in_strips: ClassVar[bool] = False  # whether columns decode alike whatever is around them

    db_min: float
    db_max: float

    def __post_init__(self) -> None:
        for name in ("db_min", "db_max"):
            require_number(getattr(self, name), f"codec.{name}", "dB")
        below = f"below codec.db_max, {self.db_max:g}"
        expect(self.db_min < self.db_max, "codec.db_min", self.db_min, below)

    @abstractmethod
    def resolution_db(self) -> float:
        """The exact step between neighbouring levels, in dB."""

    def reference_db(self, spec: SpectrogramSpec) -> float:
        """What the codec counts as 0 dB, in dB of a full-scale sine."""
        return 0.0

    def analyses(self, spec: SpectrogramSpec) -> tuple[tuple[SpectrogramSpec, float], ...]:
        """What stands in an image: the spec of each analysis, ``spec`` first, and its weight
        (`vocoder.spectrogram.Spectrogram`)."""
        return ((spec, 1.0),)

    @property
    def caveat(self) -> str:
        """What whoever reads its images has to know; empty where there is nothing."""
        return ""

    @property
    def modes(self) -> tuple[str, ...]:
        """The Pillow modes that its images may have: a grey image may be stored with three
        equal channels, since most pix2pix programs read and write nothing else."""
        return ("L", "RGB") if self.mode == "L" else (self.mode,)

    @property
    def suits_networks(self) -> bool:
        """Whether pix2pix programs can read its images, and write such: 8 bits, none sacred."""
        return self.mode in ("L", "RGB") and not self.exact

    def encode(self, decibels: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        """Write a spectrogram into pixels.

        Parameters
        ----------
        decibels : ndarray
            ``(bins, frames)``, relative to a full-scale sine; of several analyses one below the
            other, in the order of `analyses`.
        spec : SpectrogramSpec

        Returns
        -------
        ndarray
            ``(rows, columns)``, or ``(rows, columns, 3)`` for mode RGB, as Pillow wants it for
            `mode`; row 0 is the highest band unless the codec says otherwise.
        """
        self._check_shape(decibels, spec)
        if not np.isfinite(decibels).all():
            raise BadInput("spectrogram holds infinite values or NaN", key="spectrogram.finite")
        pixels = self._write(decibels - np.float64(self.reference_db(spec)))
        return np.ascontiguousarray(pixels[::-1] if self.top_down else pixels)

    def decode(self, pixels: np.ndarray, spec: SpectrogramSpec) -> Decoded:
        """Read a spectrogram from pixels.

        Parameters
        ----------
        pixels : ndarray
            As `encode` returns them; of 8-bit codecs also float32 from 0 to 255, dequantised.
        spec : SpectrogramSpec
        """
        self._check_kind(pixels)
        if pixels.shape[0] != spec.bins:
            fix = "what was resized must be made again (vocoder doctor names the options)"
            if pixels.shape[1] == spec.bins:
                fix = f"it seems to be transposed: {self.advice('transposed', 'true')}"
            raise BadInput(
                f"image is {pixels.shape[1]} wide and {pixels.shape[0]} high; expected "
                f"{spec.bins} rows; {fix}",
                key="image.size",
            )
        upwards = pixels[::-1] if self.top_down else pixels
        rows, columns = len(self.analyses(spec)) * spec.bins, pixels.shape[1]
        decibels = np.empty((rows, columns), np.float32)
        distances = []
        for strip in strips(pixels) if self.in_strips else [slice(0, columns)]:
            begin, end = max(0, strip.start - 1), strip.stop + 1  # decoders look at neighbours
            db, distance = self._read(upwards[:, begin:end])
            inner = slice(strip.start - begin, strip.stop - begin)
            np.maximum(db[:, inner] + self.reference_db(spec), SILENCE_DB, out=decibels[:, strip])
            distances.append(None if distance is None else distance[:, inner])
        return Decoded(decibels, joined(distances))

    @abstractmethod
    def _write(self, db: np.ndarray) -> np.ndarray:
        """dB above `reference_db` to pixels, without turning them upside down."""

    @abstractmethod
    def _read(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels to dB above `reference_db`, -inf for silence, and the distance of `Decoded`."""

    def _check_shape(self, decibels: np.ndarray, spec: SpectrogramSpec) -> None:
        bins = len(self.analyses(spec)) * spec.bins
        if decibels.ndim != 2 or decibels.shape[0] != bins or not decibels.size:
            raise BadInput(
                f"spectrogram has shape {decibels.shape}; expected ({bins}, frames) "
                f"for {spec.describe()}",
                key="spectrogram.shape",
            )

    def _check_kind(self, pixels: np.ndarray) -> None:
        """Refuse pixels of another kind than the codec's."""
        found = pixel_mode(pixels)
        dequantised = found == "F" and "L" in self.modes
        if found not in self.modes and not dequantised:
            raise BadInput(
                f"image is {MODE_WORDS[found]}; codec {self.name} needs {MODE_WORDS[self.mode]}; "
                "give the codec that the image was made with"
                + ", or convert it to 8 bits"
                * (found == "I;16" and "L" in self.modes),
                key="image.mode",
            )
        if pixels.dtype == np.float32 and self.mode in ("L", "RGB"):
            low, high = float(pixels.min()), float(pixels.max())
            if not (low >= 0 and high <= 255):
                raise BadInput(
                    f"image holds floating-point values from {low:g} to {high:g}; codec "
                    f"{self.name} needs 0 to 255 (TIFFs of decibels are float32 or seed_tiff)",
                    key="image.range",
                )

    def describe(self) -> str:
        """As the command line's settings.

        >>> from vocoder import load
        >>> load("codec", "gray8", db_min=-80).describe()
        'codec=gray8 codec.db_min=-80 codec.db_max=0.0'
        """
        name, *values = self.to_dict().items()
        return " ".join([f"codec={name[1]}", *(f"codec.{key}={value}" for key, value in values)])

    def advice(self, key: str, value: str, other: str = "foreign") -> str:
        """The settings that change nothing but a key: the codec stays unless only another has it.

        >>> from vocoder import load
        >>> load("codec", "librosa").advice("row_0", "low")
        'codec.row_0=low'
        >>> load("codec", "gray8").advice("row_0", "low")
        'codec=foreign codec.row_0=low'
        """
        if hasattr(self, key):
            return f"codec.{key}={value}"
        drawn = f"codec.cmap={self.cmap} " if hasattr(self, "cmap") else ""
        return f"codec={other} {drawn}codec.{key}={value}"

    def to_dict(self) -> dict[str, Any]:
        """Name and fields as plain values, for JSON and YAML.

        Fields that only say how to read are left out, here and when codecs are compared; so are
        those that have their default.
        """
        return {"name": self.name} | {
            field.name: value
            for field in self.layout_fields()
            if (value := getattr(self, field.name)) != field.default
        }

    @classmethod
    def layout_fields(cls) -> list[Field]:
        """The fields that say how an image was written."""
        return [field for field in fields(cls) if field.init and field.compare]


class LevelCodec(Codec):
    """A codec with evenly spaced levels, 0 for `db_min` to `top` for `db_max`."""

    in_strips: ClassVar[bool] = True

    @property
    @abstractmethod
    def top(self) -> int:
        """The highest level."""

    @property
    def step_db(self) -> float:
        """From one level to the next."""
        return (self.db_max - self.db_min) / self.top

    def resolution_db(self) -> float:
        return self.step_db

    @abstractmethod
    def _colours(self, levels: np.ndarray) -> np.ndarray:
        """Whole levels ``(rows, columns)``, int64, to pixels."""

    @abstractmethod
    def _levels(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Pixels to levels, which may lie between whole ones, and the distance of `Decoded`."""

    def levels(self, decibels: np.ndarray) -> np.ndarray:
        """Decibels, as `encode` takes them, to levels between whole ones; nothing is turned."""
        placed = (np.clip(decibels, self.db_min, self.db_max) - self.db_min) / self.step_db
        return np.asarray(placed)

    def decibels(self, levels: np.ndarray) -> np.ndarray:
        """Back from `levels`; what would be written as level 0 is silence.

        Not only 0 itself: a shade above it, such as rounding leaves, is noise where there is none.
        """
        heard = np.where(levels > SILENT_LEVEL, levels, 0)
        return np.asarray(np.maximum(self._loudness(heard), SILENCE_DB))

    def _loudness(self, levels: np.ndarray) -> np.ndarray:
        return np.where(levels > 0, self.db_min + levels * self.step_db, -np.inf)

    def _write(self, db: np.ndarray) -> np.ndarray:
        return self._colours(np.rint(self.levels(db)).astype(np.int64))

    def _read(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        levels, distance = self._levels(pixels)
        return self._loudness(levels), distance


def pixel_mode(pixels: np.ndarray) -> str:
    """The Pillow mode of an array: ``L``, ``RGB``, ``I;16`` or ``F``. Three channels of float32
    are RGB whose rounding was undone.
    """
    grey = {np.dtype(np.uint8): "L", np.dtype(np.uint16): "I;16", np.dtype(np.float32): "F"}
    if pixels.size and pixels.ndim == 2 and pixels.dtype in grey:
        return grey[pixels.dtype]
    if pixels.size and pixels.shape[2:] == (3,) and pixels.dtype in (np.uint8, np.float32):
        return "RGB"
    raise BadInput(
        f"pixels are {pixels.dtype} of shape {pixels.shape}; expected (rows, columns) of uint8, "
        "uint16 or float32, or (rows, columns, 3) of uint8 or float32",
        key="pixels.shape",
    )


def strips(pixels: np.ndarray) -> list[slice]:
    """Columns ``(rows, columns, ...)`` in pieces of about `STRIP_PIXELS`."""
    rows, columns = pixels.shape[:2]
    width = max(1, STRIP_PIXELS // max(1, rows))
    return [slice(begin, min(begin + width, columns)) for begin in range(0, columns, width)]


def joined(distances: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Distances of strips as one; of many strips a mean for every column."""
    found = [one for one in distances if one is not None]
    if len(found) > 1:
        found = [one.mean(axis=0, keepdims=True) for one in found]
    return np.concatenate(found, axis=1) if found else None


def channel_spread(pixels: np.ndarray) -> np.ndarray:
    """By how much the three channels of an image that should be grey disagree.

    Parameters
    ----------
    pixels : ndarray
        ``(rows, columns)`` or ``(rows, columns, 3)``.

    Returns
    -------
    ndarray
        ``(rows, columns)``, of the pixels' type: largest minus smallest channel, 0 for one channel.
    """
    if pixels.ndim == 2:
        return np.zeros_like(pixels)
    return np.asarray(np.maximum.reduce(planes(pixels)) - np.minimum.reduce(planes(pixels)))


def planes(pixels: np.ndarray) -> list[np.ndarray]:
    """The three channels apart: numpy is slow at reducing a last axis of three."""
    return [pixels[..., channel] for channel in range(3)]


def require_number(value: object, what: str, unit: str) -> None:
    """Raise `BadInput` unless ``value`` is a finite number."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    expect(ok, what, value, f"a finite number of {unit}")
