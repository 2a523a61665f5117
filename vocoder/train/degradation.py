"""Simulated degradations: what an image suffers between the analysis and the inverter.

All of them take decibels ``(bins, frames)``, float32, as a network sees them
(`vocoder.model.features.FLOOR_DB` or more), leave them as they are and return an array of the same
shape. Whatever they draw comes from the generator that they are given.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d, zoom

from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput, expect, expect_ranges
from vocoder.image.codec.base import Codec
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec

SUBSAMPLINGS = ("4:4:4", "4:2:0")
# No JPEG is wider than 65 500 pixels. Wider images are stored in parts, as data sets are: of whole
# blocks of 16, so that the seams are such as there are between any two blocks.
MAX_COLUMNS = 65_488


class Degradation(ABC):
    """An option of ``degradation=``."""

    @abstractmethod
    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        """Degrade one spectrogram."""


@dataclass(frozen=True)
class Clean(Degradation):
    """Changes nothing."""

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        return decibels


@dataclass(frozen=True, kw_only=True)
class Chain(Degradation):
    """One degradation after the other."""

    degradations: Sequence[Degradation]

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        for degradation in self.degradations:
            decibels = degradation(decibels, spec, rng)
        return decibels


@dataclass(frozen=True, kw_only=True)
class Choice(Degradation):
    """One of several degradations."""

    degradations: Sequence[Degradation]
    weights: Sequence[float]  # how often each is drawn; of any sum

    def __post_init__(self) -> None:
        n = len(self.degradations)
        fits = n and len(self.weights) == n and min(self.weights) > 0
        expected = f"a number above 0 for each of the {n} degradations, and at least one of them"
        expect(fits, "degradation.weights", list(self.weights), expected)

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        weights = np.asarray(self.weights, np.float64)
        drawn = self.degradations[int(rng.choice(len(weights), p=weights / weights.sum()))]
        return drawn(decibels, spec, rng)


@dataclass(frozen=True, kw_only=True)
class Sometimes(Degradation):
    """A degradation with some probability, 0 to 1."""

    probability: float
    degradation: Degradation

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", probability=(0, 1))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        return (
            self.degradation(decibels, spec, rng) if rng.random() < self.probability else decibels
        )


@dataclass(frozen=True, kw_only=True)
class Noise(Degradation):
    """Errors of the pixels, independent or as speckle."""

    max_db: float  # standard deviation, drawn from 0 to this
    max_grain: float  # size of the speckle in pixels, drawn from 0 (independent pixels) to this

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", max_db=(0, 60), max_grain=(0, 20))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        field = _smooth_noise(decibels.shape, rng.uniform(0, self.max_grain), rng)
        return _floored(decibels + rng.uniform(0, self.max_db) * field)


@dataclass(frozen=True, kw_only=True)
class Blur(Degradation):
    """A Gaussian blur of the decibels, as networks trained on mean errors give."""

    max_bins: float  # standard deviation, drawn from 0 to this
    max_frames: float  # likewise

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", max_bins=(0, 20), max_frames=(0, 20))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        sigma = (rng.uniform(0, self.max_bins), rng.uniform(0, self.max_frames))
        return np.asarray(gaussian_filter(decibels, sigma, mode="nearest"), np.float32)


@dataclass(frozen=True, kw_only=True)
class Checkerboard(Degradation):
    """The grid of transposed convolutions (Odena, Dumoulin, Olah 2016), of period 2 or 4."""

    max_db: float  # height of the grid, drawn from 0 to this

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", max_db=(0, 30))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        period = int(rng.choice([2, 4]))
        cell = rng.standard_normal((period, period))
        rows, columns = decibels.shape
        grid = np.tile(cell, (-(-rows // period), -(-columns // period)))[:rows, :columns]
        # Networks draw it stronger here and weaker there.
        strength = np.abs(_smooth_noise(decibels.shape, 12.0, rng))
        return _floored(decibels + rng.uniform(0, self.max_db) * grid * strength)


@dataclass(frozen=True, kw_only=True)
class Resize(Degradation):
    """Scaled to another size and back, as image loaders do by default."""

    min_scale: float
    max_scale: float  # junyanz's default of 286 for 256 pixels is 1.12

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", min_scale=(0.1, 4), max_scale=(self.min_scale, 4))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        scale = rng.uniform(self.min_scale, self.max_scale)
        between = zoom(decibels, scale, order=1, mode="nearest", grid_mode=True)
        back = [new / old for new, old in zip(decibels.shape, between.shape, strict=True)]
        return np.asarray(zoom(between, back, order=1, mode="nearest", grid_mode=True), np.float32)


@dataclass(frozen=True, kw_only=True)
class Truncation(Degradation):
    """Fractions of a level cut off instead of rounded: levels are too low by half on average."""

    step_db: float  # a level; 80 dB / 255 for eight bits over 80 dB

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", step_db=(1e-6, 10))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        levels = np.floor((decibels - FLOOR_DB) / self.step_db)
        return np.asarray(FLOOR_DB + levels * self.step_db, np.float32)


@dataclass(frozen=True, kw_only=True)
class BandErrors(Degradation):
    """Every band too loud or too quiet, neighbours alike, and slowly changing."""

    max_db: float  # standard deviation, drawn from 0 to this
    bins: float  # over which the error is alike
    frames: float  # likewise

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", max_db=(0, 30), bins=(0, 1000), frames=(0, 1000))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        field = rng.standard_normal(decibels.shape)
        for axis, size in enumerate((self.bins, self.frames)):
            field = gaussian_filter1d(field, size, axis=axis, mode="reflect")
        field /= max(float(field.std()), 1e-9)
        return _floored(decibels + rng.uniform(0, self.max_db) * field)


@dataclass(frozen=True, kw_only=True)
class LostDetail(Degradation):
    """In patches, harmonics and noise are replaced by what a network invents: another texture.

    The local mean (the envelope) stays, and the fine structure around it is mixed with that of
    another place of the same image.
    """

    max_share: float  # of the area, drawn from 0 to this
    max_mix: float  # how much of a patch's fine structure is foreign, drawn from 0 to this
    envelope_bins: float  # standard deviation of the Gaussian that tells envelope from detail
    envelope_frames: float  # likewise
    max_shift: int  # how far away the foreign structure is taken from, in bins and frames

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", max_share=(0, 1), max_mix=(0, 1), max_shift=(1, 1e5))
        expect_ranges(self, "degradation", envelope_bins=(0.1, 100), envelope_frames=(0.1, 100))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        sigma = (self.envelope_bins, self.envelope_frames)
        envelope = gaussian_filter(decibels, sigma, mode="nearest")
        detail = decibels - envelope
        shift = rng.integers(-self.max_shift, self.max_shift + 1, size=2)
        foreign = np.roll(detail, tuple(int(s) for s in shift), axis=(0, 1))
        field = _smooth_noise(decibels.shape, 6.0, rng)
        edge = np.quantile(field, 1 - rng.uniform(0, self.max_share))
        mask = gaussian_filter((field > edge).astype(np.float32), 1.0)
        mask *= rng.uniform(0, self.max_mix)
        return _floored(envelope + (1 - mask) * detail + mask * foreign)


@dataclass(frozen=True, kw_only=True)
class Stored(Degradation):
    """Written with a codec and read again."""

    codec: Codec
    # A JPEG's quality is drawn from this range, its chroma subsampling too; None keeps every bit.
    jpeg_quality_min: int | None
    jpeg_quality_max: int | None

    def __post_init__(self) -> None:
        low, high = self.jpeg_quality_min, self.jpeg_quality_max
        if (low, high) == (None, None):
            return
        if low is None or high is None or not 1 <= low <= high <= 100:
            raise BadInput(
                f"degradation.jpeg_quality_min and jpeg_quality_max are {low} and {high}; expected "
                "1 to 100, ascending, or null for both",
                key="degradation.jpeg_quality.range",
            )
        if self.codec.exact or self.codec.mode not in ("L", "RGB"):
            raise BadInput(
                f"codec {self.codec.name} does not survive a JPEG; use gray8",
                key="degradation.codec.conflict",
            )

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        audible = np.where(decibels > FLOOR_DB, decibels, SILENCE_DB)
        pixels = self.codec.encode(audible, spec)
        if self.jpeg_quality_min is not None and self.jpeg_quality_max is not None:
            quality = int(rng.integers(self.jpeg_quality_min, self.jpeg_quality_max + 1))
            pixels = _through_jpeg(pixels, quality, str(rng.choice(SUBSAMPLINGS)))
        decoded = self.codec.decode(pixels, spec).decibels
        return np.asarray(np.maximum(decoded, np.float32(FLOOR_DB)))


def _through_jpeg(pixels: Array, quality: int, subsampling: str) -> Array:
    options = {"subsampling": subsampling} if pixels.ndim == 3 else {}
    parts = []
    for begin in range(0, pixels.shape[1], MAX_COLUMNS):
        file = io.BytesIO()
        part = Image.fromarray(pixels[:, begin : begin + MAX_COLUMNS])
        part.save(file, format="JPEG", quality=quality, **options)
        with Image.open(file) as image:
            parts.append(np.asarray(image))
    return np.concatenate(parts, axis=1)


def _smooth_noise(shape: tuple[int, ...], grain: float, rng: Generator) -> Array:
    """Noise of unit variance, alike over ``grain`` pixels."""
    field = rng.standard_normal(shape)
    if grain > 0:
        field = gaussian_filter(field, grain, mode="wrap")
        field /= max(float(field.std()), 1e-9)
    return np.asarray(field, np.float32)


def _floored(decibels: Array) -> Array:
    return np.asarray(np.maximum(decibels, FLOOR_DB), np.float32)
