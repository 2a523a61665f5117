"""A small simulated study finds what was put in; `recipes.simulated_study` runs a large one."""

from dataclasses import replace

import numpy as np
import pytest

from recipes.simulated_listeners import (
    WORLD,
    simulate_abx,
    simulate_preferences,
    truths,
)
from recipes.simulated_study import coverages, main, one_study
from vocoder.compare.statistics.abx import CORRECT, CORRECT_ELSEWHERE
from vocoder.compare.statistics.preference import PREFERENCE, first_share

STUDIES = 60


@pytest.fixture(scope="module")
def studies():
    return [one_study(1000 + seed, WORLD, n_listeners=20, n_items=8) for seed in range(STUDIES)]


def test_intervals_hold_the_truth_as_often_as_they_say(studies):
    """Of 60 studies with 23 quantities each; what one study says of these goes together."""
    found = coverages(studies, truths(WORLD))
    assert len(found) == 23
    share = np.mean([one.share for one in found])
    assert 0.92 < share < 0.975
    assert min(one.share for one in found) > 0.85
    for one in found:
        error = one.width / 4 / np.sqrt(STUDIES)  # of a mean; intervals are four deviations wide
        assert abs(one.mean - one.truth) < 4 * error, (one.measure, one.subject)


def test_the_test_can_fail(studies):
    """Wilson's interval takes answers for independent, and holds the truth less often."""
    subject = "griffin_lim or admm"
    truth = {(CORRECT, subject): truths(WORLD)[CORRECT_ELSEWHERE, subject]}
    (wilson,) = coverages(studies, truth)
    assert wilson.share < 0.9


def test_truths_are_what_many_listeners_do():
    world = replace(WORLD, item_deviation=0.0)
    known = truths(world)
    answers = simulate_preferences(world, 1500, 8, np.random.default_rng(0))
    for first, second in world.pairs:
        shares = [
            first_share(one, first) for one in answers if {one.left, one.right} == {first, second}
        ]
        assert np.mean(shares) == pytest.approx(
            known[PREFERENCE, f"{first} over {second}"], abs=0.015
        )
    none = np.mean([one.choice == "none" for one in answers])
    assert none == pytest.approx(world.guessing * world.undecided, abs=0.005)
    right = [one.is_correct for one in simulate_abx(world, 1500, 8, np.random.default_rng(1))]
    subject = "griffin_lim or admm"
    assert np.mean(right) == pytest.approx(known[CORRECT_ELSEWHERE, subject], abs=0.015)


def test_the_recipe_writes_its_table_and_figure(tmp_path):
    arguments = ["--studies", "2", "--listeners", "16", "--items", "2"]
    assert main([str(tmp_path), *arguments]) == 0
    assert "| preference | griffin_lim over admm | 0.4" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "intervals.png").read_bytes().startswith(b"\x89PNG")
