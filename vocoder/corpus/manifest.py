"""``corpus.csv``: which stretch of which sound file is training, validation or test material."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from vocoder.errors import BadInput, some_of
from vocoder.files import atomic_path

CORPUS_NAME = "corpus.csv"
SPLITS = ("train", "val", "test")
SUFFIXES = (".flac", ".wav")
# Speech is a hundred times louder. A clip below this is silence, which teaches nothing.
SILENCE_DBFS = -80.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A stretch of one speaker's speech: a row of ``corpus.csv``.

    Parameters
    ----------
    path : str
        Of a FLAC or WAV file with one channel, below the corpus folder, with ``/``.
    speaker : str
    split : {"train", "val", "test"}
    start_sample, samples : int
        Where in the file the clip begins, and its length.
    sample_rate : int
        Of the file, in Hz.
    peak_dbfs, rms_dbfs : float
        Greatest magnitude and root mean square of the clip, in dB relative to the greatest number
        (1.0 as floating point), so that a full-scale sine has an RMS of -3.01.
    sha256 : str
        Of the file's bytes, as 64 hexadecimal digits.

    Raises
    ------
    BadInput
        A field is out of range, a path could lead out of the folder, or the clip is silent.
    """

    path: str
    speaker: str
    split: str
    start_sample: int
    samples: int
    sample_rate: int
    peak_dbfs: float
    rms_dbfs: float
    sha256: str

    def __post_init__(self) -> None:
        _require_path(self.path)
        if not self.speaker or not self.speaker.isprintable() or self.speaker.strip() == "":
            raise BadInput(f"speaker is {self.speaker!r}; expected a name")
        if self.split not in SPLITS:
            raise BadInput(f"split is {self.split!r}; expected one of {', '.join(SPLITS)}")
        for name, least in (("start_sample", 0), ("samples", 1), ("sample_rate", 1)):
            if getattr(self, name) < least:
                raise BadInput(f"{name} is {getattr(self, name)}; expected {least} or more")
        for name in ("peak_dbfs", "rms_dbfs"):
            if not math.isfinite(getattr(self, name)):
                raise BadInput(f"{name} is {getattr(self, name)}; expected a number of decibels")
        if self.rms_dbfs < SILENCE_DBFS:
            raise BadInput(
                f"rms_dbfs is {self.rms_dbfs:g}, which is silence; expected speech, above "
                f"{SILENCE_DBFS:g}; leave the clip out"
            )
        if not _SHA256.fullmatch(self.sha256):
            raise BadInput(f"sha256 is {self.sha256[:70]!r}; expected 64 hexadecimal digits")

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.samples / self.sample_rate


COLUMNS = tuple(field.name for field in fields(Clip))


def read_corpus(path: Path) -> list[Clip]:
    """Read and check ``corpus.csv``: UTF-8, comma-separated, one row a clip, in any order.

    Other columns are ignored. That the files are what the table says is found out when they are
    decoded (`vocoder.corpus.Corpus`), since one bad file among thousands should not
    stop a training.

    Parameters
    ----------
    path : Path
        The file, or the folder that holds it.

    Returns
    -------
    list of Clip
        In order of path and start.

    Raises
    ------
    BadInput
        No table, missing columns, values that cannot be, paths that lead elsewhere or to no sound
        file, files that are gone, clips that overlap or hold the same sound, or several sample
        rates; the message names file and line.
    """
    table = path / CORPUS_NAME if path.is_dir() or path.suffix != ".csv" else path
    clips, places = [], []
    for place, row in _rows(table):
        places.append(place)
        try:
            clips.append(_clip(row))
        except BadInput as error:
            raise BadInput(f"{place}: {error}") from error
    if not clips:
        raise BadInput(f"{table} has no rows; expected one row a clip")
    _check_agreement(clips, places)
    _check_files(clips, places, table.parent)
    return sorted(clips, key=_order)


def write_corpus(path: Path, clips: Sequence[Clip], *, overwrite: bool) -> None:
    """Write ``corpus.csv``; refuses what `read_corpus` would refuse.

    Parameters
    ----------
    path : Path
        The file, or the folder that is to hold it, in which the clips' files must be already.
    clips : sequence of Clip
    overwrite : bool

    Raises
    ------
    BadInput
        Nothing to write, clips contradict each other, files are missing, or the table exists.
    """
    table = path if path.suffix == ".csv" else path / CORPUS_NAME
    if not clips:
        raise BadInput(f"{table} would have no rows; a corpus needs at least one clip")
    ordered = sorted(clips, key=_order)
    places = [f"{table}, clip {clip.path} from sample {clip.start_sample}" for clip in ordered]
    _check_agreement(ordered, places)
    _check_files(ordered, places, table.parent)
    with (
        atomic_path(table, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(clip, name) for name in COLUMNS] for clip in ordered)


