"""``corpus.csv``: which stretch of which audio file is for training, validation or test."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath

from vocoder.errors import BadInput, some_of
from vocoder.tables import read_table, write_table

CORPUS_NAME = "corpus.csv"
SPLITS = ("train", "val", "test")
SUFFIXES = (".flac", ".wav")
# Speech is a hundred times louder. An utterance below this is silence, which teaches nothing.
SILENCE_DBFS = -80.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_INT = 2**62  # what arrays can count


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A stretch of one speaker's speech: a row of ``corpus.csv``."""

    path: str  # of a FLAC or WAV file with one channel, below the corpus folder, with /
    speaker: str
    split: str  # one of SPLITS
    start_sample: int  # where in the file it begins
    samples: int
    sample_rate: int  # of the file, in Hz
    peak_dbfs: float  # greatest magnitude, in dB relative to 1.0
    rms_dbfs: float  # root mean square likewise: a full-scale sine has -3.01
    sha256: str  # of the file's bytes

    def __post_init__(self) -> None:
        finite = f"above {SILENCE_DBFS:g}, below which is silence: leave the utterance out"
        for name, fits, expected in (
            ("path", _is_inside(self.path), f"{' or '.join(SUFFIXES)} below the corpus folder"),
            ("speaker", self.speaker.isprintable() and self.speaker.strip(), "a name"),
            ("split", self.split in SPLITS, f"one of {', '.join(SPLITS)}"),
            ("start_sample", 0 <= self.start_sample < _MAX_INT, "0 or more"),
            ("samples", 1 <= self.samples < _MAX_INT, "1 or more"),
            ("sample_rate", 1 <= self.sample_rate < _MAX_INT, "1 or more"),
            ("peak_dbfs", math.isfinite(self.peak_dbfs), "decibels"),
            ("rms_dbfs", SILENCE_DBFS <= self.rms_dbfs < math.inf, finite),
            ("sha256", _SHA256.fullmatch(self.sha256), "64 hexadecimal digits"),
        ):
            if not fits:
                raise BadInput(
                    f"{name} is {repr(getattr(self, name))[:80]}; expected {expected}",
                    key=f"{name}.invalid",
                )

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


COLUMNS = tuple(field.name for field in fields(Utterance))


def read_corpus(folder: Path) -> list[Utterance]:
    """Read and check ``corpus.csv``: UTF-8, comma-separated, one row an utterance, in any order.

    Other columns are ignored. That the files are what the table says is found out when they are
    decoded (`vocoder.corpus.Corpus`), since one bad file among thousands should not stop a
    training. In order of path and start.
    """
    table = folder / CORPUS_NAME
    if not table.is_file():
        raise BadInput(
            f"{table} does not exist; give a folder that vocoder corpus wrote",
            key="corpus.missing",
        )
    utterances, places = read_table(table, Utterance, "corpus")
    _check(utterances, places, folder)
    return sorted(utterances, key=_order)


def write_corpus(folder: Path, utterances: Sequence[Utterance], *, overwrite: bool) -> None:
    """Write ``corpus.csv`` beside the utterances' files; refuses what `read_corpus` would."""
    table = folder / CORPUS_NAME
    if not utterances:
        raise BadInput(
            f"{table} would have no rows; a corpus needs at least one utterance",
            key="corpus.empty",
        )
    ordered = sorted(utterances, key=_order)
    places = [f"{table}, utterance {one.path} from sample {one.start_sample}" for one in ordered]
    _check(ordered, places, folder)
    write_table(table, COLUMNS, map(astuple, ordered), overwrite=overwrite)


def data_digest(utterances: Sequence[Utterance]) -> str:
    """Hash what utterances are made of and what they are for, whatever their order.

    Two corpora of the same digest train the same model.
    """
    total = hashlib.sha256()
    for one in sorted(utterances, key=_order):
        parts = (one.path, one.speaker, one.split, one.sha256)
        numbers = (one.start_sample, one.samples, one.sample_rate)
        total.update(("\t".join(map(str, (*parts, *numbers))) + "\n").encode())
    return total.hexdigest()


def _order(utterance: Utterance) -> tuple[str, int]:
    return utterance.path, utterance.start_sample


def _is_inside(path: str) -> bool:
    """Whether a path is plainly that of an audio file below a folder, on any system."""
    pure = PurePosixPath(path)
    is_plain = path.isprintable() and str(pure) == path and "\\" not in path
    leads_out = pure.is_absolute() or PureWindowsPath(path).drive or ".." in pure.parts
    return is_plain and not leads_out and pure.suffix.lower() in SUFFIXES


def _check(utterances: Sequence[Utterance], places: Sequence[str], folder: Path) -> None:
    """Refuse utterances that contradict each other or lack their files."""
    rates = Counter(one.sample_rate for one in utterances)
    if len(rates) > 1:
        counts = ", ".join(f"{rate} Hz ({n} utterances)" for rate, n in sorted(rates.items()))
        raise BadInput(
            f"the corpus mixes sample rates: {counts}; make it anew with a single one",
            key="corpus.sample_rate",
        )
    first_of: dict[str, tuple[str, str]] = {}
    gone = []
    for one, place in zip(utterances, places, strict=True):
        path, first = first_of.setdefault(one.sha256, (one.path, place))
        if path != one.path:
            raise BadInput(
                f"{place}: {one.path} is the same file as {path} ({first}); remove one, since "
                "doubled audio weighs twice or leaks into validation",
                key="corpus.doubled",
            )
        if not (folder / one.path).is_file():
            gone.append(one.path)
        elif not (folder / one.path).resolve().is_relative_to(folder.resolve()):
            raise BadInput(
                f"{place}: {one.path} is a link out of {folder}; copy the file there",
                key="path.link",
            )
    together = sorted(zip(utterances, places, strict=True), key=lambda pair: _order(pair[0]))
    for (before, first), (after, second) in pairwise(together):
        if before.path != after.path:
            continue
        if before.sha256 != after.sha256:
            raise BadInput(
                f"{second}: sha256 of {after.path} differs from that in {first}",
                key="sha256.conflict",
            )
        if after.start_sample < before.start_sample + before.samples:
            raise BadInput(
                f"{second}: the utterance overlaps another of {after.path} ({first})",
                key="corpus.overlap",
            )
    if gone:
        raise BadInput(
            f"{folder} lacks {len(gone)} of {len(utterances)} audio files of its {CORPUS_NAME}: "
            f"{some_of(gone, ', ')}; restore them, or remove their rows",
            key="corpus.files",
        )
