"""Intervals: right where theory gives them, and wide enough where answers come in groups."""

import numpy as np
import pytest
from scipy import stats

from vocoder.compare.statistics.clusters import Groups, Spread


def test_one_answer_a_listener_about_one_item_is_students_interval():
    values = np.random.default_rng(0).normal(50, 10, 15)
    found = Groups(range(15), ["line"] * 15).of_mean(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.mean_interval(values.mean()) == pytest.approx(tuple(expected))
    assert found.mean_p(values.mean()) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    one_listener = Groups(["ann"] * 15, range(15)).of_mean(values)
    assert one_listener == found


def test_variance_of_crossed_groups_is_that_of_the_model():
    """Listeners, items and single answers with known variances: that of the mean is known."""
    n_listeners, n_items = 30, 40
    rng = np.random.default_rng(2)
    groups = Groups(
        np.repeat(np.arange(n_listeners), n_items), np.tile(np.arange(n_items), n_listeners)
    )
    found = []
    for _ in range(300):
        values = (
            2.0 * rng.standard_normal((n_listeners, 1))
            + 1.0 * rng.standard_normal((1, n_items))
            + 3.0 * rng.standard_normal((n_listeners, n_items))
        )
        found.append(groups.of_mean(values.ravel()).variance)
    expected = 4 / n_listeners + 1 / n_items + 9 / (n_listeners * n_items)
    assert np.mean(found) == pytest.approx(expected, rel=0.05)


def test_repeating_a_listeners_answer_adds_no_certainty():
    rng = np.random.default_rng(3)
    values = rng.normal(size=20)
    once = Groups(range(20), ["line"] * 20).of_mean(values)
    often = Groups(np.repeat(np.arange(20), 10), ["line"] * 200).of_mean(np.repeat(values, 10))
    assert often.variance == pytest.approx(once.variance)


def crossed(n_listeners: int, n_items: int) -> Groups:
    """Everybody answers about everything, once."""
    listeners = np.repeat(np.arange(n_listeners), n_items)
    return Groups(listeners, np.tile(np.arange(n_items), n_listeners))


def test_unanimity_is_as_sure_as_there_are_witnesses():
    for few in (crossed(2, 50), crossed(3, 1), crossed(1, 3), crossed(1, 1)):
        low, high = few.of_mean(np.ones(len(few.listener))).share_interval(1.0)
        assert low < 0.5 and high == 1.0
    assert crossed(60, 10).of_mean(np.ones(600)).share_interval(1.0)[0] > 0.95


@pytest.mark.parametrize("shape", [(2, 10), (3, 10), (5, 5), (5, 10), (12, 10), (20, 1), (1, 20)])
def test_the_more_agree_the_surer_it_is(shape):
    """Also where the last one does."""
    groups, n = crossed(*shape), shape[0] * shape[1]
    found = []
    for dissent in range(3):
        values = np.ones(n)
        values[:: n // 2 - 1][:dissent] = 0  # by other listeners, about other items
        spread = groups.of_mean(values)
        found.append((spread.share_p(values.mean()), spread.share_interval(values.mean())[0]))
    p, low = zip(*found, strict=True)
    assert p[0] < p[1] and low[0] > low[1]


def test_answers_that_cancel_out_in_every_group_are_no_certainty():
    spread = crossed(2, 2).of_mean(np.array([1.0, 0.0, 0.0, 1.0]))
    low, high = spread.share_interval(0.5)
    assert spread.share_p(0.5) == 1 and low < 0.01 and high > 0.99


@pytest.mark.parametrize("degrees", [2.0, 30.0])
def test_p_values_belong_to_their_intervals(degrees):
    """Below 5 % exactly where the interval leaves out "no difference"."""
    for value in np.linspace(0.02, 0.98, 49):
        found = Spread(variance=0.02, degrees=degrees, n_groups=9)
        low, high = found.share_interval(value)
        assert (found.share_p(value) < 0.05) == (not low <= 0.5 <= high)
        low, high = found.mean_interval(value)
        assert (found.mean_p(value) < 0.05) == (not low <= 0 <= high)
