"""How many answers it takes to tell a preference that is worth telling."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import stats

from vocoder.compare.statistics.finding import ALPHA

SHARE = 0.6  # the preference, or the share of right answers, that is to be told: 60 to 40
POWER = 0.8  # how often a study of that size tells it
LARGEST = 2000


@lru_cache
def needed_answers(*, two_sided: bool) -> int:
    """The fewest independent answers from which on a 60:40 preference is told in 80 % of studies.

    Exact, of the binomial test at 5 %: its power is a saw-tooth over the number of answers, and
    what is returned is where it last rises above 80 %.

    Parameters
    ----------
    two_sided : bool
        True for a preference (either system may win), false for ABX (only right answers count).
    """
    n = np.arange(1, LARGEST)
    alpha = ALPHA / 2 if two_sided else ALPHA
    # The fewest right answers that are significant: isf is exact for the binomial.
    least = stats.binom.isf(alpha, n, 0.5) + 1
    power = stats.binom.sf(least - 1, n, SHARE)
    if two_sided:
        power = power + stats.binom.cdf(n - least, n, SHARE)
    return int(n[np.flatnonzero(power < POWER)[-1]]) + 1


def more_answers(
    n_answers: int, n_decided: int, design_effect: float, *, two_sided: bool
) -> tuple[int, int]:
    """How many answers, ties among them, are needed in all, and how many of them are missing.

    Parameters
    ----------
    n_answers, n_decided : int
        Given so far, and how many of those were no ties.
    design_effect : float
        How many times the variance is that of as many independent answers; below 1 taken for 1.
    two_sided : bool
        As of `needed_answers`.
    """
    decided_share = n_decided / n_answers if n_decided else 1.0
    needed = math.ceil(
        needed_answers(two_sided=two_sided) * max(design_effect, 1.0) / decided_share
    )
    return needed, max(0, needed - n_answers)
