"""What storing a picture does to it: the codec's levels and the container's losses."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput
from vocoder.image.codec.base import Codec
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.train.channel.base import Channel

SUBSAMPLINGS = ("4:4:4", "4:2:0")
# No JPEG is wider than 65 500 pixels. Wider pictures are stored in parts, as data sets are: of
# whole blocks of 16, so that the seams are such as there are between any two blocks.
MOST_COLUMNS = 65_488


@dataclass(frozen=True, kw_only=True)
class Stored(Channel):
    """A picture that was written with a codec and read again, and nothing else.

    Parameters
    ----------
    codec : Codec
    jpeg_quality_min, jpeg_quality_max : int or None
        Range that a JPEG's quality is drawn from, its chroma subsampling too; ``None`` for a
        container that keeps every bit.

    Raises
    ------
    BadInput
        Only one end of the range, an empty one, or a codec that a JPEG would destroy.
    """

    codec: Codec
    jpeg_quality_min: int | None
    jpeg_quality_max: int | None

    def __post_init__(self) -> None:
        low, high = self.jpeg_quality_min, self.jpeg_quality_max
        if (low is None) != (high is None):
            raise BadInput("channel.jpeg_quality_min and jpeg_quality_max go together; give both")
        if low is None or high is None:
            return
        if not 1 <= low <= high <= 100:
            raise BadInput(f"channel.jpeg_quality is {low} to {high}; expected 1 to 100, ascending")
        if self.codec.exact or self.codec.mode not in ("L", "RGB"):
            raise BadInput(f"codec {self.codec.name} does not survive a JPEG; use gray8")

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        audible = np.where(decibels > FLOOR_DB, decibels, SILENCE_DB)
        pixels = self.codec.encode(audible, spec)
        if self.jpeg_quality_min is not None and self.jpeg_quality_max is not None:
            quality = int(rng.integers(self.jpeg_quality_min, self.jpeg_quality_max + 1))
            pixels = _through_jpeg(pixels, quality, str(rng.choice(SUBSAMPLINGS)))
        decoded = self.codec.decode(pixels, spec).decibels
        return np.asarray(np.maximum(decoded, np.float32(FLOOR_DB)))


def _through_jpeg(pixels: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    options = {"subsampling": subsampling} if pixels.ndim == 3 else {}
    parts = []
    for begin in range(0, pixels.shape[1], MOST_COLUMNS):
        file = io.BytesIO()
        part = Image.fromarray(pixels[:, begin : begin + MOST_COLUMNS])
        part.save(file, format="JPEG", quality=quality, **options)
        with Image.open(file) as image:
            parts.append(np.asarray(image))
    return np.concatenate(parts, axis=1)
