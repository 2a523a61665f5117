"""Strengths against a second way of finding them."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from tests.compare.listeners import preferences
from tests.refusals import refused
from vocoder.compare.statistics.strengths import (
    STRENGTH,
    analyse_strengths,
    fit_strengths,
)

NAMES = ["a", "b", "c"]


def test_exact_shares_give_exact_strengths():
    strengths = np.array([1.0, 0.2, -1.2])
    wins = expit(strengths[:, None] - strengths[None])
    np.fill_diagonal(wins, 0)
    assert fit_strengths(wins) == pytest.approx(strengths, abs=1e-6)


def test_of_the_most_likely_strengths_every_system_wins_as_often_as_expected():
    rng = np.random.default_rng(0)
    wins = rng.integers(0, 30, (5, 4, 4)) * (1 - np.eye(4))
    wins[0, 1:, 0] = 0  # never lost against: strong, and far to go
    for one in wins + 0.5 * (1 - np.eye(4)):
        strengths = fit_strengths(one)
        expected = (one + one.T) * expit(strengths[:, None] - strengths)
        assert expected.sum(axis=1) == pytest.approx(one.sum(axis=1), abs=1e-4)


def played(n_listeners, shares, seed=0):
    rng = np.random.default_rng(seed)
    return preferences(
        [
            (f"n{who}", f"l{k}", one, other, "left" if rng.random() < share else "right")
            for who in range(n_listeners)
            for k in range(6)
            for (one, other), share in shares.items()
        ]
    )


def test_strengths_sum_to_zero_and_rank_the_systems():
    answers = played(20, {("a", "b"): 0.8, ("c", "b"): 0.6, ("a", "c"): 0.7})
    analysis: Any = analyse_strengths(answers, NAMES)
    strength = {one.subject: one.value for one in analysis.of(STRENGTH)}
    assert sum(strength.values()) == pytest.approx(0, abs=1e-9)
    assert strength["a"] > strength["c"] > strength["b"]
    assert all(one.low < one.value < one.high for one in analysis.findings)


def test_alike_listeners_are_no_more_certain_for_being_asked_often():
    """Each listener decides once and for all; six items a listener add nothing."""
    rng = np.random.default_rng(5)
    rows = []
    for who in range(30):
        for one, other in (("a", "b"), ("b", "c"), ("a", "c")):
            choice = "left" if rng.random() < 0.6 else "right"
            rows += [(f"n{who}", f"l{k}", one, other, choice) for k in range(6)]
    clustered: Any = analyse_strengths(preferences(rows), NAMES)
    apart = [(f"{row[0]} {row[1]}", *row[1:]) for row in rows]
    independent: Any = analyse_strengths(preferences(apart), NAMES)
    wide, narrow = (
        np.mean([one.high - one.low for one in analysis.of(STRENGTH)])
        for analysis in (clustered, independent)
    )
    assert wide > 1.6 * narrow


def test_a_system_that_never_lost_keeps_a_finite_strength():
    answers = played(6, {("a", "b"): 1.0, ("a", "c"): 1.0, ("b", "c"): 0.5})
    analysis: Any = analyse_strengths(answers, NAMES)
    assert all(abs(one.value) < 10 and abs(one.high) < 20 for one in analysis.of(STRENGTH))


def test_systems_without_a_common_scale_are_refused():
    answers = played(3, {("a", "b"): 0.5, ("c", "d"): 0.5})
    with refused("strengths.apart"):
        analyse_strengths(answers, [*NAMES, "d"])
    with refused("strengths.few"):
        analyse_strengths(played(3, {("a", "b"): 0.5}), NAMES)
