"""A/B: ties, sides, and listeners who count once."""

from typing import Any

import numpy as np
import pytest

from tests.compare.listeners import preferences
from vocoder.compare.statistics.preference import (
    ORDER_BIAS,
    PREFERENCE,
    analyse_preference,
)

SYSTEMS = ["admm", "hifigan"]


def rows_of(n_wins, n_losses, n_ties):
    """One listener; ``admm`` on the left every other time."""
    outcomes = ["admm"] * n_wins + ["hifigan"] * n_losses + [None] * n_ties
    rows = []
    for k, wanted in enumerate(outcomes):
        left, right = SYSTEMS if k % 2 == 0 else SYSTEMS[::-1]
        choice = "none" if wanted is None else "left" if wanted == left else "right"
        rows.append(("ann", f"l{k}", left, right, choice))
    return preferences(rows)


def test_ties_are_half_a_preference():
    (found,) = analyse_preference(rows_of(16, 4, 10), SYSTEMS).of(PREFERENCE)
    assert found.subject == "admm over hifigan"
    assert found.value == pytest.approx(21 / 30)
    assert (found.detail["wins"], found.detail["losses"], found.detail["ties"]) == (16, 4, 10)


def test_only_ties_are_no_preference():
    (found,) = analyse_preference(rows_of(0, 0, 6), SYSTEMS).of(PREFERENCE)
    assert found.p == pytest.approx(1.0)
    assert found.value == 0.5


def test_a_liking_for_the_left_is_told_apart_from_a_preference():
    """All choose the left; the sides came out 3 to 1, which must not look like a preference."""
    rows = [
        (f"n{who}", f"l{k}", *(SYSTEMS if k % 4 else SYSTEMS[::-1]), "left")
        for who in range(12)
        for k in range(8)
    ]
    analysis: Any = analyse_preference(preferences(rows), SYSTEMS)
    (found,), (side,) = analysis.of(PREFERENCE), analysis.of(ORDER_BIAS)
    assert found.value == pytest.approx(0.5)
    assert side.value == 1.0
    assert side.p < 0.05
    assert side.low > 0.5


def test_the_side_is_judged_apart_from_the_preference():
    rows = [
        (f"n{who}", f"l{k}", *(SYSTEMS if k % 4 else SYSTEMS[::-1]), "left" if k % 4 else "right")
        for who in range(12)
        for k in range(8)
    ]
    analysis: Any = analyse_preference(preferences(rows), SYSTEMS)
    assert analysis.of(PREFERENCE)[0].value == 1.0
    assert analysis.of(ORDER_BIAS)[0].value == pytest.approx(0.5)


def test_one_zealous_listener_is_one_witness():
    rows = [("zealot", f"l{k}", "admm", "hifigan", "left") for k in range(60)]
    rows += [(f"n{who}", "l1", "admm", "hifigan", "right") for who in range(5)]
    analysis: Any = analyse_preference(preferences(rows), SYSTEMS)
    (found,) = analysis.of(PREFERENCE)
    assert found.value > 0.9
    assert found.low < 0.5 < found.high
    assert found.p > 0.05


def test_the_p_value_is_right_where_listeners_and_items_differ():
    """A sign test over answers, as if they were independent, raises 26 to 52 alarms in 100."""
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(100):
        liking = 1.2 * rng.standard_normal((10, 1)) + 0.8 * rng.standard_normal((1, 10))
        left = rng.random((10, 10)) < 1 / (1 + np.exp(-liking))
        rows = [
            (f"n{who}", f"l{k}", *SYSTEMS, "left" if left[who, k] else "right")
            for who, k in np.ndindex(10, 10)
        ]
        found: Any = analyse_preference(preferences(rows), SYSTEMS).of(PREFERENCE)[0]
        alarms += found.p < 0.05
    assert alarms <= 10


def test_three_systems_are_corrected_as_a_family():
    names = ["a", "b", "c"]
    rng = np.random.default_rng(0)
    rows = [
        (f"n{who}", f"l{k}", first, second, "left" if rng.random() < 0.7 else "right")
        for who in range(6)
        for k in range(5)
        for first, second in (("a", "b"), ("c", "a"), ("b", "c"))
    ]
    analysis: Any = analyse_preference(preferences(rows), names)
    found = analysis.of(PREFERENCE)
    assert [one.subject for one in found] == ["a over b", "a over c", "b over c"]
    assert all(one.p_holm >= one.p for one in found)
    assert max(one.p_holm / one.p for one in found) == pytest.approx(3)
