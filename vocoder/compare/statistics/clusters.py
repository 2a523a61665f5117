"""Uncertainty of a mean whose answers come in groups: by listener and by item, crossed.

Answers of one listener are alike, and so are answers about one item. Taking them for independent
makes intervals too short. The variance of a mean, or of anything near to one, is here

    V = V_listeners + V_items - V_cells,

the sum over the groups of each kind of the squared sum of contributions (Cameron, Gelbach and
Miller 2011, *Robust inference with multiway clustering*; the last term is that of the pairs of
listener and item, which the first two count twice). It speaks of other listeners and other items
like these, not only of those that took part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

import numpy as np
from scipy import stats

from vocoder.compare.answers import Answer
from vocoder.evaluate.inference import CONFIDENCE

Labels = Sequence[object] | np.ndarray


@dataclass(frozen=True)
class Spread:
    """Variance of an estimate.

    Parameters
    ----------
    variance : float
        0 if all answers agree.
    degrees : float
        Degrees of freedom that the variance is known with (Satterthwaite 1946).
    n_groups : int
        The fewest groups of a kind that has more than one: how many witnesses there are at least.
    n_agreed : float or None
        Where all answers agree: how many independent ones are as sure.
    """

    variance: float
    degrees: float
    n_groups: int
    n_agreed: float | None = None

    @property
    def quantile(self) -> float:
        """Student's t for a two-sided interval."""
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees))

    def mean_interval(self, value: float) -> tuple[float, float]:
        """Student's interval of a mean."""
        half = self.quantile * math.sqrt(self.variance)
        return value - half, value + half

    def share_interval(self, share: float) -> tuple[float, float]:
        """Wilson's interval of a share, within 0 to 1, for the effective number of answers.

        With Student's quantile (Franco, Little, Louis and Slud 2019, *Comparative study of
        confidence intervals for proportions in complex sample surveys*).
        """
        n, z2 = self._effective_answers(share), self.quantile**2
        centre = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
        return max(0.0, centre - half), min(1.0, centre + half)

    def share_p(self, share: float) -> float:
        """Two-sided p-value of a share against one half: below 5 % where the interval is beyond.

        Wilson's interval is the set of shares that the score test does not reject, so this is
        that test with the same effective number of answers and the same t.
        """
        return self._two_sided(abs(share - 0.5) * math.sqrt(4 * self._effective_answers(share)))

    def mean_p(self, value: float) -> float:
        """Two-sided p-value of a mean against 0, by Student's t."""
        if not self.variance:
            return float(value == 0)
        return self._two_sided(abs(value) / math.sqrt(self.variance))

    def _two_sided(self, deviations: float) -> float:
        return float(2 * stats.t.sf(deviations, self.degrees))

    def _effective_answers(self, share: float) -> float:
        if self.n_agreed is not None:
            return self.n_agreed
        # Where answers cancel out in every group, there are as many as witnesses.
        return share * (1 - share) / self.variance if self.variance else float(self.n_groups)


class Sizes(TypedDict):
    """What a `Finding` rests on, by the names it has there."""

    n_answers: int
    n_listeners: int
    n_items: int


class Groups:
    """Whose each of the answers is, and about which item."""

    def __init__(self, listeners: Labels, items: Labels) -> None:
        who, self.listener = np.unique(np.asarray(listeners), return_inverse=True)
        what, self.item = np.unique(np.asarray(items), return_inverse=True)
        self.n_listeners, self.n_items = len(who), len(what)
        _, self.cell = np.unique(self.listener * self.n_items + self.item, return_inverse=True)

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> Groups:
        """Group answers by their listeners and items."""
        return cls([answer.listener for answer in answers], [answer.item for answer in answers])

    @property
    def sizes(self) -> Sizes:
        """The numbers that every `Finding` tells."""
        return Sizes(
            n_answers=len(self.listener), n_listeners=self.n_listeners, n_items=self.n_items
        )

    def spread(self, contributions: np.ndarray) -> Spread:
        """Variance of an estimate that is a sum of contributions, one an answer.

        Parameters
        ----------
        contributions : ndarray
            ``(answers,)``; what each answer adds to the estimate, less what it is expected to add
            (of a mean: the deviation from it, divided by their number).
        """
        return self._spread(contributions) if contributions.any() else self._of_unanimity

    @cached_property
    def _of_unanimity(self) -> Spread:
        """That of answers which all agree, which alone say nothing of how they vary.

        They are as sure as they would be if one of them did not agree, in the mean over which.
        """
        n = len(self.listener)
        if n == 1:
            return Spread(0.0, 1.0, 1, 1.0)
        share = 1 / n
        found = [self._spread(((np.arange(n) == one) - share) / n) for one in range(n)]
        return Spread(
            variance=0.0,
            degrees=float(np.mean([one.degrees for one in found])),
            n_groups=found[0].n_groups,
            n_agreed=float(np.mean([share * (1 - share) / one.variance for one in found])),
        )

    def _spread(self, contributions: np.ndarray) -> Spread:
        """`spread` of contributions that are not all zero."""
        both = [(self.listener, self.n_listeners), (self.item, self.n_items)]
        kinds = [(index, n) for index, n in both if n > 1]
        if not kinds:  # one listener, one item: repeats
            kinds = [(np.arange(len(contributions)), len(contributions))]
        variances = [_between(contributions, index, n) for index, n in kinds]
        total = variances[0]
        if len(kinds) == 2:
            cells = _between(contributions, self.cell, self.cell.max() + 1)
            # By chance the sum may fall below one of its terms, which it cannot be in truth.
            total = max(sum(variances) - cells, *variances)
        doubt = sum(
            variance**2 / max(n - 1, 1) for (_, n), variance in zip(kinds, variances, strict=True)
        )
        fewest = min(n for _, n in kinds)
        degrees = total**2 / doubt if doubt > 0 else fewest - 1.0
        return Spread(total, max(degrees, 1.0), fewest)

    def of_mean(self, values: np.ndarray) -> Spread:
        """`spread` of the mean of values ``(answers,)``."""
        return self.spread((values - values.mean()) / len(values))


def _between(contributions: np.ndarray, index: np.ndarray, n: int) -> float:
    """Sum over groups of the squared sum of contributions, corrected for their small number."""
    sums = np.bincount(index, weights=contributions, minlength=n)
    return float(n / max(n - 1, 1) * np.sum(sums**2))
