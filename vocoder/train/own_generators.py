"""Generated images of one's own recordings: small generators are trained to make them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from vocoder.config import load
from vocoder.corpus.corpus import Corpus
from vocoder.errors import BadInput, expect, expect_ranges
from vocoder.image.codec.base import Codec
from vocoder.spec import SpectrogramSpec
from vocoder.train.data import Data, Generated, Mixed, Recordings, Sources
from vocoder.train.degradation import Degradation
from vocoder.train.generators.studio import Studio
from vocoder.train.generators.tasks import TASKS
from vocoder.train.generators.trainer import Kind

RECORDINGS = "recordings"  # the part of the mixture that they are
LOCK_NAME = ".lock"
MIN_UTTERANCES = 4  # two to generate: one to learn from, one to validate on


@dataclass(frozen=True, kw_only=True)
class OwnGenerators(Data):
    """Recordings of a corpus, and what small generators make of them.

    What a simulated degradation alone teaches is not enough: what a repair knows it has from
    generators. So a few of the kinds of `vocoder.train.generators` are trained on one half of the
    recordings and generate the other half, as a program does what it has not seen.
    ``conf/data/own_generators.yaml`` describes the settings.
    """

    root: str
    speakers: Sequence[str] | None
    cache: str | None
    folder: str
    tasks: Mapping[str, float]
    recordings_share: float
    steps: int
    db_min: float
    db_max: float
    validation_share: float

    def __post_init__(self) -> None:
        fits = self.tasks.keys() <= TASKS.keys() and self._shares and min(self.tasks.values()) >= 0
        expected = f"shares of {', '.join(TASKS)}, one of them above 0"
        expect(fits, "data.tasks", dict(self.tasks), expected)
        expect_ranges(self, "data", steps=(1, math.inf), recordings_share=(0, math.inf))
        fits = 0 <= self.validation_share < 1
        expect(fits, "data.validation_share", self.validation_share, "0 to below 1")

    @property
    def _shares(self) -> dict[str, float]:
        return {task: share for task, share in self.tasks.items() if share > 0}

    def open(
        self, specs: tuple[SpectrogramSpec, ...], degradation: Degradation, seed: int
    ) -> Sources:
        if len(specs) > 1:
            raise BadInput(
                "data=own_generators has grey images made, and the model repairs "
                f"{len(specs)} analyses; give data=generated for these",
                key="data.windows.conflict",
            )
        codec: Codec = load("codec", "gray8", db_min=self.db_min, db_max=self.db_max)
        recordings = Recordings(root=self.root, speakers=self.speakers, cache=self.cache)
        corpus = recordings.corpus("train", specs)
        recordings.corpus("val", specs)  # what it lacks is told before generators are trained
        if len(corpus) < MIN_UTTERANCES:
            raise BadInput(
                f"{self.root} has {len(corpus)} utterance(s) to learn from; expected at least "
                f"{MIN_UTTERANCES}, since generators learn from one half and generate the other",
                key="data.root.short",
            )
        parts: dict[str, Data] = {
            task: self._generated(corpus, task, number, specs[0], codec, seed)
            for number, task in enumerate(self.tasks)  # the seed of one is not the others' matter
            if task in self._shares
        }
        parts[RECORDINGS] = recordings
        shares = {**self._shares, RECORDINGS: self.recordings_share}
        return Mixed(parts=parts, shares=shares).open(specs, degradation, seed)

    def _generated(
        self,
        corpus: Corpus,
        task: str,
        number: int,
        spec: SpectrogramSpec,
        codec: Codec,
        seed: int,
    ) -> Generated:
        """Have a generator of a task learn and generate, unless it has."""
        folder = Path(self.folder) / task
        folder.mkdir(parents=True, exist_ok=True)
        halves = [range(first, len(corpus), 2) for first in (0, 1)]
        studio = Studio(
            corpus,
            folder,
            Kind.drawn(seed + number, task, paired=True),
            spec=spec,
            codec=codec,
            learns=halves[number % 2],
            generates=halves[1 - number % 2],
            seed=seed + number,
            steps=self.steps,
        )
        with FileLock(folder / LOCK_NAME):  # of several processes one works and the others wait
            studio.work()
        return Generated(
            input=str(folder / "results"),
            reference=str(folder / "reference"),
            manifest=None,
            codec=None,
            db_min=None,
            db_max=None,
            reference_gain_db=0.0,
            simulated_share=0.0,
            validation_share=self.validation_share,
            checked=False,
        )
