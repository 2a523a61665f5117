"""Corpus: any stretch of any utterance of a split, at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vocoder.config import nearest
from vocoder.corpus.manifest import CORPUS_NAME, SPLITS, data_digest, read_corpus
from vocoder.corpus.store import FULL_SCALE, SAMPLE, open_store
from vocoder.errors import BadInput, expect, some_of

CACHE_NAME = ".decoded"
# One damaged file among many is passed over. More than this share means that something is wrong
# with the corpus, and whoever trains should know before the hours are spent.
MAX_UNUSABLE = 0.1


class Corpus:
    """The utterances of one split of a corpus, for random access.

    The whole corpus is decoded once, into a file of 16-bit samples that all splits, processes and
    later runs share; reading a stretch is then a copy from mapped memory (some 20 microseconds,
    where seeking in a FLAC takes a millisecond). The file is named by a hash of the contents, so
    that it is never stale.

    Parameters
    ----------
    speakers : sequence of str, optional
        Only these; all if not given.
    sample_rate : int, optional
        That the corpus must have, in Hz; any if not given.
    min_samples : int
        Utterances that are shorter are left out (``n_short``): no segment fits in.
    cache : Path, optional
        Folder for the decoded audio; ``.decoded`` in the corpus folder if not given.

    Attributes
    ----------
    utterances : tuple of Utterance
        In order of path and start.
    skipped : tuple of str
        Why those of this split and these speakers that cannot be used cannot: a damaged file, say.
        To be shown to the user; more than a tenth is refused.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        *,
        speakers: Sequence[str] | None = None,
        sample_rate: int | None = None,
        min_samples: int = 1,
        cache: Path | None = None,
    ) -> None:
        expect(split in SPLITS, "split", split, f"one of {', '.join(SPLITS)}", "unknown")
        everything = read_corpus(folder)
        self.sample_rate = everything[0].sample_rate
        if sample_rate not in (None, self.sample_rate):
            raise BadInput(
                f"{folder} has {self.sample_rate} Hz, but {sample_rate} Hz are wanted; make the "
                "corpus at that rate, or choose a spec of this one",
                key="corpus.sample_rate",
            )
        known = sorted({one.speaker for one in everything})
        for name in speakers or ():
            if name not in known:
                raise BadInput(
                    f"{folder} has no speaker {name}{nearest(name, known)}",
                    key="data.speakers.unknown",
                )
        self._path, offsets, reasons = open_store(folder, everything, cache or folder / CACHE_NAME)
        rows = [
            row
            for row in zip(everything, offsets, reasons, strict=True)
            if row[0].split == split and (speakers is None or row[0].speaker in speakers)
        ]
        usable = [(one, offset) for one, offset, reason in rows if not reason]
        fitting = [(one, offset) for one, offset in usable if one.samples >= min_samples]
        self.utterances = tuple(one for one, _ in fitting)
        self._offsets = [offset for _, offset in fitting]
        self.skipped = tuple(reason for *_, reason in rows if reason)
        self.n_short = len(usable) - len(fitting)

        what = " of ".join([f"of split {split}", *([", ".join(speakers)] if speakers else [])])
        if not rows:
            raise BadInput(
                f"{folder / CORPUS_NAME} has no utterances {what}; name some in its column split",
                key="split.missing",
            )
        if len(self.skipped) > MAX_UNUSABLE * len(rows):
            raise BadInput(
                f"{folder}: {self.describe_skipped()}; make the corpus anew", key="corpus.damaged"
            )
        if not self.utterances:
            raise BadInput(
                f"{folder} is too short: none of {len(rows)} utterances {what} has {min_samples} "
                f"samples ({min_samples / self.sample_rate:.2f} s)",
                key="corpus.short",
            )

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def lengths(self) -> list[int]:
        """Samples of each utterance."""
        return [one.samples for one in self.utterances]

    @property
    def names(self) -> list[str]:
        """The file of each utterance, without its suffix."""
        return [one.path.removesuffix(PurePosixPath(one.path).suffix) for one in self.utterances]

    @property
    def seconds(self) -> float:
        """Length of all utterances together."""
        return sum(one.seconds for one in self.utterances)

    @property
    def data_digest(self) -> str:
        """Hash of these utterances for the records of a run (see `manifest.data_digest`)."""
        return data_digest(self.utterances)

    def read(self, index: int, start: int = 0, samples: int | None = None) -> np.ndarray:
        """Read a stretch of an utterance, to its end if not told how long: a copy, float32.

        What is not within raises `IndexError`.
        """
        length = self.utterances[index].samples
        count = length - start if samples is None else samples
        if start < 0 or count < 0 or start + count > length:
            raise IndexError(
                f"samples {start} to {start + count} of utterance {index}, which has {length}"
            )
        first = self._offsets[index] + start
        return self._samples[first : first + count] * np.float32(1 / FULL_SCALE)

    def describe_skipped(self) -> str:
        """Count and name what was passed over, in one line; empty if nothing was."""
        if not self.skipped:
            return ""
        total = len(self.skipped) + len(self.utterances) + self.n_short
        return f"{len(self.skipped)} of {total} utterances passed over: {some_of(self.skipped)}"

    @cached_property
    def _samples(self) -> np.ndarray:
        return np.memmap(self._path, dtype=SAMPLE, mode="r")

    def __getstate__(self) -> dict[str, Any]:
        # A mapping would be sent to other processes as a copy of all samples.
        return {name: value for name, value in self.__dict__.items() if name != "_samples"}
