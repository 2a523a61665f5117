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
from vocoder.corpus.corpus import CorpusFolder
from vocoder.errors import BadInput, some_of
from vocoder.image.codec.base import Codec
from vocoder.spec import SpectrogramSpec
from vocoder.train.channel.base import Channel
from vocoder.train.examples import Simulated, Source, Subset
from vocoder.train.painted import PaintedPairs, Pair, PairSounds, read_pairs


@dataclass(frozen=True)
class Materials:
    """Sources of examples, with what to write down about them.

    Parameters
    ----------
    train, validation : list of Source
    weights : list of float
        How often each source of ``train`` is drawn.
    record : dict
        Hashes, counts and minutes, as plain values.
    notes : list of str
        What was left out and why, for people.
    """

    train: list[Source]
    validation: list[Source]
    weights: list[float]
    record: dict[str, Any]
    notes: list[str]


class Data(ABC):
    """Where a training finds its examples."""

    @abstractmethod
    def materials(self, spec: SpectrogramSpec, channel: Channel, seed: int) -> Materials:
        """Open everything and check that it fits.

        Parameters
        ----------
        spec : SpectrogramSpec
        channel : Channel
            That pictures of recordings pass.
        seed : int
            Of whatever split is drawn.

        Raises
        ------
        BadInput
        """


@dataclass(frozen=True, kw_only=True)
class Recordings(CorpusFolder, Data):
    """Recordings of a corpus, their pictures damaged by the simulated channel.

    Parameters
    ----------
    root, speakers, cache
        See `vocoder.corpus.corpus.CorpusFolder`.
    """

    def materials(self, spec: SpectrogramSpec, channel: Channel, seed: int) -> Materials:
        # Shorter ones cannot be analysed.
        train, validation = (
            self.open(split, spec.sample_rate, spec.n_fft) for split in ("train", "val")
        )
        return Materials(
            train=[Simulated(train, spec, channel)],
            validation=[Simulated(validation, spec, channel)],
            weights=[1.0],
            record={
                "recordings": {
                    "sha256": train.data_digest,
                    "validation_sha256": validation.data_digest,
                    "clips": len(train),
                    "minutes": round(train.seconds / 60, 2),
                    "speakers": sorted({one.speaker for one in train.utterances}),
                }
            },
            notes=[note for c in (train, validation) if (note := c.describe_skipped())],
        )


@dataclass(frozen=True, kw_only=True)
class Painted(Data):
    """What a pix2pix painted, with the true recordings.

    Parameters
    ----------
    input : str
        Folder that the program wrote, for the lines it was trained on or others; never those that
        the result is to be tested on.
    reference : str
        Folder of the recordings, by name.
    manifest : str or None
        Of the data set, where it isn't beside the pictures.
    codec : str or None
        Name of an option of ``codec=``; ``None`` takes what the data set or the pictures say.
    db_min, db_max : float or None
        Its range, where it isn't the option's own.
    reference_gain_db : float
        What brings the recordings to the level that the pictures were made from.
    simulated_share : float
        How many examples are the same recordings behind the simulated channel instead, 0 to below
        1, so that a model stays good for other pictures.
    validation_share : float
        Of the lines, drawn with the seed, that are validated on and not learnt from.

    Raises
    ------
    BadInput
        A share out of range, or a range without its codec.
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

    def __post_init__(self) -> None:
        for name in ("simulated_share", "validation_share"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"data.{name} is {getattr(self, name)}; expected 0 to below 1")
        if self.codec is None and (self.db_min, self.db_max) != (None, None):
            raise BadInput(
                "data.db_min and data.db_max are of a codec; say which, as in data.codec=gray8"
            )

    def materials(self, spec: SpectrogramSpec, channel: Channel, seed: int) -> Materials:
        ends = {"db_min": self.db_min, "db_max": self.db_max}
        given = {name: end for name, end in ends.items() if end is not None}
        codec: Codec | None = None if self.codec is None else load("codec", self.codec, **given)
        pairs, problems = read_pairs(
            Path(self.input),
            Path(self.reference),
            manifest=None if self.manifest is None else Path(self.manifest),
            spec=spec,
            codec=codec,
            reference_gain_db=self.reference_gain_db,
        )
        left_out = [f"{name}: {reason}" for name, reason in problems.items()]
        held = max(1, round(self.validation_share * len(pairs)))
        if held >= len(pairs):
            raise BadInput(f"{self.input} gives {len(pairs)} lines; too few to validate on some")
        order = np.random.default_rng(seed).permutation(len(pairs))
        validation, train = (
            [pairs[i] for i in sorted(part)] for part in (order[:held], order[held:])
        )
        return Materials(
            train=[PaintedPairs(train, spec), Simulated(PairSounds(train), spec, channel)],
            validation=[PaintedPairs(validation, spec)],
            weights=[1 - self.simulated_share, self.simulated_share],
            record={
                "painted": {
                    "files_sha256": _digest(train),
                    "validation_files_sha256": _digest(validation),
                    "lines": len(train),
                    "minutes": round(sum(p.sound.size for p in train) / spec.sample_rate / 60, 2),
                    "left_out": len(problems),
                }
            },
            notes=[f"{len(left_out)} left out: {some_of(left_out)}"] if left_out else [],
        )


@dataclass(frozen=True, kw_only=True)
class Mixed(Data):
    """Several kinds of data at once. What one of them validates on, none of them learns from.

    Parameters
    ----------
    parts : mapping of str to Data
    shares : mapping of str to float
        How often an example comes from each part; they need not add up to one.

    Raises
    ------
    BadInput
        Not a share above 0 for every part.
    """

    parts: Mapping[str, Data]
    shares: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.shares.keys() != self.parts.keys() or not all(s > 0 for s in self.shares.values()):
            raise BadInput(
                f"data.shares is {dict(self.shares)}; expected a number above 0 for each of "
                f"{', '.join(self.parts)}"
            )

    def materials(self, spec: SpectrogramSpec, channel: Channel, seed: int) -> Materials:
        opened = {name: part.materials(spec, channel, seed) for name, part in self.parts.items()}
        validation = [source for one in opened.values() for source in one.validation]
        held = {line for source in validation for line in source.lines}
        train = [_without(held, source) for one in opened.values() for source in one.train]
        return Materials(
            train=train,
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
    """A source but for what it has of some lines."""
    kept = [i for i, line in enumerate(source.lines) if line not in held]
    if not kept:
        raise BadInput(
            f"the data validates on all {len(source.lines)} recordings that one part would learn "
            "from; give more recordings, or other parts"
        )
    return source if len(kept) == len(source.lines) else Subset(source, kept)


def _digest(pairs: Sequence[Pair]) -> str:
    total = hashlib.sha256()
    for pair in pairs:
        total.update(f"{pair.name}\n{pair.sha256}\n".encode())
    return total.hexdigest()
