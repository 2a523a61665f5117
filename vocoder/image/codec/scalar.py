"""Codecs that write a level or the decibels themselves as a number, in one channel or in three."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vocoder.errors import BadInput
from vocoder.image.codec.base import JPEG, PNG, TIFF, WEBP, Codec, LevelCodec


@dataclass(frozen=True, kw_only=True)
class Gray8(LevelCodec):
    """Eight-bit grey. Three channels, as pix2pix returns them, are averaged."""

    name: ClassVar[str] = "gray8"
    mode: ClassVar[str] = "L"
    suffixes: ClassVar[tuple[str, ...]] = PNG + JPEG + WEBP
    top = 255

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        return levels.astype(np.uint8)

    def _levels(self, pixels: np.ndarray) -> tuple[np.ndarray, None]:
        if pixels.ndim == 2:
            return pixels, None
        # Faster than a mean over the last axis, which numpy takes pixel by pixel.
        red, green, blue = np.moveaxis(pixels.astype(np.float32), 2, 0)
        return (red + green + blue) / 3, None


@dataclass(frozen=True, kw_only=True)
class Gray16(LevelCodec):
    """Sixteen-bit grey, for archives: pix2pix programs destroy such images."""

    name: ClassVar[str] = "gray16"
    mode: ClassVar[str] = "I;16"
    suffixes: ClassVar[tuple[str, ...]] = PNG
    exact: ClassVar[bool] = True
    top = 65535

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        return levels.astype(np.uint16)

    def _levels(self, pixels: np.ndarray) -> tuple[np.ndarray, None]:
        return pixels, None


@dataclass(frozen=True, kw_only=True)
class RgbSum(LevelCodec):
    """The value spread over three channels: their sum, 0 to 765, is the level, and neighbouring
    levels differ by one step of one channel, so that it still looks grey."""

    name: ClassVar[str] = "rgb_sum"
    mode: ClassVar[str] = "RGB"
    suffixes: ClassVar[tuple[str, ...]] = PNG + JPEG + WEBP
    top = 3 * 255

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        return np.stack([(levels + 2) // 3, (levels + 1) // 3, levels // 3], axis=2).astype(
            np.uint8
        )

    def _levels(self, pixels: np.ndarray) -> tuple[np.ndarray, None]:
        return pixels.sum(axis=2, dtype=np.float64), None


@dataclass(frozen=True, kw_only=True)
class Rgb24(LevelCodec):
    """One 24-bit integer, its high byte in red. Only for containers that keep every bit."""

    name: ClassVar[str] = "rgb24"
    mode: ClassVar[str] = "RGB"
    suffixes: ClassVar[tuple[str, ...]] = PNG + TIFF
    exact: ClassVar[bool] = True
    top = 2**24 - 1

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        channels = [levels >> 16, levels >> 8 & 255, levels & 255]
        return np.stack(channels, axis=2).astype(np.uint8)

    def _levels(self, pixels: np.ndarray) -> tuple[np.ndarray, None]:
        if pixels.dtype != np.uint8:
            raise BadInput(
                "codec rgb24 reads whole bytes; these pixels are floating-point numbers",
                key="image.mode",
            )
        return np.asarray(pixels.astype(np.int64) @ [1 << 16, 1 << 8, 1]), None


@dataclass(frozen=True, kw_only=True)
class Float32(Codec):
    """Decibels themselves, as floating-point numbers."""

    name: ClassVar[str] = "float32"
    mode: ClassVar[str] = "F"
    suffixes: ClassVar[tuple[str, ...]] = TIFF
    exact: ClassVar[bool] = True

    def resolution_db(self) -> float:
        """The spacing of float32 numbers at the end of the range where it is widest."""
        return float(np.spacing(np.float32(max(abs(self.db_min), abs(self.db_max)))))

    def _write(self, db: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(db, self.db_min, self.db_max), np.float32)

    def _read(self, pixels: np.ndarray) -> tuple[np.ndarray, None]:
        audible = pixels > np.float32(self.db_min)
        return np.where(audible, pixels.astype(np.float64), -np.inf), None
