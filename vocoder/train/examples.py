"""What a network learns from: pieces of sound with the picture it has to make them of.

Every example is a function of the seed and of its number alone, whoever asks for it: so training
resumes where it stopped, and any number of workers or machines see the same examples.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from vocoder.decibels import SILENCE_DB, amplify
from vocoder.errors import BadInput
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse
from vocoder.train.channel.base import Channel


@dataclass(frozen=True)
class Example:
    """A piece of an utterance.

    Parameters
    ----------
    damaged, true : ndarray
        ``(bins, frames)``, float32, in decibels: what the image shows, and what it should show.
    sound : ndarray
        ``(frames * hop_length,)``, float32; it begins at the centre of the first frame (with its
        first sample, where the spec isn't centred).
    """

    damaged: np.ndarray
    true: np.ndarray
    sound: np.ndarray

    def scaled(self, gain: float) -> Example:
        """The same, louder by a factor."""
        gain_db = 20 * math.log10(gain)
        return Example(
            amplify(self.damaged, gain_db),
            amplify(self.true, gain_db),
            self.sound * np.float32(gain),
        )


class Source(ABC):
    """Where examples come from.

    Attributes
    ----------
    spec : SpectrogramSpec
    lines : sequence of str
        For each utterance the recording that it is of, ``folder/name`` without a suffix: the same
        in all sources of one recording, for all that was cut from it.
    """

    spec: SpectrogramSpec
    lines: Sequence[str]

    @property
    @abstractmethod
    def total_frames(self) -> Sequence[int]:
        """Frames of each utterance."""

    @abstractmethod
    def piece(self, utterance: int, begin: int, frames: int, rng: np.random.Generator) -> Example:
        """Frames of an utterance from ``begin`` on; silence where it has ended."""

    def whole(self, utterance: int, rng: np.random.Generator) -> Example:
        """All of an utterance."""
        return self.piece(utterance, 0, self.total_frames[utterance], rng)


class Sounds(Protocol):
    """Recordings with random access, such as a `vocoder.corpus.corpus.Corpus`."""

    @property
    def lengths(self) -> Sequence[int]:
        """Samples of each."""

    @property
    def lines(self) -> Sequence[str]:
        """As `Source.lines`."""

    def read(self, index: int, start: int, samples: int) -> np.ndarray:
        """A stretch of one, float32."""


class Simulated(Source):
    """Recordings whose pictures pass a simulated channel.

    Parameters
    ----------
    sounds : Sounds
        At the spec's sample rate.
    spec : SpectrogramSpec
    channel : Channel
    """

    def __init__(self, sounds: Sounds, spec: SpectrogramSpec, channel: Channel) -> None:
        self.spec, self.lines = spec, sounds.lines
        self._sounds, self._channel = sounds, channel
        self._frames = [spec.n_frames(length) for length in sounds.lengths]

    @property
    def total_frames(self) -> Sequence[int]:
        return self._frames

    def piece(self, utterance: int, begin: int, frames: int, rng: np.random.Generator) -> Example:
        sounds, spec = self._sounds, self.spec

        def read(start: int, samples: int) -> np.ndarray:
            return sounds.read(utterance, start, samples)

        true, sound = sound_and_picture(read, sounds.lengths[utterance], begin, frames, spec)
        damaged = self._channel(np.maximum(true, np.float32(FLOOR_DB)), spec, rng)
        return Example(silenced(damaged), true, sound)


class Subset(Source):
    """Some utterances of a source.

    Parameters
    ----------
    source : Source
    utterances : sequence of int
    """

    def __init__(self, source: Source, utterances: Sequence[int]) -> None:
        self.spec = source.spec
        self.lines = [source.lines[i] for i in utterances]
        self._source, self._utterances = source, utterances
        self._frames = [source.total_frames[i] for i in utterances]

    @property
    def total_frames(self) -> Sequence[int]:
        return self._frames

    def piece(self, utterance: int, begin: int, frames: int, rng: np.random.Generator) -> Example:
        return self._source.piece(self._utterances[utterance], begin, frames, rng)


def sound_and_picture(
    read: Callable[[int, int], np.ndarray],
    n_samples: int,
    begin: int,
    frames: int,
    spec: SpectrogramSpec,
) -> tuple[np.ndarray, np.ndarray]:
    """A piece of a recording and its true spectrogram, as the analysis of the whole gives it.

    Parameters
    ----------
    read : callable
        From first sample and number of samples to these samples, ``(samples,)``.
    n_samples : int
        Of the recording.
    begin, frames : int
        First frame and number of frames; what lies beyond the end is silence.
    spec : SpectrogramSpec

    Returns
    -------
    ndarray
        Decibels, ``(bins, frames)``.
    ndarray
        Samples from the centre of the first frame on, ``(frames * hop_length,)``.
    """
    hop, total = spec.hop_length, spec.n_frames(n_samples)
    # Frames around the piece share samples with it; they are analysed and cut off again.
    margin = -(-spec.n_fft // hop)
    first, last = max(begin - margin, 0), min(begin + frames + margin, total)
    stop = n_samples if last == total else last * hop
    samples = read(first * hop, stop - first * hop)
    decibels = analyse(torch.from_numpy(samples)[None], spec).decibels[0].numpy()
    sound = _filled(samples[None, (begin - first) * hop :], frames * hop, 0.0)[0]
    return _filled(decibels[:, begin - first :], frames, SILENCE_DB), sound


class Mixture(Dataset[Example]):
    """Examples drawn from several sources; number ``i`` is always the same.

    Parameters
    ----------
    sources : sequence of Source
    weights : sequence of float
        How often each source is drawn.
    frames : int
        Of each example.
    gain_db : float
        Examples are made louder or quieter by up to this, so that a model learns all levels.
    seed : int

    Raises
    ------
    BadInput
        No source, or sources of different specs.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        weights: Sequence[float],
        *,
        frames: int,
        gain_db: float,
        seed: int,
    ) -> None:
        if not sources or len(sources) != len(weights):
            raise BadInput(f"{len(sources)} sources and {len(weights)} weights; expected as many")
        for source in sources[1:]:
            sources[0].spec.require_same(source.spec, "one source of examples", "another")
        self._sources, self._frames = sources, frames
        self._weights = np.asarray(weights, np.float64) / np.sum(weights)
        # An utterance is drawn as often as it is long, so that every second counts alike.
        self._shares = [
            np.asarray(source.total_frames, np.float64) / np.sum(source.total_frames)
            for source in sources
        ]
        self._gain_db, self._seed = gain_db, seed

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng((self._seed, index))
        drawn = int(rng.choice(len(self._sources), p=self._weights))
        source, shares = self._sources[drawn], self._shares[drawn]
        utterance = int(rng.choice(len(shares), p=shares))
        slack = source.total_frames[utterance] - self._frames
        begin = int(rng.integers(0, max(slack, 0) + 1))
        example = source.piece(utterance, begin, self._frames, rng)
        gain_db = rng.uniform(-self._gain_db, self._gain_db)
        return example.scaled(10 ** (gain_db / 20))


def silenced(decibels: np.ndarray) -> np.ndarray:
    """What lies at the networks' floor, as silence."""
    return np.asarray(np.where(decibels > FLOOR_DB, decibels, SILENCE_DB), np.float32)


def _filled(rows: np.ndarray, length: int, value: float) -> np.ndarray:
    """Cut or filled up at the end to ``(rows, length)``."""
    cut = rows[:, :length]
    missing = ((0, 0), (0, length - cut.shape[1]))
    return np.ascontiguousarray(np.pad(cut, missing, constant_values=value))
