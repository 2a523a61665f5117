"""MUSHRA and DCR scores."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.compare.listeners import degradations, mushra
from vocoder.compare.statistics.ratings import (
    DIFFERENCE,
    NOTE_FEW,
    OMNIBUS,
    QUARTILES,
    SCORE,
    analyse_ratings,
)

NAMES = ["a", "b", "c"]
PAIRS = ((0, 1), (0, 2), (1, 2))


def scored(n_listeners, n_items, means):
    rng = np.random.default_rng(0)
    return mushra(
        [
            (
                f"n{who}",
                f"l{k}",
                {name: float(np.clip(rng.normal(m, 8), 0, 100)) for name, m in means.items()},
            )
            for who in range(n_listeners)
            for k in range(n_items)
        ]
    )


def test_friedman_by_its_formula():
    """Ranks of listeners' means, and the statistic written out (Friedman 1937)."""
    ratings = scored(9, 4, {"a": 50, "b": 54, "c": 58})
    (found,) = analyse_ratings(ratings, NAMES).of(OMNIBUS)
    scores = np.array([[one.scores[name] for name in NAMES] for one in ratings])
    ranks = stats.rankdata(scores.reshape(9, 4, 3).mean(axis=1), axis=1).sum(axis=0)
    statistic = 12 / (9 * 3 * 4) * np.sum(ranks**2) - 3 * 9 * 4
    assert found.detail["statistic"] == pytest.approx(statistic)
    assert found.p == pytest.approx(stats.chi2.sf(statistic, 2))


@pytest.mark.parametrize("n_listeners", [4, 8])
def test_ranks_do_not_depend_on_the_last_bits_of_means(n_listeners):
    """Three repeats of each grade: sums of whole numbers are exact, their means are not."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        grades = rng.integers(2, 5, (n_listeners, 4, 3, 3))  # listener, item, system, repeat
        rows = [
            (f"n{who}", f"l{k}", NAMES[system], int(grades[who, k, system, repeat]))
            for who, k, system, repeat in np.ndindex(grades.shape)
        ]
        analysis: Any = analyse_ratings(degradations(rows), NAMES)
        sums = grades.sum(axis=(1, 3))
        (omnibus,) = analysis.of(OMNIBUS)
        assert omnibus.p == pytest.approx(stats.friedmanchisquare(*sums.T).pvalue)
        for found, (one, other) in zip(analysis.of(DIFFERENCE), PAIRS, strict=True):
            differences = sums[:, one] - sums[:, other]
            expected = stats.wilcoxon(differences).pvalue if differences.any() else 1.0
            assert found.detail["wilcoxon"] == pytest.approx(expected)


def test_of_one_item_the_p_value_is_students_and_goes_with_the_interval():
    ratings = scored(12, 1, {"a": 50, "b": 58})
    (found,) = analyse_ratings(ratings, NAMES).of(DIFFERENCE)
    expected = stats.ttest_rel(*([one.scores[name] for one in ratings] for name in "ab"))
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_scores_have_medians_and_quartiles():
    rows = [(f"n{k}", "l", {"a": float(score)}) for k, score in enumerate((0, 10, 20, 30, 100))]
    found, _ = analyse_ratings(mushra(rows), NAMES).of(SCORE)
    assert [found.detail[name] for name in QUARTILES] == [0, 10, 20, 30, 100]


def test_reference_and_anchors_are_scored_but_not_tested():
    ratings = scored(8, 3, {"a": 50, "b": 50, "anchor35": 10, "anchor70": 30})
    analysis: Any = analyse_ratings(ratings, NAMES)
    scores = {one.subject: one.value for one in analysis.of(SCORE)}
    assert list(scores) == ["a", "b", "reference", "anchor35", "anchor70"]
    assert scores["reference"] == 100
    assert [one.subject for one in analysis.of(DIFFERENCE)] == ["a over b"]
    assert not analysis.notes and not analysis.of(OMNIBUS)


def test_few_listeners_are_too_few_for_ranks_and_it_says_so():
    analysis: Any = analyse_ratings(scored(3, 6, {"a": 20, "b": 60, "c": 62}), NAMES)
    assert analysis.notes == (NOTE_FEW,)
    first = analysis.of(DIFFERENCE)[0]
    assert first.p_holm < 0.01 and first.detail["wilcoxon"] == 0.25
    assert not analyse_ratings(scored(1, 6, {"a": 20, "b": 60, "c": 62}), NAMES).of(OMNIBUS)


def test_scores_that_never_differ_are_no_difference():
    ratings = mushra([(f"n{who}", "l", dict.fromkeys(NAMES, 50.0)) for who in range(8)])
    analysis: Any = analyse_ratings(ratings, NAMES)
    assert analysis.of(OMNIBUS)[0].p == 1.0
    assert [one.p for one in analysis.of(DIFFERENCE)] == pytest.approx([1.0] * 3)
    assert [one.detail["wilcoxon_holm"] for one in analysis.of(DIFFERENCE)] == [1.0] * 3


def test_intervals_end_where_the_scale_ends():
    ratings = mushra([(f"n{who}", "l", {"a": 100.0 * (who % 2)}) for who in range(4)])
    (found, _) = analyse_ratings(ratings, NAMES).of(SCORE)
    assert (found.low, found.high) == (0.0, 100.0)


def test_degradation_pairs_what_one_listener_said_of_one_item():
    """Items differ by three grades, systems by one: only in pairs is that certain, and no more
    certain than whole grades are."""
    rows = [
        (f"n{who}", f"l{k}", system, 1 + 3 * (k % 2) + (system == "b"))
        for who in range(7)
        for k in range(4)
        for system in "ab"
    ]
    analysis: Any = analyse_ratings(degradations(rows), NAMES)
    a, b = analysis.of(SCORE)
    assert (a.value, b.value) == (2.5, 3.5)
    assert a.high > b.low
    (difference,) = analysis.of(DIFFERENCE)
    assert difference.value == -1
    assert -2 < difference.low < -1.5 < -0.5 < difference.high < 0
    assert 0.001 < difference.p < 0.05


def test_a_system_that_some_did_not_rate_is_compared_where_both_did():
    rows = [(f"n{who}", "l", {"a": 50.0, "b": 60.0}) for who in range(7)]
    rows += [(f"m{who}", "l", {"a": 0.0}) for who in range(7)]
    (found,) = analyse_ratings(mushra(rows), NAMES).of(DIFFERENCE)
    assert (found.value, found.n_answers) == (-10.0, 7)
