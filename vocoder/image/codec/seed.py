"""Codecs of older code: librosa's decibels pasted into an image, so that such images open.

Both hold an STFT magnitude array as it is: row 0 is bin 0, so the image stands on its head
compared with the other codecs. Their 0 dB is not a full-scale sine but what librosa took for it.
Both were written with ``top_db=80``: everything more than 80 dB below the loudest value was raised
to that floor. The floor decodes to silence, unlike `librosa.db_to_amplitude`, which leaves a
carpet of noise there (eight clean utterances, Griffin-Lim 32: PESQ 2.5 with it, 3.8 without).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput, expect
from vocoder.image.codec.base import JPEG, TIFF, Codec, Decoded, require_number
from vocoder.image.codec.law import magnitude_of_1_db
from vocoder.spec import SpectrogramSpec

# Defaults of librosa.amplitude_to_db: amin 1e-5, and top_db.
AMIN_DB = -100.0
TOP_DB = 80.0
# Of speech in dB of full scale, as in ITU-T P.800's tests.
USUAL_LEVEL_DB = -26.0
# The largest magnitude that librosa's default window gives: it sums to 1024 over 2048 samples.
LOUDEST_DB = 20 * math.log10(1024)


@dataclass(frozen=True, kw_only=True)
class SeedTiff(Codec):
    """``librosa.amplitude_to_db(abs(stft))`` saved as a TIFF of floating-point numbers.

    0 dB is a magnitude of 1. The range is librosa's, not a choice. Only the phase, and what lay
    under the floor, is lost.
    """

    name: ClassVar[str] = "seed_tiff"
    mode: ClassVar[str] = "F"
    suffixes: ClassVar[tuple[str, ...]] = TIFF
    exact: ClassVar[bool] = True
    top_down: ClassVar[bool] = False

    db_min: float = field(init=False, default=AMIN_DB)
    db_max: float = field(init=False, default=LOUDEST_DB)

    def resolution_db(self) -> float:
        """The spacing of float32 numbers at the far end of the range."""
        return float(np.spacing(np.float32(abs(self.db_min))))

    def reference_db(self, spec: SpectrogramSpec) -> float:
        """A magnitude of 1."""
        return magnitude_of_1_db(spec)

    def _write(self, db: np.ndarray) -> np.ndarray:
        return np.asarray(_as_librosa(db, AMIN_DB), np.float32)

    def _read(self, pixels: np.ndarray) -> tuple[np.ndarray, None]:
        # Not "80 dB below the loudest": the image may be a part of the array.
        return np.where(pixels > pixels.min(), pixels.astype(np.float64), -np.inf), None


@dataclass(frozen=True, kw_only=True)
class SeedJpeg(Codec):
    """``Image.fromarray(librosa.amplitude_to_db(abs(stft), ref=np.median)).convert("L")``, JPEG.

    Pillow's conversion of floating-point numbers turns what is negative into 0, what is above 255
    into 255, and cuts off the fraction of the rest. So lost for good are the phase; everything
    quieter than the median magnitude, or more than 80 dB below the loudest; everything finer than
    1 dB; what JPEG blurs; and the level, since the median is not kept. Pixels decode to the
    middle of their step.

    Parameters
    ----------
    median_db : float or None
        The median magnitude in dB above 1, which is where 0 stands; recordings of speech had -15
        to -70, by the noise of their pauses. ``None``, where nobody knows it, gives what is decoded
        a usual level, `USUAL_LEVEL_DB`, and writes no images.
    margin_db : float
        Up to how far above the floor a pixel still counts as silence. JPEG smears the floor by up
        to 4 levels at Pillow's default quality; with 0, decoding inverts encoding.
    """

    name: ClassVar[str] = "seed_jpeg"
    mode: ClassVar[str] = "L"
    suffixes: ClassVar[tuple[str, ...]] = JPEG
    top_down: ClassVar[bool] = False

    db_min: float = field(init=False, default=0.0)
    db_max: float = field(init=False, default=255.0)
    median_db: float | None
    margin_db: float = field(default=4.0, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("median_db", "margin_db"):
            if (value := getattr(self, name)) is not None:
                require_number(value, f"codec.{name}", "dB")
        expect(self.margin_db >= 0, "codec.margin_db", self.margin_db, "0 or more")

    def resolution_db(self) -> float:
        """One decibel a level."""
        return 1.0

    def reference_db(self, spec: SpectrogramSpec) -> float:
        """The median magnitude."""
        return (self.median_db or 0.0) + magnitude_of_1_db(spec)

    @property
    def caveat(self) -> str:
        if self.median_db is not None:
            return ""
        return (
            "these images do not hold their level: speech was brought to a usual "
            f"{USUAL_LEVEL_DB:g} dB of full scale; codec.median_db= or gain= sets another"
        )

    def decode(self, pixels: np.ndarray, spec: SpectrogramSpec) -> Decoded:
        decoded = super().decode(pixels, spec)
        if self.median_db is None:
            louder_db = USUAL_LEVEL_DB - _speech_level_db(decoded.decibels)
            heard = decoded.decibels > SILENCE_DB
            decoded.decibels[heard] += np.float32(louder_db)
        return decoded

    def _write(self, db: np.ndarray) -> np.ndarray:
        if self.median_db is None:
            raise BadInput(
                "codec.median_db is null; to write images, give it a number",
                key="codec.median_db.missing",
            )
        return np.asarray(_as_librosa(db, AMIN_DB - self.median_db).clip(0, 255), np.uint8)

    def _read(self, pixels: np.ndarray) -> tuple[np.ndarray, None]:
        grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2, dtype=np.float64)
        floor = max(0.0, float(grey.max()) - TOP_DB) + self.margin_db
        return np.where(grey > floor, grey + 0.5, -np.inf), None


def _speech_level_db(decibels: np.ndarray) -> float:
    """Root mean square of what a linear spectrogram of Hann windows shows where there is speech.

    In dB of full scale; speech is in the frames that are at most 40 dB below the loudest. By
    Parseval's theorem a frame's mean square is a third of the sum of its powers, a full-scale
    sine's being 1.
    """
    squares = (10 ** (np.asarray(decibels, np.float64) / 10)).sum(axis=0) / 3
    if not squares.any():
        return USUAL_LEVEL_DB
    return float(10 * np.log10(squares[squares > 1e-4 * squares.max()].mean()))


def _as_librosa(db: np.ndarray, amin_db: float) -> np.ndarray:
    """Raise decibels to the floors that `librosa.amplitude_to_db` has."""
    db = np.maximum(db, amin_db)
    return np.asarray(np.maximum(db, db.max() - TOP_DB))
