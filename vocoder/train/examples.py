"""What a network learns from: pieces of recordings with what it has to make them of.

Every example is a function of the seed and of its number alone, whoever asks for it: so training
resumes where it stopped, and any number of workers or processes see the same examples.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vocoder.decibels import SILENCE_DB, amplify
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse
from vocoder.train.degradation import Degradation


@dataclass(frozen=True)
class Example:
    """A piece of an utterance; arrays of float32."""

    # Decibels (bins, frames) that an image shows, of several analyses one below the other.
    degraded: np.ndarray
    true: np.ndarray  # and those that it should show
    # (frames * hop_length,), from the centre of the first frame on (from its first sample, where
    # the spec isn't centred).
    waveform: np.ndarray

    def scaled(self, gain: float) -> Example:
        """The same, louder by a factor."""
        gain_db = 20 * math.log10(gain)
        return Example(
            amplify(self.degraded, gain_db),
            amplify(self.true, gain_db),
            self.waveform * np.float32(gain),
        )


@dataclass(frozen=True)
class Batch:
    """Examples of equal length side by side."""

    degraded: Tensor
    true: Tensor
    waveform: Tensor

    @classmethod
    def of(cls, examples: list[Example]) -> Batch:
        """Join examples."""
        joined = {
            name: torch.from_numpy(np.stack([getattr(example, name) for example in examples]))
            for name in ("degraded", "true", "waveform")
        }
        return cls(**joined)

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(**{name: tensor.to(device) for name, tensor in vars(self).items()})


class Recordings(Protocol):
    """Recordings with random access, such as a `vocoder.corpus.corpus.Corpus`."""

    @property
    def lengths(self) -> Sequence[int]:
        """Samples of each."""

    @property
    def names(self) -> Sequence[str]:
        """As `Source.recordings`."""

    def read(self, index: int, start: int, samples: int) -> np.ndarray:
        """A stretch of one, float32."""


class Source(ABC):
    """Where examples come from."""

    specs: tuple[SpectrogramSpec, ...]  # of the analyses in every example, on one grid
    # For each utterance the recording that it is of, ``folder/name`` without a suffix: the same in
    # all sources of one recording, for all that was cut from it.
    recordings: Sequence[str]
    total_frames: Sequence[int]  # of each utterance

    @abstractmethod
    def piece(self, utterance: int, begin: int, frames: int, rng: np.random.Generator) -> Example:
        """Frames of an utterance from ``begin`` on; silence where it has ended."""

    def whole(self, utterance: int, rng: np.random.Generator) -> Example:
        """All of an utterance."""
        return self.piece(utterance, 0, self.total_frames[utterance], rng)


class Simulated(Source):
    """Recordings, at the spec's sample rate, whose spectrograms are degraded by simulation."""

    def __init__(
        self,
        recordings: Recordings,
        specs: tuple[SpectrogramSpec, ...],
        degradation: Degradation,
    ) -> None:
        self.specs, self.recordings = specs, recordings.names
        self.total_frames = [specs[0].n_frames(length) for length in recordings.lengths]
        self._from, self._degradation = recordings, degradation

    def piece(self, utterance: int, begin: int, frames: int, rng: np.random.Generator) -> Example:
        def read(start: int, samples: int) -> np.ndarray:
            return self._from.read(utterance, start, samples)

        n_samples = self._from.lengths[utterance]
        true, waveform = cut_piece(read, n_samples, begin, frames, self.specs)
        planes = np.split(np.maximum(true, np.float32(FLOOR_DB)), len(self.specs))
        pairs = zip(planes, self.specs, strict=True)
        degraded = np.concatenate([self._degradation(plane, spec, rng) for plane, spec in pairs])
        return Example(silenced(degraded), true, waveform)


class Subset(Source):
    """Some utterances of a source."""

    def __init__(self, source: Source, utterances: Sequence[int]) -> None:
        self.specs = source.specs
        self.recordings = [source.recordings[i] for i in utterances]
        self.total_frames = [source.total_frames[i] for i in utterances]
        self._source, self._utterances = source, utterances

    def piece(self, utterance: int, begin: int, frames: int, rng: np.random.Generator) -> Example:
        return self._source.piece(self._utterances[utterance], begin, frames, rng)


def cut_piece(
    read: Callable[[int, int], np.ndarray],
    n_samples: int,
    begin: int,
    frames: int,
    specs: tuple[SpectrogramSpec, ...],
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
    specs : tuple of SpectrogramSpec
        Of all analyses, on one grid.

    Returns
    -------
    ndarray
        Decibels, ``(bins, frames)``, the analyses one below the other.
    ndarray
        Samples from the centre of the first frame on, ``(frames * hop_length,)``.
    """
    hop, total = specs[0].hop_length, specs[0].n_frames(n_samples)
    # Frames around the piece share samples with it; they are analysed and cut off again.
    margin = -(-max(spec.n_fft for spec in specs) // hop)
    first, last = max(begin - margin, 0), min(begin + frames + margin, total)
    stop = n_samples if last == total else last * hop
    samples = read(first * hop, stop - first * hop)
    decibels = stacked_analyses(samples, specs)
    waveform = _filled(samples[None, (begin - first) * hop :], frames * hop, 0.0)[0]
    return _filled(decibels[:, begin - first :], frames, SILENCE_DB), waveform


def stacked_analyses(samples: np.ndarray, specs: tuple[SpectrogramSpec, ...]) -> np.ndarray:
    """All analyses of ``(samples,)``, ``(bins, frames)`` in dB, one below the other."""
    waveform = torch.from_numpy(samples)[None]
    return torch.cat([analyse(waveform, spec).decibels[0] for spec in specs]).numpy()


class Mixture(Dataset[Example]):
    """Examples drawn from several sources; number ``i`` is always the same.

    Parameters
    ----------
    weights : sequence of float
        How often each source is drawn.
    gain_db : float
        Examples are made louder or quieter by up to this, so that a model learns all levels.
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
        for source in sources[1:]:
            for ours, theirs in zip(sources[0].specs, source.specs, strict=True):
                ours.require_same(theirs, "one source of examples", "another")
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
