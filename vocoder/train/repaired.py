"""Images as inverters get them: stored, read again and, if they are JPEGs, repaired."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator

from vocoder import read_spectrogram
from vocoder.decibels import SILENCE_DB
from vocoder.errors import expect_ranges
from vocoder.image.codec.base import JPEG, PNG, Codec
from vocoder.image.file import ImageInfo, write_image
from vocoder.model.features import FLOOR_DB
from vocoder.repair.base import Repair
from vocoder.spec import SpectrogramSpec
from vocoder.train.degradation import Degradation


@dataclass(frozen=True, kw_only=True)
class Repaired(Degradation):
    """Written as PNG or JPEG and read again; what a JPEG has lost, a repair has found."""

    codec: Codec
    jpeg_share: float  # how often it is a JPEG
    jpeg_quality_min: int  # whose quality is drawn from this
    jpeg_quality_max: int  # to this
    repair: Repair

    def __post_init__(self) -> None:
        expect_ranges(self, "degradation", jpeg_share=(0, 1), jpeg_quality_min=(1, 100))
        expect_ranges(self, "degradation", jpeg_quality_max=(self.jpeg_quality_min, 100))

    def __call__(self, decibels: Array, spec: SpectrogramSpec, rng: Generator) -> Array:
        pixels = self.codec.encode(np.where(decibels > FLOOR_DB, decibels, SILENCE_DB), spec)
        info = ImageInfo(spec, self.codec, spec.n_samples(decibels.shape[1]))
        is_jpeg = rng.random() < self.jpeg_share
        quality = int(rng.integers(self.jpeg_quality_min, self.jpeg_quality_max + 1))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"image{(JPEG if is_jpeg else PNG)[0]}"
            write_image(path, pixels, self.codec, info, quality=quality if is_jpeg else None)
            read = read_spectrogram(path)
        found = (self.repair(read) if is_jpeg else read).decibels[0].numpy()
        return np.asarray(np.maximum(found, np.float32(FLOOR_DB)))
