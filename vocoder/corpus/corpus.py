"""Corpus: any stretch of any clip of a split, at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vocoder.config import nearest
from vocoder.corpus.manifest import CORPUS_NAME, SPLITS, Clip, data_digest, read_corpus
from vocoder.corpus.store import FULL_SCALE, open_store
from vocoder.errors import BadInput, some_of

CACHE_NAME = ".decoded"
# One damaged file among many is passed over. More than this share means that something is wrong
# with the corpus, and whoever trains should know before the hours are spent.
MOST_UNUSABLE = 0.1


class Corpus:
    """The clips of one split of a corpus, for random access.

    The whole corpus is decoded once, into a file of 16-bit samples that all splits, processes and
    later runs share; reading a stretch is then a copy from mapped memory (some 20 microseconds,
    where seeking in a FLAC takes a millisecond). The file is named by a hash of the contents, so
    that it is never stale.

    Parameters
    ----------
    folder : Path
        With ``corpus.csv`` and the sound files.
    split : {"train", "val", "test"}
    speakers : sequence of str, optional
        Only these; all if not given.
    sample_rate : int, optional
        That the corpus must have, in Hz; any if not given.
    shortest_samples : int
        Clips that are shorter are left out, since the trainer's segment does not fit in.
    cache : Path, optional
        Folder for the decoded sound; ``.decoded`` in the corpus folder if not given.

    Attributes
    ----------
    clips : tuple of Clip
        In order of path and start.
    skipped : tuple of (Clip, str)
        Clips of this split and these speakers that cannot be used, each with the reason, such as a
        damaged file. To be shown to the user.
    n_short : int
        Clips left out as shorter than ``shortest_samples``.
    sample_rate : int
        In Hz.

    Raises
    ------
    BadInput
        The table is faulty (see `read_corpus`), has another sample rate, no clip of this split, no
        such speaker, nothing long enough, or more than a tenth of the clips is unusable.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        *,
        speakers: Sequence[str] | None = None,
        sample_rate: int | None = None,
        shortest_samples: int = 1,
        cache: Path | None = None,
    ) -> None:
        if split not in SPLITS:
            raise BadInput(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
        everything = read_corpus(folder)
        self.sample_rate = everything[0].sample_rate
        if sample_rate not in (None, self.sample_rate):
            raise BadInput(
                f"{folder} has {self.sample_rate} Hz, but {sample_rate} Hz are wanted; make the "
                "corpus at that rate, or choose a spec of this one"
            )
        _require_speakers(folder, everything, speakers)
        self._store = open_store(folder, everything, cache or folder / CACHE_NAME)
        rows = [
            (clip, offset, reason)
            for clip, offset, reason in zip(
                everything, self._store.offsets, self._store.reasons, strict=True
            )
            if clip.split == split and (speakers is None or clip.speaker in speakers)
        ]
        usable = [(clip, offset) for clip, offset, reason in rows if not reason]
        fitting = [(clip, offset) for clip, offset in usable if clip.samples >= shortest_samples]
        self.clips = tuple(clip for clip, _ in fitting)
        self.skipped = tuple((clip, reason) for clip, _, reason in rows if reason)
        self.n_short = len(usable) - len(fitting)
        self._offsets = [offset for _, offset in fitting]
        self._check(folder, split, speakers, len(rows), shortest_samples)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def lengths(self) -> list[int]:
        """Samples of each clip."""
        return [clip.samples for clip in self.clips]

    @property
    def lines(self) -> list[str]:
        """The file of each clip, without its suffix."""
        return [clip.path.removesuffix(PurePosixPath(clip.path).suffix) for clip in self.clips]

    @property
    def seconds(self) -> float:
        """Length of all clips together."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def data_digest(self) -> str:
        """Hash of these clips for the records of a run (see `manifest.data_digest`)."""
        return data_digest(self.clips)

    def read(self, index: int, start: int = 0, samples: int | None = None) -> np.ndarray:
        """A stretch of a clip.

        Parameters
        ----------
        index : int
            Of the clip, from 0.
        start, samples : int
            Within the clip, ``samples`` to its end if not given.

        Returns
        -------
        ndarray
            float32, ``(samples,)``, -1 to 1; a copy.

        Raises
        ------
        IndexError
            The stretch is not within the clip.
        """
        clip = self.clips[index]
        count = clip.samples - start if samples is None else samples
        if start < 0 or count < 0 or start + count > clip.samples:
            raise IndexError(
                f"samples {start} to {start + count} of clip {index}, which has {clip.samples}"
            )
        first = self._offsets[index] + start
        return self._sound[first : first + count] * np.float32(1 / FULL_SCALE)

    def describe_skipped(self) -> str:
        """One line that counts and names what was passed over; empty if nothing was."""
        if not self.skipped:
            return ""
        named = some_of([reason for _, reason in self.skipped])
        total = len(self.skipped) + len(self.clips) + self.n_short
        return f"{len(self.skipped)} of {total} clips passed over: {named}"

    @cached_property
    def _sound(self) -> np.ndarray:
        return self._store.map()

    def __getstate__(self) -> dict[str, Any]:
        # A mapping would be sent to other processes as a copy of all samples.
        return {name: value for name, value in self.__dict__.items() if name != "_sound"}

    def _check(
        self, folder: Path, split: str, speakers: Sequence[str] | None, n_rows: int, shortest: int
    ) -> None:
        who = f" of {', '.join(speakers)}" if speakers else ""
        if not n_rows:
            raise BadInput(f"{folder / CORPUS_NAME} has no clips of split {split}{who}")
        if len(self.skipped) > MOST_UNUSABLE * n_rows:
            raise BadInput(f"{folder}: {self.describe_skipped()}; make the corpus anew")
        if not self.clips:
            raise BadInput(
                f"{folder} is too short: none of {n_rows} clips of split {split}{who} has "
                f"{shortest} samples ({shortest / self.sample_rate:.2f} s)"
            )


@dataclass(frozen=True, kw_only=True)
class CorpusFolder:
    """Where a training finds its speech: the option ``data=`` of the command line.

    Parameters
    ----------
    root : str
        Folder with ``corpus.csv``.
    speakers : list of str or None
        Only these; all if ``None``.
    cache : str or None
        Folder for the decoded sound; ``None`` is ``.decoded`` in ``root``.

    Raises
    ------
    BadInput
        ``speakers`` is no list of names.
    """

    root: str
    speakers: Sequence[str] | None
    cache: str | None

    def __post_init__(self) -> None:
        names = self.speakers
        if names is not None and (
            isinstance(names, str) or not names or not all(isinstance(name, str) for name in names)
        ):
            raise BadInput(f"data.speakers is {names!r}; expected a list, such as [anna,ben]")

    def open(self, split: str, sample_rate: int, shortest_samples: int = 1) -> Corpus:
        """The `Corpus` of a split; parameters and errors as there."""
        return Corpus(
            Path(self.root),
            split,
            speakers=self.speakers,
            sample_rate=sample_rate,
            shortest_samples=shortest_samples,
            cache=None if self.cache is None else Path(self.cache),
        )


def _require_speakers(folder: Path, clips: Sequence[Clip], speakers: Sequence[str] | None) -> None:
    known = sorted({clip.speaker for clip in clips})
    for name in speakers or ():
        if name not in known:
            raise BadInput(f"{folder} has no speaker {name}{nearest(name, known)}")
