"""The options of ``data=``: what a training learns from."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vocoder.config import load
from vocoder.corpus.corpus import Corpus
from vocoder.errors import BadInput, expect, some_of
from vocoder.image.codec.base import Codec
from vocoder.image.source import ImageSource
from vocoder.spec import SpectrogramSpec
from vocoder.train.degradation import Degradation
from vocoder.train.examples import Simulated, Source, Subset
from vocoder.train.generated import GeneratedPairs, Pair, PairRecordings, read_pairs


@dataclass(frozen=True)
class Sources:
    """Where examples come from, with what to write down about them."""

    train: list[Source]
    validation: list[Source]
    weights: list[float]  # how often each source of `train` is drawn
    record: dict[str, Any]  # hashes, counts and minutes, as plain values
    notes: list[str]  # what was left out and why, for people


class Data(ABC):
    """Where a training finds its examples."""

    @abstractmethod
    def open(
        self, specs: tuple[SpectrogramSpec, ...], degradation: Degradation, seed: int
    ) -> Sources:
        """Open everything and check that it fits.

        ``specs`` are of the analyses in every example, ``degradation`` is what spectrograms of
        recordings pass; whatever split is drawn comes from ``seed``.
        """


@dataclass(frozen=True, kw_only=True)
class Recordings(Data):
    """Recordings of a corpus, their spectrograms degraded by simulation.

    ``conf/data/corpus.yaml`` describes the settings.
    """

    root: str
    speakers: Sequence[str] | None
    cache: str | None

    def __post_init__(self) -> None:
        names = self.speakers
        expect(names is None or names, "data.speakers", names, "one name or more, or null for all")

    def corpus(self, split: str, specs: tuple[SpectrogramSpec, ...]) -> Corpus:
        """The utterances of a split that are long enough for all analyses."""
        return Corpus(
            Path(self.root),
            split,
            speakers=self.speakers,
            sample_rate=specs[0].sample_rate,
            min_samples=max(spec.n_fft for spec in specs),  # or else they cannot be analysed
            cache=None if self.cache is None else Path(self.cache),
        )

    def open(
        self, specs: tuple[SpectrogramSpec, ...], degradation: Degradation, seed: int
    ) -> Sources:
        train, validation = (self.corpus(split, specs) for split in ("train", "val"))
        return Sources(
            train=[Simulated(train, specs, degradation)],
            validation=[Simulated(validation, specs, degradation)],
            weights=[1.0],
            record={
                "recordings": {
                    "sha256": train.data_digest,
                    "validation_sha256": validation.data_digest,
                    "utterances": len(train),
                    "minutes": round(train.seconds / 60, 2),
                    "speakers": sorted({one.speaker for one in train.utterances}),
                }
            },
            notes=[note for c in (train, validation) if (note := c.describe_skipped())],
        )


@dataclass(frozen=True, kw_only=True)
class Generated(Data):
    """What a pix2pix or another program generated, with the true recordings.

    ``conf/data/generated.yaml`` describes the settings.
    """

    input: str
    reference: str
    manifest: str | None
    codec: str | None
    db_min: float | None
    db_max: float | None
    reference_gain_db: float
    simulated_share: float
    validation_share: float
    label: str | None = None
    program: str | None = None
    checked: bool = True

    def __post_init__(self) -> None:
        for name in ("simulated_share", "validation_share"):
            expect(
                0 <= getattr(self, name) < 1, f"data.{name}", getattr(self, name), "0 to below 1"
            )
        if self.codec is None and (self.db_min, self.db_max) != (None, None):
            raise BadInput(
                "data.db_min and data.db_max are of a codec; say which, as in data.codec=gray8",
                key="data.codec.missing",
            )

    def open(
        self, specs: tuple[SpectrogramSpec, ...], degradation: Degradation, seed: int
    ) -> Sources:
        ends = {"db_min": self.db_min, "db_max": self.db_max}
        given = {name: end for name, end in ends.items() if end is not None}
        codec: Codec | None = None if self.codec is None else load("codec", self.codec, **given)
        source = ImageSource(
            input=self.input,
            manifest=self.manifest,
            label=self.label,
            program=self.program,
            spec=specs[0],
            codec=codec,
        )
        pairs, problems = read_pairs(
            source,
            Path(self.reference),
            specs=specs,
            reference_gain_db=self.reference_gain_db,
            checked=self.checked,
        )
        left_out = [f"{name}: {reason}" for name, reason in problems.items()]
        recordings = list(dict.fromkeys(pair.recording for pair in pairs))  # channels are of one
        held = max(1, round(self.validation_share * len(recordings)))
        if held >= len(recordings):
            raise BadInput(
                f"{self.input} gives {len(recordings)} utterance(s) with a recording; expected at "
                "least two, one of them to validate on",
                key="data.input.short",
            )
        order = np.random.default_rng(seed).permutation(len(recordings))
        kept = {recordings[i] for i in order[:held]}
        validation = [pair for pair in pairs if pair.recording in kept]
        train = [pair for pair in pairs if pair.recording not in kept]
        return Sources(
            train=[
                GeneratedPairs(train, specs),
                Simulated(PairRecordings(train), specs, degradation),
            ],
            validation=[GeneratedPairs(validation, specs)],
            weights=[1 - self.simulated_share, self.simulated_share],
            record={
                "generated": {
                    "files_sha256": _digest(train),
                    "validation_files_sha256": _digest(validation),
                    "utterances": len(train),
                    "minutes": round(
                        sum(p.waveform.size for p in train) / specs[0].sample_rate / 60, 2
                    ),
                    "left_out": len(problems),
                }
            },
            notes=[f"{len(left_out)} left out: {some_of(left_out)}"] if left_out else [],
        )


@dataclass(frozen=True, kw_only=True)
class Mixed(Data):
    """Several kinds of data at once. What one of them validates on, none of them learns from."""

    parts: Mapping[str, Data]
    shares: Mapping[str, float]  # how often an example comes from each; of any sum, 0 is left out

    def __post_init__(self) -> None:
        shares = dict(self.shares)
        fits = self._used and shares.keys() == self.parts.keys() and min(shares.values()) >= 0
        expected = f"0 or more for each of {', '.join(self.parts)}, and one above it"
        expect(fits, "data.shares", shares, expected)

    @property
    def _used(self) -> dict[str, Data]:
        return {name: part for name, part in self.parts.items() if self.shares.get(name, 0) > 0}

    def open(
        self, specs: tuple[SpectrogramSpec, ...], degradation: Degradation, seed: int
    ) -> Sources:
        opened = {name: part.open(specs, degradation, seed) for name, part in self._used.items()}
        validation = [source for one in opened.values() for source in one.validation]
        held = {name for source in validation for name in source.recordings}
        return Sources(
            train=[_without(held, source) for one in opened.values() for source in one.train],
            validation=validation,
            weights=[
                self.shares[name] * weight / sum(one.weights)
                for name, one in opened.items()
                for weight in one.weights
            ],
            record={name: one.record for name, one in opened.items()},
            notes=[note for one in opened.values() for note in one.notes],
        )


def _without(held: set[str], source: Source) -> Source:
    """A source but for what it has of some recordings."""
    kept = [i for i, name in enumerate(source.recordings) if name not in held]
    if not kept:
        raise BadInput(
            f"the data validates on all {len(source.recordings)} recordings that one part would "
            "learn from; give more recordings, or other parts",
            key="data.short",
        )
    return source if len(kept) == len(source.recordings) else Subset(source, kept)


def _digest(pairs: Sequence[Pair]) -> str:
    total = hashlib.sha256()
    for pair in pairs:
        total.update(f"{pair.name}\n{pair.sha256}\n".encode())
    return total.hexdigest()
