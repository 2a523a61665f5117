"""Listeners who answer at random, but with known preferences: what a study should find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit

from tests.compare.listeners import about
from vocoder.compare.answers import (
    ANCHORS,
    REFERENCE,
    AbxAnswer,
    DegradationAnswer,
    MushraAnswer,
    PreferenceAnswer,
)

SYSTEMS = ["griffin_lim", "admm", "hifigan"]
PAIRS = [(0, 1), (0, 2), (1, 2)]


@dataclass(frozen=True, kw_only=True)
class World:
    """What is put in: strengths on the scale of Bradley and Terry, in the order of `SYSTEMS`.

    Parameters
    ----------
    listener_deviation, item_deviation : float
        What one listener, or one item, adds to each system's strength.
    order_bias : float
        Added to the strength of whatever is on the left.
    guessing : float
        Share of trials that a listener does not listen to; half of these are "no difference".
    hearing : float
        ABX: log odds of hearing which of two systems X is, if it is no guess.
    score_deviations : tuple of float
        Over listeners, over items, and of single scores.
    """

    strengths: tuple[float, float, float] = (-0.35, 0.0, 0.35)
    listener_deviation: float = 0.5
    item_deviation: float = 0.3
    order_bias: float = 0.3
    guessing: float = 0.2
    hearing: float = 0.8
    scores: Mapping[str, float] = field(
        default_factory=lambda: dict(zip(SYSTEMS, (45.0, 50.0, 62.0), strict=True))
    )
    score_deviations: tuple[float, float, float] = (6.0, 4.0, 8.0)

    def answers(self, test: str, n_listeners: int, n_items: int, seed: int) -> list[Any]:
        """Those of one study; sides are drawn by a coin."""
        rng = np.random.default_rng(seed)
        make: dict[str, Callable[[int, int, Any], list[Any]]] = {
            "ab": self._preferences,
            "abx": self._abx,
            "mushra": self._mushra,
            "dcr": self._dcr,
        }
        return make[test](n_listeners, n_items, rng)

    def _preferences(self, n_listeners: int, n_items: int, rng: Any) -> list[PreferenceAnswer]:
        n = len(SYSTEMS)
        strength = (
            np.array(self.strengths)
            + self.listener_deviation * rng.standard_normal((n_listeners, 1, n))
            + self.item_deviation * rng.standard_normal((1, n_items, n))
        )
        first, second = (strength[:, :, [pair[side] for pair in PAIRS]] for side in (0, 1))
        shape = first.shape
        swapped = rng.random(shape) < 0.5
        odds = np.where(swapped, second - first, first - second) + self.order_bias
        left = rng.random(shape) < expit(odds)
        guesses, coin = rng.random(shape) < self.guessing, rng.integers(0, 4, shape)
        left = np.where(guesses, coin == 0, left)
        none = guesses & (coin > 1)
        found = []
        for at in np.ndindex(*shape):
            one, other = (SYSTEMS[k] for k in PAIRS[at[2]][:: -1 if swapped[at] else 1])
            choice: Any = "none" if none[at] else "left" if left[at] else "right"
            named = about(at[1] * len(PAIRS) + at[2], f"listener{at[0]:03}", f"item{at[1]:02}")
            found.append(PreferenceAnswer(**named, left=one, right=other, choice=choice))
        return found

    def _abx(self, n_listeners: int, n_items: int, rng: Any) -> list[AbxAnswer]:
        """Of the first pair."""
        hears = expit(
            self.hearing
            + self.listener_deviation * rng.standard_normal((n_listeners, 1))
            + self.item_deviation * rng.standard_normal((1, n_items))
        )
        right = rng.random(hears.shape) < (1 - self.guessing) * hears + self.guessing / 2
        x = rng.random(hears.shape) < 0.5
        a, b = SYSTEMS[:2]
        letters: Any = "ba"
        return [
            AbxAnswer(
                **about(at[1], f"listener{at[0]:03}", f"item{at[1]:02}"),
                a=a,
                b=b,
                x=letters[int(x[at])],
                choice=letters[int(x[at] == right[at])],
            )
            for at in np.ndindex(*right.shape)
        ]

    def _mushra(self, n_listeners: int, n_items: int, rng: Any) -> list[MushraAnswer]:
        names = [REFERENCE, *ANCHORS, *self.scores]
        over_listeners, over_items, single = self.score_deviations
        n = len(names)
        scores = (
            np.array([100.0, 20.0, 35.0, *self.scores.values()])
            + over_listeners * rng.standard_normal((n_listeners, 1, n))
            + over_items * rng.standard_normal((1, n_items, n))
            + single * rng.standard_normal((n_listeners, n_items, n))
        )
        scores[:, :, 0] = 100.0  # those who know the reference
        scores = np.clip(np.rint(scores), 0, 100)
        return [
            MushraAnswer(
                **about(at[1], f"listener{at[0]:03}", f"item{at[1]:02}"),
                scores=dict(zip(names, scores[at].tolist(), strict=True)),
            )
            for at in np.ndindex(n_listeners, n_items)
        ]

    def _dcr(self, n_listeners: int, n_items: int, rng: Any) -> list[DegradationAnswer]:
        """The scores of MUSHRA, rounded to the five grades."""
        return [
            DegradationAnswer(
                **about(answer.trial * len(self.scores) + k, answer.listener, answer.item),
                system=system,
                score=_grade(answer.scores[system]),
            )
            for answer in self._mushra(n_listeners, n_items, rng)
            for k, system in enumerate(self.scores)
        ]


def _grade(score: float) -> int:
    return round(1 + score / 25)  # a score is from 0 to 100
