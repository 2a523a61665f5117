"""A/B: ties, sides, and listeners who count once."""

from typing import Any

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
    (found,) = analyse_preference(rows_of(0, 0, 6), SYSTEMS).of(PREFERENCE)
    assert (found.value, found.p) == pytest.approx((0.5, 1.0))


@pytest.mark.parametrize(
    ("on_the_right", "preference", "side"), [("left", 0.5, 1.0), ("right", 1.0, 0.5)]
)
def test_a_liking_for_a_side_is_told_apart_from_a_preference(on_the_right, preference, side):
    """Sides came out 3 to 1, which must not look like the one or the other."""
    rows = [
        (
            f"n{who}",
            f"l{k}",
            *(SYSTEMS if k % 4 else SYSTEMS[::-1]),
            "left" if k % 4 else on_the_right,
        )
        for who in range(12)
        for k in range(8)
    ]
    analysis: Any = analyse_preference(preferences(rows), SYSTEMS)
    for measure, expected in ((PREFERENCE, preference), (ORDER_BIAS, side)):
        (found,) = analysis.of(measure)
        assert found.value == pytest.approx(expected)
        assert (found.p < 0.05) == (found.low > 0.5) == (expected == 1)


def test_one_zealous_listener_is_one_witness():
    rows = [("zealot", f"l{k}", "admm", "hifigan", "left") for k in range(60)]
    rows += [(f"n{who}", "l1", "admm", "hifigan", "right") for who in range(5)]
    analysis: Any = analyse_preference(preferences(rows), SYSTEMS)
    (found,) = analysis.of(PREFERENCE)
    assert found.value > 0.9
    assert found.low < 0.5 < found.high
    assert found.p > 0.05
