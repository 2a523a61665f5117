"""Utterances to spectrograms: their images decoded and stitched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from vocoder.decibels import SILENCE_DB, amplify
from vocoder.errors import BadInput, some_of
from vocoder.image.array import MIN_FRAMES, read_array
from vocoder.image.codec.base import JPEG, Codec, LevelCodec
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.jpeg import JpegCells, JpegConstraint
from vocoder.image.codec.scalar import Gray8
from vocoder.image.doctor.looks import (
    UNLIKE,
    UNLIKELY,
    goes_on,
    middle_columns,
    skewness,
    tilt,
    unlikeness,
)
from vocoder.image.file import ImageFile, decode_image, read_image
from vocoder.image.manifest import Tile
from vocoder.image.opening import jpeg_tables
from vocoder.image.pix2pix import dequantised
from vocoder.image.settings import agreed
from vocoder.image.source import Found, Utterance
from vocoder.image.tiles import stitch
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Constraint, Spectrogram

MISSING = "missing; silent"
# Of images that do not say what they are: skewness of true ones is below -0.3, of negatives above
# 0.3, and of generated ones both; the upper half of speech's bands is at most 0.03 of this range
# louder than the lower. Of 1 975 tiles, most of them generated, 2 had both, none of 1 475 whose
# generator had learnt to the end.
NEGATIVE_SKEW, UPSIDE_DOWN_TILT = 0.3, -0.05
FEW_SILENT = 0.01
UNCHANGING = 0.01  # of the standard deviation, from frame to frame; speech has 0.035 or more
NO_SPECTROGRAM = "it does not look like a spectrogram; a photograph, a chart or text becomes noise"
TOP_HEAVY = "the upper half of the bands is louder than the lower; if it stands on its head, "
SHOWN_DB = 100.0
MIN_OVERLAP = 8
# Beyond full scale by more than a gain accounts for: what was read as 0 dB is something else.
FAR_TOO_LOUD_DB = 20.0
OTHER_REFERENCE = (
    "far too loud: 0 dB is something else here; ask vocoder identify, or give codec=foreign with "
    "codec.reference=one where it is a magnitude of 1 (librosa's ref=1), else codec.reference=max"
)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """An utterance's spectrogram, and what was wrong with its files.

    Parameters
    ----------
    spectrogram : Spectrogram
        Batch of one; the recording's own level and length restored.
    problems : dict of str to str
        File name to reason; such tiles are silent.
    notes : list of str
        What looks wrong, each with the setting that would right it.
    doubts : list of str
        What says that it can only become noise.
    """

    spectrogram: Spectrogram
    problems: dict[str, str]
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def load_utterance(utterance: Utterance, found: Found) -> Loaded:
    """Decode and stitch an utterance; tiles that cannot be used are left silent and reported."""
    doubts: list[str] = []
    notes: list[str] = []
    if utterance.array is not None:
        law = found.codec if isinstance(found.codec, Foreign) else None
        shown = read_array(utterance.array, found.spec, law, notes)
        if law is None:
            return Loaded(spectrogram=shown, problems={}, notes=notes)
        law = replace(law, row_0=law.row_0 or "low")  # as arrays have it
        notes = _looks(shown.decibels[0].numpy(), law, found, utterance.name, doubts)
        return Loaded(spectrogram=shown, problems={}, notes=notes, doubts=doubts)
    problems = dict.fromkeys(utterance.missing, MISSING)
    cells: list[tuple[int, JpegCells]] = []
    pieces = _decoded(utterance, found, problems, doubts)
    first = next(pieces, None)
    if first is None:
        raise BadInput(_why_none(problems), key="input.damaged")
    tile, spec, codec = first.tile, first.spec, first.codec
    _check_length(tile, spec, utterance.name)

    tilts: list[float] = []

    def one_by_one() -> Iterator[tuple[Tile, np.ndarray]]:
        before = None
        for piece in chain([first], pieces):
            if found.has_manifest:
                notes.extend(_beside(before, piece))
                tilts.append(tilt(_levels(_own(piece))))
                before = piece
            if piece.cells is not None:
                cells.append((piece.tile.start_frame, piece.cells))
            yield piece.tile, amplify(piece.decibels, -tile.gain_db)

    floor_db = codec.db_min + codec.reference_db(spec) - tile.gain_db
    decibels = stitch(one_by_one(), len(first.decibels), tile.total_frames, floor_db)
    constraint: Constraint | None = None
    if cells and isinstance(codec, LevelCodec):
        constraint = JpegConstraint(cells, decibels, codec, -tile.gain_db)
    spectrogram = as_spectrogram(decibels, spec, codec, tile.samples)
    # Images of the seed were always drawn in one way, and cut off half of what they show.
    unsure = isinstance(codec, LevelCodec | Foreign) and not first.says_itself
    if unsure and not found.has_manifest:
        first_db = spectrogram.decibels[0].numpy()
        notes += _looks(first_db, codec, found, utterance.name, doubts)
    elif unsure and np.mean(tilts) < UPSIDE_DOWN_TILT:
        notes.append(f"{TOP_HEAVY}ask vocoder doctor what to set")
    problems |= {name: f"{why}; silent" for name, why in problems.items() if why != MISSING}
    spectrogram = replace(spectrogram, constraint=constraint)
    return Loaded(spectrogram=spectrogram, problems=problems, notes=notes, doubts=doubts)


def _looks(
    decibels: np.ndarray, codec: Codec, found: Found, name: str, doubts: list[str]
) -> list[str]:
    """What speaks against settings that nobody but the user vouches for.

    What can only become noise is refused, or forced and added to ``doubts``.
    """
    decibels = middle_columns(decibels)
    if decibels.shape[1] < MIN_FRAMES or decibels.max() <= SILENCE_DB:
        return []
    levels = _levels(decibels)
    upside_down, unlike = tilt(levels) < UPSIDE_DOWN_TILT, unlikeness(levels)
    negative = skewness(levels) > NEGATIVE_SKEW
    dark, low = getattr(codec, "dark_is_loud", False), getattr(codec, "row_0", None) == "low"
    setting = codec.advice("dark_is_loud", str(not dark).lower())
    refusal: BadInput | None = None
    if negative and upside_down:
        refusal = BadInput(
            "what is read as loud seems to be quiet, which makes noise; give "
            f"{setting}, or ask vocoder identify",
            key="image.negative",
        )
    elif unlike > UNLIKE:
        refusal = BadInput(
            f"{NO_SPECTROGRAM}. If it is one, ask vocoder identify how to read it",
            key="image.unlike",
        )
    elif unlike > UNLIKELY:
        doubts.append(NO_SPECTROGRAM)
    if refusal is not None and not found.force:
        raise BadInput(f"{name}: {refusal}; force=true to hear it", key=refusal.key)
    if refusal is not None:
        doubts.append(str(refusal))
    notes: list[str] = []
    if negative and not upside_down and (levels <= 0).mean() < FEW_SILENT:
        notes.append(f"if it sounds like noise, loud may be quiet: try {setting}")
    if np.abs(np.diff(levels)).mean() < UNCHANGING * levels.std():
        notes.append(
            "it shows the same at all times, which becomes a steady noise; if time runs down, give "
            f"{codec.advice('transposed', 'true')}"
        )
    if upside_down:
        notes.append(f"{TOP_HEAVY}give {codec.advice('row_0', 'high' if low else 'low')}")
    return notes


def _levels(decibels: np.ndarray) -> np.ndarray:
    """0 to 1, which is the loudest."""
    return np.asarray(np.clip(1 + (decibels - decibels.max()) / SHOWN_DB, 0, 1))


def as_spectrogram(
    decibels: np.ndarray, spec: SpectrogramSpec, codec: Codec, n_samples: int | None
) -> Spectrogram:
    """What a codec decoded, ``(bins, frames)``, or of several analyses one below the other."""
    analyses = codec.analyses(spec)
    first, *others = (
        Spectrogram(torch.from_numpy(part)[None], one, n_samples, weight=weight)
        for part, (one, weight) in zip(np.split(decibels, len(analyses)), analyses, strict=True)
    )
    return replace(first, others=tuple(others))


def _why_none(problems: dict[str, str]) -> str:
    reasons = [f"{name}: {reason}" for name, reason in problems.items()]
    if len(reasons) == 1:
        return reasons[0]
    return f"none of {len(reasons)} images can be used: {some_of(reasons)}"


@dataclass(frozen=True)
class _Piece:
    """A tile that could be decoded, with what its image says or was given of it."""

    tile: Tile
    decibels: np.ndarray
    spec: SpectrogramSpec
    codec: Codec
    cells: JpegCells | None
    says_itself: bool


def _beside(before: _Piece | None, piece: _Piece) -> Iterator[str]:
    """What is wrong with a tile of a data set, by itself and beside the one before."""
    tile, shown = piece.tile, _own(piece)
    if shown.max() <= SILENCE_DB:
        yield f"{tile.stem} is black, so it is silent there"
    elif before is not None and (last := _own(before)).max() > SILENCE_DB:
        overlap = before.tile.start_frame + before.tile.frames - tile.start_frame
        if MIN_OVERLAP <= overlap <= tile.frames and not goes_on(last, shown, overlap):
            yield (
                f"{tile.stem} does not go on as {before.tile.stem} ends: one of them was turned "
                "over, mirrored, resized and cropped, or is of another place; pix2pix programs "
                "keep tiles as they are with --preprocess none --no_flip"
            )


def _own(piece: _Piece) -> np.ndarray:
    """The frames of the spec's own analysis, without filling."""
    return piece.decibels[: piece.spec.bins, : piece.tile.frames]


