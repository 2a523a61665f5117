"""From whatever the user points at to utterances: images matched, decoded and stitched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from vocoder.decibels import amplify
from vocoder.errors import BadInput
from vocoder.image.array import ARRAY_SUFFIX, find_arrays, read_array
from vocoder.image.codec.base import JPEG, Codec, LevelCodec
from vocoder.image.codec.jpeg import JpegCells, JpegConstraint
from vocoder.image.codec.scalar import Gray8
from vocoder.image.file import ImageFile, decode_image, jpeg_tables, read_image
from vocoder.image.manifest import MANIFEST_NAME, TILE_STEM, Tile, require_plain_name
from vocoder.image.pix2pix import dequantised
from vocoder.image.programs import Generated, find_generated
from vocoder.image.settings import manifest_above, read_settings, require_same_codec
from vocoder.image.tiles import stitch
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Constraint, Spectrogram


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One recording to be, and the files that show it.

    Parameters
    ----------
    name : str
    tiles : list of (Tile, Path)
        Images that are there; empty for an array.
    array : Path or None
        A spectrogram as ``.npy``.
    missing : list of str
        Stems of tiles that should be there.
    """

    name: str
    tiles: list[tuple[Tile, Path]] = field(default_factory=list)
    array: Path | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """All files that show it."""
        tiles = [path for _, path in self.tiles]
        return tiles if self.array is None else [self.array]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What an input holds.

    Parameters
    ----------
    utterances : list of Utterance
        By name; those of which no tile is there are left out.
    program, label : str
        What wrote the images, and which of its labels was taken.
    floor_scale : float or None
        How the program cut off fractions of a level, if it did; see `Generated`.
    spec, codec
        What holds for all of them, or ``None`` where each file says it itself.
    has_manifest : bool
        Whether the images are tiles of a data set; otherwise each is an utterance.
    tile_frames : int or None
        How wide the data set's settings say that tiles are.
    problems : dict of str to str
        What was found wrong before any file was read: name to reason.
    hints : list of str
        What else is worth knowing.
    """

    utterances: list[Utterance]
    program: str
    label: str
    floor_scale: float | None
    spec: SpectrogramSpec | None
    codec: Codec | None
    has_manifest: bool
    tile_frames: int | None
    problems: dict[str, str]
    hints: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """An utterance's spectrogram, and what was wrong with its files.

    Parameters
    ----------
    spectrogram : Spectrogram
        Batch of one; the recording's own level and length restored.
    problems : dict of str to str
        File name to reason; such tiles are silent.
    """

    spectrogram: Spectrogram
    problems: dict[str, str]


def find_utterances(
    path: Path,
    *,
    manifest: Path | None = None,
    label: str | None = None,
    program: str | None = None,
    spec: SpectrogramSpec | None = None,
    codec: Codec | None = None,
) -> Found:
    """Look for utterances in a program's output, bare images or arrays; nothing is decoded yet.

    Parameters
    ----------
    path : Path
        What `find_generated` takes, or a ``.npy`` file or a folder of them.
    manifest : Path, optional
        The data set's ``manifest.csv``; without it, it is looked for in and above ``path``.
    label : str, optional
        Of a program's images, another than its output.
    program : str, optional
        What painted bare images, where that matters; see `find_generated`.
    spec, codec : optional
        Where neither ``spec.yaml`` beside the manifest nor the images themselves say them.

    Raises
    ------
    BadInput
        Nothing of that kind, settings that contradict each other, or none.
    """
    if arrays := find_arrays(path):
        about_images = {"manifest": manifest, "label": label, "program": program, "codec": codec}
        for key, value in about_images.items():
            if value is not None:
                raise BadInput(f"{key}= is about images, but {path} holds .npy arrays")
        utterances = [Utterance(name=name, array=array) for name, array in arrays.items()]
        return Found(
            utterances=utterances,
            program=ARRAY_SUFFIX,
            label="",
            floor_scale=None,
            spec=spec,
            codec=None,
            has_manifest=False,
            tile_frames=None,
            problems={},
        )
    painted = find_generated(path, label, program)
    settings = read_settings(manifest or manifest_above(path), spec, codec)
    if manifest is None and not any(tile.stem in settings.tiles for tile in painted.tiles):
        settings = read_settings(None, spec, codec)  # a manifest of something else
    problems = {
        path.name: "another image has the same name with another suffix; this one is not used"
        for path in painted.duplicates
    }
    problems |= {path.name: f"no label of {painted.program}; not used" for path in painted.foreign}
    hints: list[str] = []
    if settings.tiles:
        utterances = _by_manifest(painted, settings.tiles, problems, one=path.is_file())
        if settings.spec is None or settings.codec is None:
            raise BadInput(
                f"{settings.root} holds a manifest but no spec.yaml; say how its images were "
                "made with spec= and codec=, and their range with codec.db_min= and codec.db_max="
            )
    else:
        utterances = _bare(painted)
        hints = _hints(painted)
    return Found(
        utterances=utterances,
        program=painted.program,
        label=painted.label,
        floor_scale=painted.floor_scale,
        spec=settings.spec,
        codec=settings.codec,
        has_manifest=bool(settings.tiles),
        tile_frames=settings.tile_frames,
        problems=problems,
        hints=hints,
    )


def _by_manifest(
    painted: Generated, rows: dict[str, Tile], problems: dict[str, str], *, one: bool
) -> list[Utterance]:
    """Group a program's tiles by the utterances of the manifest.

    Utterances of which nothing was painted are none of this run's: another split, say. They are
    missing only when their split is there otherwise.
    """
    there: dict[str, list[tuple[Tile, Path]]] = {}
    for tile in painted.tiles:
        row = rows.get(tile.stem)
        if row is None:
            problems[tile.path.name] = "the manifest does not know it; not used"
        else:
            there.setdefault(row.utterance, []).append((row, tile.path))
    if not there:
        raise BadInput(
            f"none of the {len(painted.tiles)} images in {painted.folder} is in the manifest, "
            f"such as {painted.tiles[0].stem!r}; give manifest= of the data set that they were "
            "painted from"
        )
    splits = {row.split for tiles in there.values() for row, _ in tiles}
    missing: dict[str, list[str]] = {}
    stems = {row.stem for tiles in there.values() for row, _ in tiles}
    for row in rows.values():
        if row.stem not in stems and row.split in splits:
            missing.setdefault(row.utterance, []).append(row.stem)
    for name in () if one else sorted(missing.keys() - there.keys()):
        problems[name] = f"none of its {len(missing[name])} tiles is there; not rendered"
    return [
        Utterance(name=name, tiles=tiles, missing=missing.get(name, []))
        for name, tiles in sorted(there.items())
    ]


def _bare(painted: Generated) -> list[Utterance]:
    """Images without a manifest: an utterance each, as wide as it is."""
    for tile in painted.tiles:
        require_plain_name(tile.stem, "image")
    return [Utterance(name=tile.stem, tiles=[(_WHOLE, tile.path)]) for tile in painted.tiles]


def _hints(painted: Generated) -> list[str]:
    """Whether images without a manifest are named as tiles are."""
    tiles = [tile.stem for tile in painted.tiles if TILE_STEM.fullmatch(tile.stem)]
    if not tiles:
        return []
    return [
        f"{len(tiles)} images are named like tiles of a data set, such as {tiles[0]}, but there "
        f"is no {MANIFEST_NAME} in or above {painted.folder}, so each is a sound of its own; "
        "manifest= of the data set puts them together"
    ]


# Stands for "all of the image", whose width is not known before it is read.
_WHOLE = Tile("whole", "whole", 0, 1, 1)


def load_utterance(utterance: Utterance, found: Found) -> Loaded:
    """Decode and stitch an utterance; tiles that cannot be used are left silent and reported.

    Raises
    ------
    BadInput
        None of its files can be used.
    """
    if utterance.array is not None:
        return Loaded(spectrogram=read_array(utterance.array, found.spec), problems={})
    problems = dict.fromkeys(utterance.missing, "missing; silent")
    cells: list[tuple[int, JpegCells]] = []
    pieces = _decoded(utterance, found, problems)
    first = next(pieces, None)
    if first is None:
        raise BadInput(_why_none(problems))
    tile, spec, codec = first.tile, first.spec, first.codec
    _check_length(tile, spec, utterance.name)

    def one_by_one() -> Iterator[tuple[Tile, np.ndarray]]:
        for piece in chain([first], pieces):
            if piece.cells is not None:
                cells.append((piece.tile.start_frame, piece.cells))
            yield piece.tile, amplify(piece.decibels, -tile.gain_db)

    floor_db = codec.db_min + codec.reference_db(spec) - tile.gain_db
    decibels = stitch(one_by_one(), tile.total_frames, floor_db).decibels
    constraint: Constraint | None = None
    if cells and isinstance(codec, LevelCodec):
        constraint = JpegConstraint(cells, decibels, codec, -tile.gain_db)
    spectrogram = Spectrogram(torch.from_numpy(decibels)[None], spec, tile.samples, constraint)
    return Loaded(spectrogram=spectrogram, problems=problems)


def _why_none(problems: dict[str, str]) -> str:
    reasons = [f"{name}: {reason}" for name, reason in problems.items()]
    if len(reasons) == 1:
        return reasons[0]
    if len(set(problems.values())) == 1:
        return f"none of {len(reasons)} images can be used; {reasons[0]}"
    return f"no image can be used ({'; '.join(reasons)})"


@dataclass(frozen=True)
class _Piece:
    """A tile that could be decoded, with what its image says or was given of it."""

    tile: Tile
    decibels: np.ndarray
    spec: SpectrogramSpec
    codec: Codec
    cells: JpegCells | None


def _decoded(utterance: Utterance, found: Found, problems: dict[str, str]) -> Iterator[_Piece]:
    """Tiles one by one, in the order of their starts; those that cannot be used are noted."""
    for row, path in sorted(utterance.tiles, key=lambda tile: tile[0].start_frame):
        try:
            image = read_image(path)
            spec, codec = _settings_of(image, found)
            dequantised = _without_truncation(image, codec, found)
            decibels = decode_image(dequantised, codec, spec).decibels
            tile = row if found.has_manifest else _whole_tile(image, decibels.shape[1])
            _check_width(path, decibels.shape[1], tile, found)
            cells = _cells(image, codec, found)
        except BadInput as error:
            problems[path.name] = str(error).removeprefix(f"{path}: ")
            continue
        yield _Piece(tile, decibels, spec, codec, cells)


def _check_width(path: Path, width: int, tile: Tile, found: Found) -> None:
    # Those who make a data set elsewhere need not fill an utterance's last tile up.
    if found.tile_frames is not None and width not in (found.tile_frames, tile.frames):
        if width == 2 * found.tile_frames:
            raise BadInput(
                f"{path}: {width} pixels wide, two tiles: a pair of A and B, which is what a "
                "pix2pix program is given; invert the folder of what it painted"
            )
        raise BadInput(
            f"{path}: {width} pixels wide; the data set's tiles are {found.tile_frames}, so it "
            "was resized or cropped"
        )
    if width < tile.frames:
        raise BadInput(f"{path}: {width} pixels wide; the manifest says {tile.frames} frames")


def _settings_of(image: ImageFile, found: Found) -> tuple[SpectrogramSpec, Codec]:
    """The image's own settings or those given, which must agree where there are both."""
    info, spec, codec = image.info, found.spec, found.codec
    if info is not None:
        if spec is not None:
            spec.require_same(info.spec, "the settings given", str(image.path))
        if codec is not None:
            require_same_codec(codec, info.codec, str(image.path))
        return info.spec, codec or info.codec
    if spec is None or codec is None:
        needed = " and ".join(
            name for name, value in (("spec=", spec), ("codec=", codec)) if value is None
        )
        raise BadInput(
            f"{image.path}: does not say how it was made; give {needed}, such as spec=mel256 "
            "codec=gray8 codec.db_min=-100 codec.db_max=0"
        )
    return spec, codec


def _without_truncation(image: ImageFile, codec: Codec, found: Found) -> ImageFile:
    """Undo the bias of a program that cuts off fractions."""
    if found.floor_scale is None or codec.exact or image.pixels.dtype != np.uint8:
        return image
    return replace(image, pixels=dequantised(found.floor_scale)[image.pixels])


def _whole_tile(image: ImageFile, n_frames: int) -> Tile:
    """All of an image as an utterance of its own."""
    info = image.info
    return Tile(
        stem="whole",
        utterance="whole",
        start_frame=0,
        frames=n_frames,
        total_frames=n_frames,
        gain_db=0.0 if info is None else info.gain_db,
        samples=None if info is None else info.samples,
    )


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
        raise BadInput(f"{name}: {tile.total_frames} frame is no sound; expected at least two")
    if tile.samples is not None and spec.n_frames(tile.samples) != tile.total_frames:
        raise BadInput(
            f"{name}: {tile.samples} samples give {spec.n_frames(tile.samples)} frames, but "
            f"total_frames is {tile.total_frames}; correct the manifest, or leave samples empty"
        )
