"""What stands beside a data set: which tile is which part of which utterance, and its settings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import yaml

from vocoder.errors import BadInput, expect
from vocoder.files import parse_yaml, reading, write_text
from vocoder.image.codec.base import Codec
from vocoder.image.codec.registry import codec_from_dict
from vocoder.spec import SpectrogramSpec
from vocoder.tables import read_table, write_table

MANIFEST_NAME = "manifest.csv"
SIDECAR_NAME = "spec.yaml"
REQUIRED_COLUMNS = ("stem", "utterance", "start_frame", "frames", "total_frames")
OPTIONAL_COLUMNS = ("gain_db", "samples", "source", "split")
# How encode names tiles; see `tile_stem`.
TILE_STEM = re.compile(r".+__\d{2,}")
# Columns that describe the utterance, so that all its rows must agree on them.
_SHARED = ("total_frames", *OPTIONAL_COLUMNS)
# A day and more at any usual hop: a larger number is a slip.
MAX_FRAMES = 10_000_000
MAX_GAIN_DB = 200.0  # either way; more than float32 magnitudes of speech can take


@dataclass(frozen=True)
class Tile:
    """One image of a data set: a stretch of an utterance.

    Parameters
    ----------
    stem : str
        File name of the image without extension and without any label that a program adds.
    utterance : str
        Name of the recording that the tile was cut from.
    start_frame, frames : int
        First frame of the tile and how many of its columns are audio (the rest is filling).
    total_frames : int
        Frames of the whole utterance.
    gain_db : float
        What the recording was amplified by before analysis; decoding takes it back.
    source, split : str
        Where the recording came from, and ``train``, ``val`` or ``test``; may be empty.
    samples : int or None
        Length of the utterance at the spec's sample rate.
    """

    stem: str
    utterance: str
    start_frame: int
    frames: int
    total_frames: int
    gain_db: float = 0.0
    source: str = ""
    split: str = ""
    samples: int | None = None

    def __post_init__(self) -> None:
        for name in ("stem", "utterance"):
            require_plain_name(getattr(self, name), name)
        for name, ok, expected in (
            ("total_frames", 0 < self.total_frames <= MAX_FRAMES, f"1 to {MAX_FRAMES}"),
            ("start_frame", self.start_frame >= 0, "0 or more"),
            ("frames", self.frames >= 1, "1 or more"),
            ("gain_db", abs(self.gain_db) <= MAX_GAIN_DB, f"at most {MAX_GAIN_DB:g} dB"),
            ("samples", self.samples is None or self.samples >= 1, "1 or more, or nothing"),
        ):
            if not ok:
                raise BadInput(
                    f"{name} is {getattr(self, name)}; expected {expected}", key="manifest.range"
                )
        if self.start_frame + self.frames > self.total_frames:
            raise BadInput(
                f"the tile covers frames {self.start_frame} to {self.start_frame + self.frames}, "
                f"but total_frames is {self.total_frames}",
                key="manifest.conflict",
            )


def tile_stem(utterance: str, number: int, count: int) -> str:
    """Name of one of ``count`` tiles of an utterance: the same number of digits for all."""
    return f"{utterance}__{number:0{max(2, len(str(count - 1)))}d}"


def one_spelling(name: str) -> str:
    """A name in Unicode's form NFC, to compare it by.

    File systems and editors write the same letter as one character, or as a letter and its accent.
    """
    return unicodedata.normalize("NFC", name)


def require_plain_name(name: str, what: str) -> None:
    """Refuse a name that is empty, unprintable or would lead into another folder."""
    plain = (
        name not in ("", ".", "..")
        and name.isprintable()
        and PurePosixPath(name).name == name
        and PureWindowsPath(name).name == name
    )
    if not plain:
        raise BadInput(
            f"{what} is {name!r}; expected a plain file name, without folders, drives or control "
            "characters",
            key="manifest.name",
        )


def read_manifest(path: Path) -> list[Tile]:
    """Read ``manifest.csv``: UTF-8, comma-separated, one row a tile, other columns ignored."""
    found, places = read_table(path, Tile, "manifest")
    tiles = [
        replace(one, stem=one_spelling(one.stem), utterance=one_spelling(one.utterance))
        for one in found
    ]
    _check_agreement(tiles, places)
    return tiles


def is_manifest(path: Path) -> bool:
    """Whether a file's first line names a column of ours: others use the same file name."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        columns = {name.strip() for name in file.readline(4096).split(",")}
    return bool(columns & {"stem", "utterance", "start_frame"})


