"""Many simulated studies: intervals and p-values mean what they say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.compare.simulated import SYSTEMS, World
from vocoder.compare.report.results import analyse
from vocoder.compare.statistics.abx import CORRECT

STUDIES = 60


def test_intervals_hold_the_truth_as_often_as_they_say():
    """The truth is what all studies say on average; what one of them says goes together."""
    found: dict[tuple[str, str, str], list] = {}
    for seed in range(STUDIES):
        for test in ("ab", "abx", "mushra", "dcr"):
            answers = World().answers(test, n_listeners=20, n_items=8, seed=1000 + seed)
            for one in analyse(answers, SYSTEMS).findings:
                if one.value is not None and one.measure != CORRECT:
                    key = test, one.measure, one.subject
                    found.setdefault(key, []).append((one.low, one.value, one.high))
    shares = []
    for values in found.values():
        low, value, high = np.array(values, dtype=float).T
        shares.append(np.mean((low <= value.mean()) & (value.mean() <= high)))
    assert len(shares) == 7 + 1 + 9 + 6
    assert 0.92 < np.mean(shares) < 0.98 and min(shares) > 0.85


@pytest.mark.parametrize("test", ["ab", "mushra"])
def test_false_alarms_are_as_rare_as_p_says_where_listeners_and_items_differ(test):
    """All are alike on the whole, though each listener and each item favours some. A sign test
    over answers, or Wilcoxon's over listeners, raises 26 and more alarms in 100."""
    world = World(strengths=(0, 0, 0), listener_deviation=0.8, item_deviation=0.6, guessing=0)
    world = replace(world, scores=dict.fromkeys(SYSTEMS, 50.0), score_deviations=(5, 15, 8))
    found: list[Any] = [
        one
        for seed in range(40)
        for one in analyse(world.answers(test, 10, 10, seed), SYSTEMS).findings
        if "first" in one.detail
    ]
    assert len(found) == 120
    assert np.mean([one.p < 0.05 for one in found]) < 0.1
    if test == "mushra":
        assert np.mean([one.detail["wilcoxon"] < 0.05 for one in found]) > 0.2
    for one in found:
        neutral = 0.5 if test == "ab" else 0.0
        assert (one.p < 0.05) == (not one.low <= neutral <= one.high)
