"""Making a data set for pix2pix: recordings in, folders of tiles out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from vocoder.audio import read_audio
from vocoder.cpu import usable_cores
from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput, expect
from vocoder.image.codec.base import Codec
from vocoder.image.dataset.bands import require_full_bands
from vocoder.image.dataset.delay import delay_s
from vocoder.image.dataset.plan import STYLES, Job
from vocoder.image.file import ImageInfo, write_image
from vocoder.image.manifest import Sidecar, Tile, tile_stem
from vocoder.image.tiles import cut
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

GAINS = ("none", "peak")
# Speech of which an image shows less than this above its floor loses its quiet sounds.
QUIET_DB = 45.0
# The folder of style single where no split was asked for.
UNSPLIT = "pictures"
# Frames that are analysed at a time, about three minutes: bounds the memory of a long recording.
_BLOCK_FRAMES = 1 << 14


@dataclass(frozen=True)
class Strip:
    """A whole utterance as one long image, from which tiles are cut.

    Parameters
    ----------
    pixels : ndarray
        ``(rows, total_frames)`` or ``(rows, total_frames, 3)``, as the codec encodes them.
    samples : int
        Length of the audio.
    gain_db : float
        What it was amplified by.
    peak_db : float
        The loudest value, in dB above the codec's reference; ``-inf`` for silence.
    clipped : float
        Share of the values above ``db_max``, 0 to 1.
    changes : tuple of str
        What reading changed of the recording (see `vocoder.audio.read_audio`), and whether it is
        too quiet for the image.
    delay_s : float
        Of the given recording of a pair: how much later it is than the target.
    """

    pixels: np.ndarray
    samples: int
    gain_db: float
    peak_db: float
    clipped: float
    changes: tuple[str, ...] = ()
    delay_s: float = 0.0


@dataclass
class Written:
    """What was made of one job: its tiles, how long it is, its level and delay (see `Strip`), what
    reading changed of its recordings, and whether one of them shows nothing.
    """

    tiles: list[Tile]
    folders: tuple[str, ...]
    seconds: float
    peak_db: float
    clipped: float
    changes: list[str]
    source: str
    delay_s: float
    silent: bool


def analyse_blocks(
    samples: np.ndarray, spec: SpectrogramSpec, block_frames: int = _BLOCK_FRAMES
) -> Iterator[np.ndarray]:
    """The decibels of `vocoder.spectrogram.analyse`, block by block, in bounded memory.

    Parameters
    ----------
    samples : ndarray
        ``(samples,)``, float32.

    Yields
    ------
    ndarray
        ``(bins, block_frames or less)``, float32.
    """
    total = spec.n_frames(len(samples))
    # Frames at either end of an excerpt that see its padding; they are analysed and left out.
    margin = spec.n_fft // 2 // spec.hop_length + 1 if spec.center else 0
    reach = margin * spec.hop_length if spec.center else spec.n_fft - spec.hop_length
    for first in range(0, total, block_frames):
        last = min(first + block_frames, total)
        begin = max(0, first - margin)
        excerpt = samples[begin * spec.hop_length : last * spec.hop_length + reach]
        decibels = analyse(torch.from_numpy(excerpt)[None], spec).decibels[0]
        yield decibels[:, first - begin : last - begin].numpy()


def encode_strip(
    samples: np.ndarray, spec: SpectrogramSpec, codec: Codec, gain_db: float = 0.0
) -> Strip:
    """Analyse a waveform ``(samples,)``, float32, amplified by ``gain_db``, and encode it."""
    if gain_db:
        samples = samples * np.float32(10 ** (gain_db / 20))
    offset_db = codec.reference_db(spec)
    pixels, peak_db, n_clipped, n_pixels = [], -np.inf, 0, 0
    analyses = [analyse_blocks(samples, one) for one, _ in codec.analyses(spec)]
    for blocks in zip(*analyses, strict=True):
        decibels = np.concatenate(blocks)
        pixels.append(codec.encode(decibels, spec))
        loudest_db = float(decibels.max())
        if loudest_db > SILENCE_DB:
            peak_db = max(peak_db, loudest_db - offset_db)
        n_clipped += int(np.count_nonzero(decibels > codec.db_max + offset_db))
        n_pixels += decibels.size
    return Strip(
        np.concatenate(pixels, axis=1), len(samples), gain_db, peak_db, n_clipped / n_pixels
    )


def gain_to_peak(samples: np.ndarray, peak_db: float) -> float:
    """The gain in dB that brings the largest sample to ``peak_db``; 0 for silence."""
    peak = float(np.abs(samples).max())
    return peak_db - 20 * float(np.log10(peak)) if peak > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Where and how tiles are written.

    Parameters
    ----------
    sidecar : Sidecar
        Spectrogram settings, codec and tiling.
    style : {"single", "aligned", "unaligned", "pix2pixhd"}
        Images alone (``pictures/``, or ``train/`` …); A and B side by side in one image;
        ``trainA/ trainB/`` … of unrelated recordings; ``train_A/ train_B/`` … of pairs.
    channels : {1, 3}
        Of 8-bit grey images; the other codecs have their own number.
    gain : {"none", "peak"}
        Leave the level alone, or bring each recording's peak to ``peak_db``.
    peak_db : float
        In dB below a full-scale sample.
    trim : bool
        Cut a pair to the shorter of both; otherwise its lengths may differ by a hop at most.
    suffix : str
        Of the image files.
    quality : int or None
        Of JPEG and WebP, see `vocoder.image.file.write_image`.
    keep : bool
        Leave images that are there as they are: an earlier run wrote them.
    """

    root: Path
    sidecar: Sidecar
    style: str
    channels: int
    gain: str
    peak_db: float
    trim: bool
    suffix: str
    quality: int | None
    overwrite: bool
    keep: bool = False
    _silence: np.ndarray = field(init=False, repr=False)  # a column of it

    def __post_init__(self) -> None:
        for name, choices in (("style", STYLES), ("channels", (1, 3)), ("gain", GAINS)):
            value = getattr(self, name)
            expect(value in choices, name, value, f"one of {choices}", "unknown")
        expect(-100 <= self.peak_db <= 0, "peak_db", self.peak_db, "-100 to 0 dB")
        spec, codec = self.sidecar.spec, self.sidecar.codec
        if self.style != "single" and not codec.suits_networks:
            raise BadInput(
                f"codec {codec.name} does not suit style={self.style}: it needs every bit of its "
                "images, but pix2pix programs turn what they read into 8-bit colours and draw "
                "approximately; use gray8, windows, rgb_sum, hue or colormap (or style=single)",
                key="style.codec",
            )
        if self.suffix not in codec.suffixes:
            raise BadInput(
                f"suffix is {self.suffix!r}; codec {codec.name} can be stored as "
                f"{', '.join(codec.suffixes)}",
                key="suffix.unknown",
            )
        require_full_bands(spec)
        n_bins = len(codec.analyses(spec)) * spec.bins
        # Here, so that a codec that writes no images is refused before any work.
        silence = codec.encode(np.full((n_bins, 1), SILENCE_DB, np.float32), spec)
        object.__setattr__(self, "_silence", silence)

    def folders(self, job: Job) -> tuple[str, ...]:
        """Folders below ``root`` that hold the tiles of a job: for A first, where there are two."""
        if self.style == "unaligned":
            return (f"{job.split}{job.domain}",)
        if self.style == "pix2pixhd":
            return (f"{job.split}_A", f"{job.split}_B")
        return (job.split or UNSPLIT,)

    def path(self, folder: str, tile: Tile) -> Path:
        """Where a tile's image lies."""
        return self.root / folder / f"{tile.stem}{self.suffix}"

    def encode(self, job: Job) -> list[Strip]:
        """Read and analyse what a job speaks of: A first, where there are two. Writes nothing."""
        spec = self.sidecar.spec
        recordings = [one for one in (job.given, job.target) if one is not None]
        changes: list[list[str]] = [[] for _ in recordings]
        waveforms = [
            read_audio(one.path, spec.sample_rate, one.channel, changes=done)
            for one, done in zip(recordings, changes, strict=True)
        ]
        late_s = 0.0
        if len(waveforms) == 2:
            waveforms = _fit(waveforms[0], waveforms[1], spec.hop_length, self.trim)
            late_s = delay_s(waveforms[0], waveforms[1], spec)
        strips = []
        for done in changes:
            samples = waveforms.pop(0)  # let go of each when it is encoded
            gain_db = gain_to_peak(samples, self.peak_db) if self.gain == "peak" else 0.0
            strip = encode_strip(samples, spec, self.sidecar.codec, gain_db)
            lowest = getattr(self.sidecar.codec, "db_min", None)
            if lowest is not None and -np.inf < strip.peak_db < lowest + QUIET_DB:
                done.append(f"so quiet that it uses less than {QUIET_DB:g} dB; gain=peak raises it")
            strips.append(replace(strip, changes=tuple(done)))
        strips[0] = replace(strips[0], delay_s=late_s)
        return strips

    def write(self, job: Job, strips: Sequence[Strip]) -> Written:
        """Cut into tiles and write them."""
        target = strips[-1]
        folders = self.folders(job)
        info = ImageInfo(self.sidecar.spec, self.sidecar.codec, None, target.gain_db)
        tiles = self._tiles(job, target)

        def write_tile(tile: Tile) -> None:
            parts = [self._tile_pixels(strip, tile) for strip in strips]
            if self.style == "aligned":
                parts = [np.concatenate(parts, axis=1)]
            for folder, pixels in zip(folders, parts, strict=True):
                path = self.path(folder, tile)
                if self.keep and path.exists():
                    continue
                write_image(
                    path,
                    pixels,
                    self.sidecar.codec,
                    info,
                    quality=self.quality,
                    overwrite=self.overwrite,
                )

        # Compressing PNGs takes most of the time of all, and several can be compressed at once.
        with ThreadPoolExecutor(len(usable_cores())) as pool:
            list(pool.map(write_tile, tiles))
        return Written(
            tiles,
            folders,
            target.samples / self.sidecar.spec.sample_rate,
            max(strip.peak_db for strip in strips),
            max(strip.clipped for strip in strips),
            [change for strip in strips for change in strip.changes],
            job.target.source,
            strips[0].delay_s,
            any(bool((strip.pixels == self._silence).all()) for strip in strips),
        )

    def _tiles(self, job: Job, strip: Strip) -> list[Tile]:
        total = strip.pixels.shape[1]
        spans = cut(total, self.sidecar.tile_frames, self.sidecar.overlap_frames)
        return [
            Tile(
                stem=tile_stem(job.utterance, k, len(spans)),
                utterance=job.utterance,
                start_frame=start,
                frames=frames,
                total_frames=total,
                gain_db=strip.gain_db,
                source=job.target.source,
                split=job.split,
                samples=strip.samples,
            )
            for k, (start, frames) in enumerate(spans)
        ]

    def _tile_pixels(self, strip: Strip, tile: Tile) -> np.ndarray:
        """A tile's columns, filled up with silence."""
        pixels = strip.pixels[:, tile.start_frame : tile.start_frame + tile.frames]
        filling = np.repeat(self._silence, self.sidecar.tile_frames - tile.frames, axis=1)
        pixels = np.concatenate([pixels, filling], axis=1)
        if self.sidecar.codec.mode == "L" and self.channels == 3:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        return pixels


def _fit(given: np.ndarray, target: np.ndarray, hop_length: int, trim: bool) -> list[np.ndarray]:
    """Give both waveforms of a pair one length: the shorter one, or the target's."""
    n_given, n_target = len(given), len(target)
    if trim:
        length = min(n_given, n_target)
        return [given[:length], target[:length]]
    if abs(n_given - n_target) > hop_length:
        raise BadInput(
            f"A has {n_given} samples and B {n_target}, which differ by more than a frame; "
            "lengths=trim cuts both to the shorter",
            key="lengths.conflict",
        )
    return [np.pad(given, (0, max(0, n_target - n_given)))[:n_target], target]
