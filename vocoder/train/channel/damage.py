"""What networks and careless programs do to a picture: noise, blur, grids, lost detail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, zoom

from vocoder.errors import BadInput
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.train.channel.base import Channel, require_range


@dataclass(frozen=True, kw_only=True)
class Noise(Channel):
    """Independent errors of the pixels, partly smooth.

    Parameters
    ----------
    max_db : float
        Standard deviation, drawn from 0 to this.
    max_grain : float
        Size of the speckle in pixels, drawn from 0 (independent pixels) to this.

    Raises
    ------
    BadInput
        A setting out of range; so do all channels here.
    """

    max_db: float
    max_grain: float

    def __post_init__(self) -> None:
        require_range(self.max_db, "max_db", 0, 60)
        require_range(self.max_grain, "max_grain", 0, 20)

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        field = _smooth_noise(decibels.shape, rng.uniform(0, self.max_grain), rng)
        return _floored(decibels + rng.uniform(0, self.max_db) * field)


@dataclass(frozen=True, kw_only=True)
class Blur(Channel):
    """A Gaussian blur of the decibels, as networks trained on mean errors paint.

    Parameters
    ----------
    max_bins, max_frames : float
        Standard deviations, each drawn from 0 to this.
    """

    max_bins: float
    max_frames: float

    def __post_init__(self) -> None:
        require_range(self.max_bins, "max_bins", 0, 20)
        require_range(self.max_frames, "max_frames", 0, 20)

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        sigma = (rng.uniform(0, self.max_bins), rng.uniform(0, self.max_frames))
        return np.asarray(gaussian_filter(decibels, sigma, mode="nearest"), np.float32)


@dataclass(frozen=True, kw_only=True)
class Checkerboard(Channel):
    """The grid that transposed convolutions leave (Odena, Dumoulin, Olah 2016), of period 2 or 4.

    Parameters
    ----------
    max_db : float
        Height of the grid, drawn from 0 to this.
    """

    max_db: float

    def __post_init__(self) -> None:
        require_range(self.max_db, "max_db", 0, 30)

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        period = int(rng.choice([2, 4]))
        cell = rng.standard_normal((period, period))
        rows, columns = decibels.shape
        grid = np.tile(cell, (-(-rows // period), -(-columns // period)))[:rows, :columns]
        # Networks draw it stronger here and weaker there.
        strength = np.abs(_smooth_noise(decibels.shape, 12.0, rng))
        return _floored(decibels + rng.uniform(0, self.max_db) * grid * strength)


@dataclass(frozen=True, kw_only=True)
class Resize(Channel):
    """Scaled to another size and back, as image loaders do by default.

    Parameters
    ----------
    min_scale, max_scale : float
        Range of the scale; junyanz's default of 286 for 256 pixels is 1.12.
    """

    min_scale: float
    max_scale: float

    def __post_init__(self) -> None:
        require_range(self.min_scale, "min_scale", 0.1, 4)
        require_range(self.max_scale, "max_scale", self.min_scale, 4)

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        scale = rng.uniform(self.min_scale, self.max_scale)
        between = zoom(decibels, scale, order=1, mode="nearest", grid_mode=True)
        back = [new / old for new, old in zip(decibels.shape, between.shape, strict=True)]
        return np.asarray(zoom(between, back, order=1, mode="nearest", grid_mode=True), np.float32)


@dataclass(frozen=True, kw_only=True)
class Truncation(Channel):
    """Fractions of a level cut off instead of rounded: every level is too low by half on average.

    Parameters
    ----------
    step_db : float
        A level; 80 dB / 255 for eight bits over 80 dB.
    """

    step_db: float

    def __post_init__(self) -> None:
        require_range(self.step_db, "step_db", 1e-6, 10)

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        levels = np.floor((decibels - FLOOR_DB) / self.step_db)
        return np.asarray(FLOOR_DB + levels * self.step_db, np.float32)


@dataclass(frozen=True, kw_only=True)
class BandErrors(Channel):
    """Every band too loud or too quiet, neighbours alike, and slowly changing.

    Parameters
    ----------
    max_db : float
        Standard deviation, drawn from 0 to this.
    bins, frames : float
        Over how many bins and frames the error is alike.
    """

    max_db: float
    bins: float
    frames: float

    def __post_init__(self) -> None:
        require_range(self.max_db, "max_db", 0, 30)
        require_range(self.bins, "bins", 0, 1000)
        require_range(self.frames, "frames", 0, 1000)

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        field = rng.standard_normal(decibels.shape)
        for axis, size in enumerate((self.bins, self.frames)):
            field = gaussian_filter1d(field, size, axis=axis, mode="reflect")
        field /= max(float(field.std()), 1e-9)
        return _floored(decibels + rng.uniform(0, self.max_db) * field)


@dataclass(frozen=True, kw_only=True)
class LostDetail(Channel):
    """In patches, harmonics and noise are replaced by what a network invents: another texture.

    The local mean (the envelope) stays, and the fine structure around it is mixed with that of
    another place of the same picture.

    Parameters
    ----------
    max_share : float
        Of the picture's area, drawn from 0 to this.
    max_mix : float
        How much of the fine structure is foreign within a patch, drawn from 0 to this.
    envelope_bins, envelope_frames : float
        Standard deviations of the Gaussian that separates envelope from fine structure.
    max_shift : int
        How far away the foreign structure is taken from, in bins and frames.
    """

    max_share: float
    max_mix: float
    envelope_bins: float
    envelope_frames: float
    max_shift: int

    def __post_init__(self) -> None:
        require_range(self.max_share, "max_share", 0, 1)
        require_range(self.max_mix, "max_mix", 0, 1)
        require_range(self.envelope_bins, "envelope_bins", 0.1, 100)
        require_range(self.envelope_frames, "envelope_frames", 0.1, 100)
        if self.max_shift < 1:
            raise BadInput(f"channel.max_shift is {self.max_shift}; expected at least 1")

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        sigma = (self.envelope_bins, self.envelope_frames)
        envelope = gaussian_filter(decibels, sigma, mode="nearest")
        detail = decibels - envelope
        shift = rng.integers(-self.max_shift, self.max_shift + 1, size=2)
        foreign = np.roll(detail, tuple(int(s) for s in shift), axis=(0, 1))
        field = _smooth_noise(decibels.shape, 6.0, rng)
        edge = np.quantile(field, 1 - rng.uniform(0, self.max_share))
        mask = gaussian_filter((field > edge).astype(np.float32), 1.0) * rng.uniform(
            0, self.max_mix
        )
        return _floored(envelope + (1 - mask) * detail + mask * foreign)


def _smooth_noise(shape: tuple[int, ...], grain: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit variance, alike over ``grain`` pixels."""
    field = rng.standard_normal(shape)
    if grain > 0:
        field = gaussian_filter(field, grain, mode="wrap")
        field /= max(float(field.std()), 1e-9)
    return np.asarray(field, np.float32)


def _floored(decibels: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(decibels, FLOOR_DB), np.float32)
