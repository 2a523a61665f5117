"""Many simulated studies: intervals hold what was put in as often as they say."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.compare.simulated import SYSTEMS, World
from vocoder.compare.report.results import analyse
from vocoder.compare.statistics.abx import CORRECT_ELSEWHERE
from vocoder.compare.statistics.preference import PREFERENCE, first_share

STUDIES = 60
WORLD = World()
PAIR = "griffin_lim or admm"


@pytest.fixture(scope="module")
def studies():
    """By test, measure and subject: every study's estimate, and its interval."""
    found: dict[tuple[str, str, str], list] = {}
    for seed in range(STUDIES):
        for test in ("ab", "abx", "mushra", "dcr"):
            answers = WORLD.answers(test, n_listeners=20, n_items=8, seed=1000 + seed)
            for one in analyse(answers, SYSTEMS).findings:
                values = one.low, one.value, one.high
                found.setdefault((test, one.measure, one.subject), []).append(values)
    return {key: np.array(values, dtype=float) for key, values in found.items()}


def test_intervals_hold_the_truth_as_often_as_they_say(studies):
    """Of 60 studies with 20 quantities each; what one study says of these goes together."""
    shares = []
    truths = WORLD.truths()
    assert len(truths) == 20
    for key, truth in truths.items():
        low, value, high = studies[key].T
        shares.append(np.mean((low <= truth) & (truth <= high)))
        error = np.mean(high - low) / 4 / np.sqrt(STUDIES)  # intervals are four deviations wide
        assert abs(value.mean() - truth) < 4 * error, key
    assert 0.92 < np.mean(shares) < 0.975
    assert min(shares) > 0.85


def test_truths_are_what_many_listeners_do():
    world = replace(WORLD, item_deviation=0.0)
    known = world.truths()
    answers = world.answers("ab", 1500, 8, seed=0)
    shares = [
        first_share(one, "admm") for one in answers if {one.left, one.right} == {*SYSTEMS[1:]}
    ]
    assert np.mean(shares) == pytest.approx(known["ab", PREFERENCE, "admm over hifigan"], abs=0.015)
    right = [one.is_correct for one in world.answers("abx", 1500, 8, seed=1)]
    assert np.mean(right) == pytest.approx(known["abx", CORRECT_ELSEWHERE, PAIR], abs=0.015)


def alike(test: str, seed: int) -> Any:
    """A pair that is alike on the whole, though each listener and each item favours one."""
    world = World(strengths=(0, 0, 0), listener_deviation=0.8, item_deviation=0.6, guessing=0)
    world = replace(world, scores=dict.fromkeys(SYSTEMS, 50.0), score_deviations=(5, 15, 8))
    return analyse(world.answers(test, 10, 10, seed), SYSTEMS).findings


@pytest.mark.parametrize("test", ["ab", "mushra"])
def test_false_alarms_are_as_rare_as_p_says_where_listeners_and_items_differ(test):
    """A sign test over answers, or Wilcoxon's over listeners, raises 26 and more in 100."""
    pairs = partial(filter, lambda one: "first" in one.detail)
    found = [one for seed in range(40) for one in pairs(alike(test, seed))]
    assert len(found) == 120
    assert np.mean([one.p < 0.05 for one in found]) < 0.1
    if test == "mushra":
        assert np.mean([one.detail["wilcoxon"] < 0.05 for one in found]) > 0.2
    for one in found:
        neutral = 0.5 if test == "ab" else 0.0
        assert (one.p < 0.05) == (not one.low <= neutral <= one.high)
