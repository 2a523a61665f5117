"""Listeners who answer at random, but with known preferences: what a listening test should find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit

from vocoder.compare.answers import (
    ANCHORS,
    REFERENCE,
    AbxAnswer,
    DegradationAnswer,
    MushraAnswer,
    PreferenceAnswer,
)
from vocoder.compare.statistics.abx import CORRECT_ELSEWHERE
from vocoder.compare.statistics.preference import ORDER_BIAS, PREFERENCE
from vocoder.compare.statistics.ratings import DIFFERENCE, SCORE
from vocoder.compare.statistics.strengths import STRENGTH, WIN_PROBABILITY, fit_strengths

DCR = " (DCR)"  # what its measures are called here, MUSHRA having the same
NOW = "2026-01-01T00:00:00+00:00"
NODES = 60  # of Gauss-Hermite quadrature


@dataclass(frozen=True, kw_only=True)
class World:
    """What is put in.

    Parameters
    ----------
    strengths : mapping
        Of each system, on the scale of Bradley and Terry.
    listener_deviation, item_deviation : float
        Standard deviations of what one listener, or one item, adds to each system's strength.
    order_bias : float
        Added to the strength of whatever is on the left.
    guessing : float
        Share of trials that a listener does not listen to.
    undecided : float
        Share of guesses that are "no difference"; the others are a coin.
    hearing : float
        ABX: log odds of hearing which of two systems X is, if it is no guess.
    scores : mapping
        Mean MUSHRA score of each system.
    score_deviations : tuple of float
        Standard deviations over listeners, over items, and of single scores.
    """

    strengths: Mapping[str, float]
    listener_deviation: float = 0.5
    item_deviation: float = 0.3
    order_bias: float = 0.3
    guessing: float = 0.2
    undecided: float = 0.5
    hearing: float = 0.8
    scores: Mapping[str, float]
    score_deviations: tuple[float, float, float] = (6.0, 4.0, 8.0)

    @property
    def systems(self) -> list[str]:
        return list(self.strengths)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        names = self.systems
        return [(names[i], names[j]) for j in range(len(names)) for i in range(j)]


WORLD = World(
    strengths={"griffin_lim": -0.35, "admm": 0.0, "hifigan": 0.35},
    scores={"griffin_lim": 45.0, "admm": 50.0, "hifigan": 62.0},
)


def simulate_preferences(
    world: World, n_listeners: int, n_items: int, rng: np.random.Generator
) -> list[PreferenceAnswer]:
    """Every listener hears every pair of every item once, the side drawn by a coin."""
    systems, pairs = world.systems, world.pairs
    n = len(systems)
    of_listener = world.listener_deviation * rng.standard_normal((n_listeners, 1, n))
    of_item = world.item_deviation * rng.standard_normal((1, n_items, n))
    strength = np.array(list(world.strengths.values())) + of_listener + of_item
    first = strength[:, :, [systems.index(one) for one, _ in pairs]]
    second = strength[:, :, [systems.index(other) for _, other in pairs]]
    shape = first.shape
    swapped = rng.random(shape) < 0.5
    odds = np.where(swapped, second - first, first - second) + world.order_bias
    prefers_left = rng.random(shape) < expit(odds)
    guesses = rng.random(shape) < world.guessing
    none = guesses & (rng.random(shape) < world.undecided)
    left = np.where(guesses, rng.random(shape) < 0.5, prefers_left)
    return [
        PreferenceAnswer(
            listener=f"listener{listener:03}",
            trial=item * len(pairs) + pair,
            item=f"item{item:02}",
            time=NOW,
            seconds=5.0,
            left=pairs[pair][int(swapped[listener, item, pair])],
            right=pairs[pair][1 - int(swapped[listener, item, pair])],
            choice="none"
            if none[listener, item, pair]
            else ("left" if left[listener, item, pair] else "right"),
        )
        for listener, item, pair in np.ndindex(*shape)
    ]


def simulate_abx(
    world: World, n_listeners: int, n_items: int, rng: np.random.Generator
) -> list[AbxAnswer]:
    """Every listener hears the first pair of every item once."""
    (first, second), shape = world.pairs[0], (n_listeners, n_items)
    hears = expit(
        world.hearing
        + world.listener_deviation * rng.standard_normal((n_listeners, 1))
        + world.item_deviation * rng.standard_normal((1, n_items))
    )
    right = rng.random(shape) < (1 - world.guessing) * hears + world.guessing / 2
    x = rng.random(shape) < 0.5
    return [
        AbxAnswer(
            listener=f"listener{listener:03}",
            trial=item,
            item=f"item{item:02}",
            time=NOW,
            seconds=5.0,
            a=first,
            b=second,
            x="a" if x[listener, item] else "b",
            choice="a" if x[listener, item] == right[listener, item] else "b",
        )
        for listener, item in np.ndindex(*shape)
    ]


def simulate_mushra(
    world: World, n_listeners: int, n_items: int, rng: np.random.Generator
) -> list[MushraAnswer]:
    """Every listener scores all systems, the hidden reference and both anchors of every item."""
    names = [REFERENCE, *ANCHORS, *world.systems]
    over_listeners, over_items, single = world.score_deviations
    n = len(names)
    scores = (
        np.array([97.0, 20.0, 35.0, *world.scores.values()])
        + over_listeners * rng.standard_normal((n_listeners, 1, n))
        + over_items * rng.standard_normal((1, n_items, n))
        + single * rng.standard_normal((n_listeners, n_items, n))
    )
    scores[:, :, 0] = 100.0  # those who know the reference
    return [
        MushraAnswer(
            listener=f"listener{listener:03}",
            trial=item,
            item=f"item{item:02}",
            time=NOW,
            seconds=30.0,
            scores=dict(
                zip(names, np.clip(np.rint(scores[listener, item]), 0, 100).tolist(), strict=True)
            ),
        )
        for listener, item in np.ndindex(n_listeners, n_items)
    ]


def simulate_degradation(
    world: World, n_listeners: int, n_items: int, rng: np.random.Generator
) -> list[DegradationAnswer]:
    """The scores of `simulate_mushra`, five to a hundred, rounded to the five grades."""
    return [
        DegradationAnswer(
            listener=answer.listener,
            trial=answer.trial * len(world.systems) + k,
            item=answer.item,
            time=NOW,
            seconds=5.0,
            system=system,
            score=_grade(answer.scores[system]),
        )
        for answer in simulate_mushra(world, n_listeners, n_items, rng)
        for k, system in enumerate(world.systems)
    ]


def _grade(score: float) -> int:
    return round(1 + score / 25)  # a score is from 0 to 100


def truths(world: World) -> dict[tuple[str, str], float]:
    """The value of every measure and subject in all listeners and items there could be."""
    found: dict[tuple[str, str], float] = {}
    deviation = np.sqrt(2) * np.hypot(world.listener_deviation, world.item_deviation)
    attention = 1 - world.guessing
    n = len(world.systems)
    wins, lefts = np.zeros((n, n)), []
    for first, second in world.pairs:
        difference = world.strengths[first] - world.strengths[second]
        left = _mean_of(expit, difference + world.order_bias, deviation)
        right = _mean_of(expit, difference - world.order_bias, deviation)
        share = attention * (left + right) / 2 + world.guessing / 2
        found[PREFERENCE, f"{first} over {second}"] = share
        i, j = world.systems.index(first), world.systems.index(second)
        wins[i, j], wins[j, i] = share, 1 - share
        lefts.append(attention * (left + 1 - right) / 2 + world.guessing / 2)
    found[ORDER_BIAS, "left over right"] = float(np.mean(lefts))
    strengths = dict(zip(world.systems, fit_strengths(wins).tolist(), strict=True))
    found |= {(STRENGTH, name): value for name, value in strengths.items()}
    for one, other in world.pairs:
        difference = strengths[one] - strengths[other]
        found[WIN_PROBABILITY, f"{one} over {other}"] = float(expit(difference))
    hears = _mean_of(expit, world.hearing, np.hypot(world.listener_deviation, world.item_deviation))
    one, other = world.pairs[0]
    found[CORRECT_ELSEWHERE, f"{one} or {other}"] = attention * hears + world.guessing / 2
    for rate, suffix in ((float, ""), (_grade, DCR)):
        means = {name: _mean_score(world, mean, rate) for name, mean in world.scores.items()}
        found |= {(SCORE + suffix, name): mean for name, mean in means.items()}
        for one, other in world.pairs:
            found[DIFFERENCE + suffix, f"{one} over {other}"] = means[one] - means[other]
    return found


def _mean_of(function: Callable[[np.ndarray], np.ndarray], mean: float, deviation: float) -> float:
    """Mean of a function of a normal variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return float(weights @ function(mean + deviation * nodes) / weights.sum())


def _mean_score(world: World, mean: float, rate: Callable[[float], float]) -> float:
    """Mean of the score that a rounded and clipped normal variable leads to."""
    deviation = float(np.sqrt(np.sum(np.square(world.score_deviations))))
    edges = np.concatenate([[-np.inf], np.arange(100) + 0.5, [np.inf]])
    chances = np.diff(stats.norm.cdf(edges, mean, deviation))
    return float(sum(chance * rate(float(k)) for k, chance in enumerate(chances)))