def data_digest(clips: Sequence[Clip]) -> str:
    """A hash over what clips are made of and what they are for, whatever their order.

    Returns
    -------
    str
        SHA-256 in hexadecimal. Two corpora of the same digest train the same model.
    """
    total = hashlib.sha256()
    for clip in sorted(clips, key=_order):
        parts = (clip.path, clip.speaker, clip.split, clip.sha256)
        numbers = (clip.start_sample, clip.samples, clip.sample_rate)
        total.update(("\t".join(map(str, (*parts, *numbers))) + "\n").encode())
    return total.hexdigest()


def _order(clip: Clip) -> tuple[str, int]:
    return clip.path, clip.start_sample


def _require_path(path: str) -> None:
    pure = PurePosixPath(path)
    plain = (
        path.isprintable()
        and str(pure) == path
        and "\\" not in path
        and not pure.is_absolute()
        and not PureWindowsPath(path).drive
        and ".." not in pure.parts
    )
    if not plain or path in ("", "."):
        raise BadInput(
            f"path is {path!r}; expected a file below the corpus folder, such as "
            "speaker/line.flac, without .., drives or backslashes"
        )
    if pure.suffix.lower() not in SUFFIXES:
        raise BadInput(f"path is {path!r}; expected a sound file, {' or '.join(SUFFIXES)}")


def _rows(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row with its place for messages."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            columns = rows.fieldnames or ()
            if missing := [name for name in COLUMNS if name not in columns]:
                raise BadInput(
                    f"{table} lacks the columns {', '.join(missing)}; its first line must name "
                    f"{','.join(COLUMNS)} (it has {','.join(columns) or 'nothing'})"
                )
            for row in rows:
                place = f"{table}, line {rows.line_num}"
                if None in row or None in row.values():
                    raise BadInput(f"{place}: the number of fields differs from the first line's")
                yield place, row
    except FileNotFoundError as error:
        raise BadInput(
            f"{table} does not exist; give a folder that recipes/my_speaker or recipes/fillets "
            "wrote"
        ) from error
    except OSError as error:
        raise BadInput(f"cannot read {table}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{table} is not UTF-8 text; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise BadInput(f"{table} is not comma-separated text ({error})") from error


def _clip(row: dict[str, str]) -> Clip:
    # Annotations are text in this module, so the type of a column is found by its name.
    convert: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}
    values: dict[str, Any] = {}
    for field in fields(Clip):
        text = row[field.name]
        try:
            values[field.name] = convert[str(field.type)](text)
        except ValueError as error:
            expected = "a whole number" if field.type == "int" else "a number"
            raise BadInput(f"{field.name} is {text[:40]!r}; expected {expected}") from error
    return Clip(**values)


def _check_agreement(clips: Sequence[Clip], places: Sequence[str]) -> None:
    rates = Counter(clip.sample_rate for clip in clips)
    if len(rates) > 1:
        counts = ", ".join(f"{rate} Hz ({count} clips)" for rate, count in sorted(rates.items()))
        raise BadInput(f"the corpus mixes sample rates: {counts}; make it anew with a single one")
    hashes: dict[str, tuple[str, str]] = {}
    by_path: dict[str, list[tuple[int, int, str, str]]] = defaultdict(list)
    for clip, place in zip(clips, places, strict=True):
        known_path, known_place = hashes.setdefault(clip.sha256, (clip.path, place))
        if known_path != clip.path:
            raise BadInput(
                f"{place}: {clip.path} is the same file as {known_path} ({known_place}); remove "
                "one, since doubled sound weighs twice or leaks into validation"
            )
        end = clip.start_sample + clip.samples
        by_path[clip.path].append((clip.start_sample, end, clip.sha256, place))
    for path, stretches in by_path.items():
        stretches.sort()
        for (_, end, known, first), (start, _, sha256, second) in pairwise(stretches):
            if sha256 != known:
                raise BadInput(f"{second}: sha256 of {path} differs from that in {first}")
            if start < end:
                raise BadInput(f"{second}: the clip overlaps another of {path} ({first})")


def _check_files(clips: Sequence[Clip], places: Sequence[str], folder: Path) -> None:
    root = folder.resolve()
    gone = []
    for clip, place in zip(clips, places, strict=True):
        path = folder / clip.path
        if not path.is_file():
            gone.append(clip.path)
        elif not path.resolve().is_relative_to(root):
            raise BadInput(f"{place}: {clip.path} is a link out of {folder}; copy the file there")
    if gone:
        raise BadInput(
            f"{folder} lacks {len(gone)} of {len(clips)} sound files of its {CORPUS_NAME}: "
            f"{some_of(gone, ', ')}; restore them, or remove their rows"
        )
