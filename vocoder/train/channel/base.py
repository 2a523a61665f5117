"""Channels: what a picture suffers between the analysis and the inverter, drawn anew each time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vocoder.errors import BadInput
from vocoder.spec import SpectrogramSpec


class Channel(ABC):
    """Damages a picture, given in decibels."""

    @abstractmethod
    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        """Damage a picture.

        Parameters
        ----------
        decibels : ndarray
            ``(bins, frames)``, float32, relative to a full-scale sine, as
            a network sees them: `vocoder.model.features.FLOOR_DB` or more. Not changed.
        spec : SpectrogramSpec
        rng : Generator
            All that is drawn comes from it.

        Returns
        -------
        ndarray
            Of the same shape, float32.
        """


@dataclass(frozen=True)
class Clean(Channel):
    """Changes nothing."""

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        return decibels


@dataclass(frozen=True, kw_only=True)
class Chain(Channel):
    """One channel after the other.

    Parameters
    ----------
    channels : sequence of Channel
        In the order in which the picture passes them.
    """

    channels: Sequence[Channel]

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        for channel in self.channels:
            decibels = channel(decibels, spec, rng)
        return decibels


@dataclass(frozen=True, kw_only=True)
class Choice(Channel):
    """One of several channels.

    Parameters
    ----------
    channels : sequence of Channel
    weights : sequence of float
        How often each is drawn; they need not add up to one.

    Raises
    ------
    BadInput
        No channel, not as many weights as channels, or weights that are not positive.
    """

    channels: Sequence[Channel]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        if not self.channels:
            raise BadInput("channel.channels is empty; expected at least one")
        if len(self.weights) != len(self.channels) or not all(w > 0 for w in self.weights):
            raise BadInput(
                f"channel.weights is {list(self.weights)}; expected {len(self.channels)} numbers "
                "above 0, one for each channel"
            )

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        weights = np.asarray(self.weights, np.float64)
        drawn = self.channels[int(rng.choice(len(weights), p=weights / weights.sum()))]
        return drawn(decibels, spec, rng)


@dataclass(frozen=True, kw_only=True)
class Sometimes(Channel):
    """A channel that is passed with some probability.

    Parameters
    ----------
    probability : float
        0 to 1.
    channel : Channel

    Raises
    ------
    BadInput
        The probability is out of range.
    """

    probability: float
    channel: Channel

    def __post_init__(self) -> None:
        require_range(self.probability, "probability", 0, 1)

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        passed = rng.random() < self.probability
        return self.channel(decibels, spec, rng) if passed else decibels


def require_range(value: float, name: str, least: float, most: float) -> None:
    """Raise `BadInput` unless a channel's setting is in its range."""
    if not least <= value <= most:
        raise BadInput(f"channel.{name} is {value!r}; expected {least:g} to {most:g}")