def write_manifest(path: Path, tiles: Sequence[Tile], *, overwrite: bool) -> None:
    """Write ``manifest.csv``; refuses what `read_manifest` would refuse."""
    _check_agreement(tiles, [f"{path}, tile {tile.stem}" for tile in tiles])
    columns = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    rows = ([getattr(tile, name) for name in columns] for tile in tiles)
    write_table(path, columns, rows, overwrite=overwrite)


def _check_agreement(tiles: Sequence[Tile], places: Sequence[str]) -> None:
    stems: dict[str, str] = {}
    starts: dict[tuple[str, int], str] = {}
    first: dict[str, tuple[Tile, str]] = {}
    for tile, place in zip(tiles, places, strict=True):
        if (other := stems.setdefault(tile.stem, place)) is not place:
            raise BadInput(
                f"{place}: the stem {tile.stem!r} is taken already by {other}",
                key="manifest.conflict",
            )
        start = (tile.utterance, tile.start_frame)
        if (other := starts.setdefault(start, place)) is not place:
            raise BadInput(
                f"{place}: {tile.utterance!r} has another tile from frame {tile.start_frame} "
                f"({other})",
                key="manifest.conflict",
            )
        head, other = first.setdefault(tile.utterance, (tile, place))
        for name in _SHARED:
            here, there = getattr(tile, name), getattr(head, name)
            if here != there:
                raise BadInput(
                    f"{place}: {name} of utterance {tile.utterance!r} is {here!r}, but {there!r} "
                    f"in {other}; all its rows must agree",
                    key="manifest.conflict",
                )


@dataclass(frozen=True)
class Sidecar:
    """Settings of a data set, as ``spec.yaml`` keeps them.

    Parameters
    ----------
    tile_frames, overlap_frames : int
        Width of a tile, and how many frames two neighbours share.
    """

    spec: SpectrogramSpec
    codec: Codec
    tile_frames: int
    overlap_frames: int

    def __post_init__(self) -> None:
        require_tiling(self.tile_frames, self.overlap_frames)


def require_tiling(tile_frames: int, overlap_frames: int) -> None:
    """Refuse tiles without width, or an overlap that leaves no step from tile to tile."""
    ok = type(tile_frames) is int and 0 < tile_frames <= MAX_FRAMES
    expect(ok, "tile.frames", tile_frames, f"a whole number from 1 to {MAX_FRAMES}")
    ok = type(overlap_frames) is int and 0 <= overlap_frames < tile_frames
    expected = f"0 to {tile_frames - 1}, less than tile.frames"
    expect(ok, "tile.overlap_frames", overlap_frames, expected)


def read_sidecar(path: Path) -> Sidecar:
    """Read ``spec.yaml``."""
    with reading(path, "sidecar.file"):
        text = path.read_bytes()
    try:
        content = parse_yaml(text.decode("utf-8-sig"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # or a date that is none
        raise BadInput(
            f"{path} is not YAML in UTF-8: {' '.join(str(error).split())}", key="sidecar.format"
        ) from error
    values = _exact_keys(content, ("spec", "codec", "tile"), path, "the file")
    tile = _exact_keys(values["tile"], ("frames", "overlap_frames"), path, "tile")
    try:
        return Sidecar(
            spec=SpectrogramSpec.from_dict(values["spec"], f"{path}, spec"),
            codec=codec_from_dict(values["codec"], f"{path}, codec"),
            tile_frames=tile["frames"],
            overlap_frames=tile["overlap_frames"],
        )
    except BadInput as error:
        message = str(error)
        raise BadInput(
            message if str(path) in message else f"{path}: {message}", key=error.key
        ) from error


def write_sidecar(path: Path, sidecar: Sidecar, *, overwrite: bool) -> None:
    """Write ``spec.yaml``."""
    content = {
        "spec": sidecar.spec.to_dict(),
        "codec": sidecar.codec.to_dict(),
        "tile": {"frames": sidecar.tile_frames, "overlap_frames": sidecar.overlap_frames},
    }
    write_text(path, yaml.safe_dump(content, sort_keys=False), overwrite=overwrite)


def _exact_keys(values: Any, keys: tuple[str, ...], path: Path, what: str) -> dict[str, Any]:
    if not isinstance(values, dict) or set(values) != set(keys):
        found = ", ".join(map(str, values)) if isinstance(values, dict) else repr(values)[:60]
        raise BadInput(
            f"{path}: {what} must hold exactly {', '.join(keys)}; it holds {found}",
            key="sidecar.fields",
        )
    return values