def _decoded(
    utterance: Utterance, found: Found, problems: dict[str, str], doubts: list[str]
) -> Iterator[_Piece]:
    """Tiles one by one, in the order of their starts; those that cannot be used are noted."""
    for row, path in sorted(utterance.tiles, key=lambda tile: tile[0].start_frame):
        try:
            image = read_image(path)
            spec, codec = _settings_of(image, found)
            image = _in_8_bits(image, codec)
            dequantised = _without_truncation(image, codec, found)
            forced = doubts if found.force else None
            decibels = decode_image(dequantised, codec, spec, forced).decibels
            tile, info, width = row, image.info, decibels.shape[1]
            if not found.has_manifest:  # all of the image is an utterance of its own
                tile = replace(row, frames=width, total_frames=width)
                if info is not None:
                    tile = replace(tile, gain_db=info.gain_db, samples=info.samples)
            _check_width(path, width, tile, found)
            cells = _cells(image, codec, found)
        except BadInput as error:
            reason = str(error).removeprefix(f"{path}: ")
            if len(utterance.paths) == 1 and not problems:
                raise BadInput(f"{path.name}: {reason}", key=error.key) from error
            problems[path.name] = reason
            continue
        yield _Piece(tile, decibels, spec, codec, cells, info is not None)


def _in_8_bits(image: ImageFile, codec: Codec) -> ImageFile:
    """Take back what other programs do to 8-bit pixels: store every byte twice, as 16 bits.

    Those of 0 to 1 are refused: as pixels of 0 to 255 they would be silence.
    """
    pixels = image.pixels
    if codec.mode not in ("L", "RGB"):
        return image
    if pixels.dtype == np.uint16 and not (pixels % 257).any():
        return replace(image, pixels=(pixels // 257).astype(np.uint8), mode="L")
    if pixels.dtype == np.float32 and 0 < (highest := float(pixels.max())) <= 1:
        raise BadInput(
            f"{image.path}: its floating-point pixels go up to {highest:g}; expected 0 to 255, as "
            "8-bit images have; multiply them by 255, and save them with 8 bits",
            key="image.range",
        )
    return image


def _check_width(path: Path, width: int, tile: Tile, found: Found) -> None:
    # Those who make a data set elsewhere need not fill an utterance's last tile up.
    if found.tile_frames is not None and width not in (found.tile_frames, tile.frames):
        if width == 2 * found.tile_frames:
            raise BadInput(
                f"{path}: {width} pixels wide, two tiles: a pair of A and B, which is what a "
                "pix2pix program is given; invert the folder of what it generated",
                key="tile.pair",
            )
        raise BadInput(
            f"{path}: {width} pixels wide; the data set's tiles are {found.tile_frames}, so it "
            "was resized or cropped",
            key="tile.size",
        )
    if width < tile.frames:
        raise BadInput(
            f"{path}: {width} pixels wide; the manifest says {tile.frames} frames", key="tile.size"
        )


def _settings_of(image: ImageFile, found: Found) -> tuple[SpectrogramSpec, Codec]:
    """The image's own settings or those given, which must agree where there are both."""
    info, spec, codec = image.info, found.spec, found.codec
    if info is not None:
        return info.spec, agreed(spec, codec, info.spec, info.codec, str(image.path))
    if spec is None or codec is None:
        needed = " and ".join(
            name for name, value in (("spec=", spec), ("codec=", codec)) if value is None
        )
        why = "does not say how it was made; "
        if found.hints:
            why = "is named like a tile of a data set: give its manifest=, or else "
        raise BadInput(
            f"{image.path}: {why}give {needed}, such as spec=mel256 "
            "codec=gray8 codec.db_min=-100 codec.db_max=0; vocoder identify tells what it may be",
            key="manifest.missing" if found.hints else "spec.missing",
        )
    return spec, codec


def _without_truncation(image: ImageFile, codec: Codec, found: Found) -> ImageFile:
    """Undo the bias of a program that cuts off fractions."""
    if found.floor_scale is None or codec.exact or image.pixels.dtype != np.uint8:
        return image
    return replace(image, pixels=dequantised(found.floor_scale)[image.pixels])


def _cells(image: ImageFile, codec: Codec, found: Found) -> JpegCells | None:
    """The cells of a grey JPEG that `vocoder` itself wrote; other formats do not tell theirs.

    A JPEG of another origin may show what a program generated: that was no spectrogram of a
    waveform before it became a JPEG, and what the file leaves open says nothing about it.
    """
    is_jpeg = image.lossy and image.path.suffix.lower() in JPEG
    ours = image.info is not None and found.floor_scale is None
    if not (is_jpeg and ours and isinstance(codec, Gray8)):
        return None
    pixels = image.pixels
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2, dtype=np.float32)
    return JpegCells(grey, jpeg_tables(image.path))


def _check_length(tile: Tile, spec: SpectrogramSpec, name: str) -> None:
    if spec.n_samples(tile.total_frames) < 1:
        raise BadInput(
            f"{name}: {tile.total_frames} frame is too short; expected at least two",
            key="manifest.length",
        )
    if tile.samples is not None and spec.n_frames(tile.samples) != tile.total_frames:
        raise BadInput(
            f"{name}: {tile.samples} samples give {spec.n_frames(tile.samples)} frames, but "
            f"total_frames is {tile.total_frames}; correct the manifest, or leave samples empty",
            key="manifest.length",
        )
