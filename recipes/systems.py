"""Roads from a line through an image back to sound, each named by one word, to be measured.

A road is ``spec/codec/degradation/inversion``, for example ``mel256/gray8/jpg75/griffin_lim``: the
options of ``spec`` and ``codec`` in ``conf/``, fields overridden after a colon
(``mel256/gray8:db_min=-90.0/lossless/admm:n_iter=100,rho=0.2``), one of `DEGRADATIONS` or of
`SIMULATED`, and an inversion as `inversion` reads it: an inverter, with a repair and a plus before
it unless the repair is ``auto`` (``none+admm:n_iter=100``, ``generated:postfilter=0+wavenet``). Two
more, ``seed_tiff`` and ``seed_jpeg``, are what people paste from librosa's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import librosa
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from vocoder import read_spectrogram
from vocoder.config import load, options
from vocoder.errors import BadInput
from vocoder.image.codec.base import Codec, pixel_mode
from vocoder.image.file import ImageInfo, write_image
from vocoder.inverter.base import Inverter
from vocoder.repair.base import Repair
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse

DEFAULT_REPAIR = "auto"  # as on the command line


@dataclass(frozen=True)
class Degradation:
    """What happens to an image between encode and decode.

    Parameters
    ----------
    suffix : str or None
        Of the file; ``None`` takes the codec's first, which is lossless for all but seed_jpeg.
    quality, subsampling
        Of JPEG.
    noise : float
        Standard deviation of Gaussian noise, in 8-bit levels, independent in every pixel and in
        each of the three channels in which a pix2pix program returns even grey images.
    detail_pixels : float
        What is finer than a Gaussian of this standard deviation comes from another moment of the
        line: a network invents detail, and as much of it as there should be.
    alternatives : int
        From so many other moments, evenly spread, and their colours averaged: a network that
        wavers generates a blend.
    blur_pixels : float
        Standard deviation of a Gaussian blur of the colours, before the noise.
    grid : float
        Standard deviation, in 8-bit levels, of a pattern that repeats every four pixels.
    """

    suffix: str | None = None
    quality: int | None = None
    subsampling: str = "4:2:0"
    noise: float = 0.0
    detail_pixels: float = 0.0
    alternatives: int = 1
    blur_pixels: float = 0.0
    grid: float = 0.0

    def takes(self, codec: Codec) -> bool:
        """Whether images of the codec can go through at all."""
        suffix = self.suffix or codec.suffixes[0]
        return suffix in codec.suffixes and (not self.noise or codec.mode in ("L", "RGB"))

    def generate(self, decibels: np.ndarray, codec: Codec, spec: SpectrogramSpec) -> np.ndarray:
        """A spectrogram ``(bins, frames)`` as pixels, as they leave the generator."""
        if not self.detail_pixels:
            return codec.encode(decibels, spec)
        offset_db = codec.reference_db(spec)
        decibels = decibels.clip(codec.db_min + offset_db, codec.db_max + offset_db)
        coarse = gaussian_filter(decibels, self.detail_pixels)
        step = decibels.shape[1] / (self.alternatives + 1)
        generated = [
            codec.encode(coarse + moved, spec).astype(np.float32)
            for k in range(self.alternatives)
            for moved in [np.roll(decibels - coarse, round((k + 1) * step), axis=1)]
        ]
        return np.asarray(np.rint(np.mean(generated, axis=0)), np.uint8)

    def send(self, pixels: np.ndarray, codec: Codec, info: ImageInfo, folder: Path) -> Path:
        """Write the image as it arrives at the other end."""
        path = folder / f"image{self.suffix or codec.suffixes[0]}"
        write_image(
            path,
            self._noisy(pixels) if self.noise else pixels,
            codec,
            info,
            quality=self.quality,
            subsampling=self.subsampling,
            overwrite=True,
        )
        return path

    def _noisy(self, pixels: np.ndarray) -> np.ndarray:
        mode = pixel_mode(pixels)
        if mode not in ("L", "RGB"):
            raise BadInput(
                f"noise in 8-bit levels does not apply to an image of mode {mode}",
                key="degradation.conflict",
            )
        colour = np.repeat(pixels[..., None], 3, axis=2) if mode == "L" else pixels
        rng = np.random.default_rng(0)
        noise = self.noise * rng.standard_normal(colour.shape)
        cells = self.grid * rng.standard_normal((4, 4, 3))
        repeats = [-(-side // 4) for side in colour.shape[:2]]
        grid = np.tile(cells, (*repeats, 1))[: colour.shape[0], : colour.shape[1]]
        blurred = gaussian_filter(colour.astype(float), (self.blur_pixels, self.blur_pixels, 0))
        return np.asarray(np.rint(blurred + noise + grid).clip(0, 255), np.uint8)


DEGRADATIONS = {
    "lossless": Degradation(),
    "jpg75": Degradation(".jpg", quality=75),
    "jpg95": Degradation(".jpg", quality=95, subsampling="4:4:4"),
    "noise2": Degradation(noise=2.0),
    "noise6": Degradation(noise=6.0),
}
# As a pix2pix damages images, by what one did in grey to 60 tiles of training lines: the transfer
# from the true image to the generated one is a Gaussian of 1.3 pixels, to 1 % of its energy, but
# the generated one has all of the power of the true one; the channels differ by 3 levels, a quarter
# of it in a grid; they err by 24, neighbours alike by 0.7. What such a network does among colours,
# grey images cannot tell: it may draw one guess, or the blend of several.
SIMULATED = {
    f"generator{n}": Degradation(
        detail_pixels=1.3, alternatives=n, blur_pixels=0.5, noise=2.7, grid=1.4
    )
    for n in (1, 2, 3)
}


@dataclass(frozen=True)
class Rendered:
    """A waveform from an image."""

    samples: np.ndarray
    picture_bytes: int
    # Error of the decoded image, both sides clipped to the codec's range, if that is fixed.
    picture_rms_db: float | None = None


def render(name: str, samples: np.ndarray, sample_rate: int, folder: Path) -> Rendered:
    """Send a line, ``(samples,)``, along a road; the next one replaces its image in ``folder``."""
    if name in SEED_ROADS:
        return SEED_ROADS[name](samples, folder)
    spec, codec, degradation, (repair, inverter) = parts(name)
    if spec.sample_rate != sample_rate:
        raise BadInput(
            f"{name} is for {spec.sample_rate} Hz, the line has {sample_rate} Hz",
            key="sample_rate.conflict",
        )
    true = analyse(torch.from_numpy(samples)[None], spec).decibels[0].numpy()
    info = ImageInfo(spec, codec, len(samples))
    pixels = degradation.generate(true, codec, spec)
    path = degradation.send(pixels, codec, info, folder)
    spectrogram = read_spectrogram(path, spec, codec)
    sound = inverter(repair(spectrogram))[0].numpy()
    shown_db, true_db = (
        (decibels - codec.reference_db(spec)).clip(codec.db_min, codec.db_max)
        for decibels in (spectrogram.decibels[0].numpy(), true)
    )
    return Rendered(
        samples=sound,
        picture_bytes=path.stat().st_size,
        picture_rms_db=float(np.sqrt(np.mean((shown_db - true_db) ** 2))),
    )


@lru_cache(maxsize=64)
def parts(name: str) -> tuple[SpectrogramSpec, Codec, Degradation, tuple[Repair, Inverter]]:
    """The objects that the name of a road means: spec, codec, degradation, repair and inverter."""
    words = name.split("/", 3)  # weights may be a path
    if len(words) != 4:
        raise BadInput(
            f"system {name!r} is not of the form spec/codec/degradation/inversion, nor one of "
            f"{', '.join(SEED_ROADS)}",
            key="system.format",
        )
    known = DEGRADATIONS | SIMULATED
    if words[2] not in known:
        raise BadInput(
            f"unknown degradation {words[2]!r}; expected one of {', '.join(known)}",
            key="degradation.unknown",
        )
    return (
        load("spec", words[0]),
        load("codec", words[1]),
        known[words[2]],
        inversion(words[3]),
    )


@lru_cache(maxsize=64)
def inversion(word: str) -> tuple[Repair, Inverter]:
    """The repair and the inverter that ``REPAIR+INVERTER`` or ``INVERTER`` means; see `in_full`."""
    repair, _, inverter = in_full(word).partition("+")
    return load("repair", repair), load("inverter", inverter)


def inverted(word: str, spectrogram: Spectrogram) -> np.ndarray:
    """The waveform ``(samples,)`` of a spectrogram by an inversion."""
    repair, inverter = inversion(word)
    return inverter(repair(spectrogram))[0].numpy()


def in_full(word: str) -> str:
    """``REPAIR+INVERTER`` for a word that may leave the default repair out.

    >>> in_full("admm:n_iter=100"), in_full("none+admm")
    ('auto+admm:n_iter=100', 'none+admm')
    """
    first, plus, _ = word.partition("+")
    is_inverter = first.partition(":")[0] in options("inverter")  # a plus may be in its fields
    return word if plus and not is_inverter else f"{DEFAULT_REPAIR}+{word}"


# What follows is the code that images found in the wild were made with, librosa's defaults and
# all; only the random start is seeded.


def seed_tiff(samples: np.ndarray, folder: Path) -> Rendered:
    path = folder / "seed.tif"
    decibels = librosa.amplitude_to_db(np.abs(librosa.stft(samples)))
    Image.fromarray(decibels).save(path)
    return _seed_inversion(path)


def seed_jpeg(samples: np.ndarray, folder: Path) -> Rendered:
    path = folder / "seed.jpg"
    decibels = librosa.amplitude_to_db(np.abs(librosa.stft(samples)), ref=np.median)
    Image.fromarray(decibels).convert("L").save(path)
    return _seed_inversion(path)


def _seed_inversion(path: Path) -> Rendered:
    magnitudes = librosa.db_to_amplitude(np.array(Image.open(path), dtype=np.float32))
    sound = librosa.griffinlim(magnitudes, random_state=0)
    return Rendered(sound, path.stat().st_size)


SEED_ROADS = {"seed_tiff": seed_tiff, "seed_jpeg": seed_jpeg}
