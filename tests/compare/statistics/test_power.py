"""How many answers are needed: against every outcome counted."""

import numpy as np
import pytest
from scipy import stats

from vocoder.compare.statistics.power import more_answers, needed_answers


def power(n, alternative):
    outcomes = np.arange(n + 1)
    chances = stats.binom.pmf(outcomes, n, 0.5)
    above = np.cumsum(chances[::-1])[::-1]  # of so many or more
    p = above if alternative == "greater" else np.minimum(1, 2 * np.minimum(above, above[::-1]))
    return stats.binom.pmf(outcomes, n, 0.6)[p <= 0.05].sum()


@pytest.mark.parametrize(("two_sided", "alternative"), [(True, "two-sided"), (False, "greater")])
def test_from_there_on_power_stays_above_80_per_cent(two_sided, alternative):
    needed = needed_answers(two_sided=two_sided)
    assert power(needed - 1, alternative) < 0.8
    assert all(power(needed + k, alternative) >= 0.8 for k in (0, 1, 2, 5))


def test_ties_and_likeness_cost_answers():
    ideal = needed_answers(two_sided=True)
    assert more_answers(100, 100, 0.7, two_sided=True) == (ideal, ideal - 100)
    assert more_answers(100, 50, 1.0, two_sided=True) == (2 * ideal, 2 * ideal - 100)
    assert more_answers(100, 100, 3.0, two_sided=True) == (3 * ideal, 3 * ideal - 100)
    assert more_answers(1000, 1000, 1.0, two_sided=True) == (ideal, 0)
    assert more_answers(10, 0, 1.0, two_sided=True)[0] == ideal
