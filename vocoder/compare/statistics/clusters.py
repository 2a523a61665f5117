"""How sure a mean is when answers come in groups: by listener and by item, crossed.

Answers of one listener are alike, and so are answers about one sentence. Taking them for
independent makes intervals too short. The variance of a mean, or of anything near to one, is here

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
from typing import TypedDict

import numpy as np
from scipy import stats

from vocoder.compare.statistics.finding import CONFIDENCE

Labels = Sequence[object] | np.ndarray


@dataclass(frozen=True)
class Spread:
    """Variance of an estimate.

    Parameters
    ----------
    variance : float
        Of the estimate, 0 if all answers agree.
    degrees : float
        Degrees of freedom that the variance is known with (Satterthwaite 1946).
    n_groups : int
        The fewest groups of a kind that has more than one: how many witnesses there are at least.
    """

    variance: float
    degrees: float
    n_groups: int

    @property
    def quantile(self) -> float:
        """Of Student's t, for a two-sided interval."""
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees))


class Sizes(TypedDict):
    """What a `Finding` rests on, by the names it has there."""

    n_answers: int
    n_listeners: int
    n_items: int


class Groups:
    """Who answered, and about what.

    Parameters
    ----------
    listeners, items : sequence
        ``(answers,)``: whose answer each is, and about which item.
    """

    def __init__(self, listeners: Labels, items: Labels) -> None:
        self.listener, self.n_listeners = group_numbers(listeners)
        self.item, self.n_items = group_numbers(items)
        self.cell, self.n_cells = group_numbers(self.listener * self.n_items + self.item)

    @property
    def sizes(self) -> Sizes:
        """The numbers that every `Finding` tells."""
        return Sizes(
            n_answers=len(self.listener), n_listeners=self.n_listeners, n_items=self.n_items
        )

    @property
    def kinds(self) -> list[tuple[np.ndarray, int]]:
        """Group of each answer ``(answers,)`` and number of groups, of each kind with several."""
        both = [(self.listener, self.n_listeners), (self.item, self.n_items)]
        kinds = [(index, n) for index, n in both if n > 1]
        n_answers = len(self.listener)
        return kinds or [(np.arange(n_answers), n_answers)]

    def spread(self, contributions: np.ndarray) -> Spread:
        """Variance of an estimate that is a sum of contributions, one an answer.

        Parameters
        ----------
        contributions : ndarray
            ``(answers,)``; what each answer adds to the estimate, less what it is expected to add
            (of a mean: the deviation from it, divided by their number).
        """
        return combine(
            [(n, _between(contributions, index, n)) for index, n in self.kinds],
            _between(contributions, self.cell, self.n_cells),
        )

    def of_mean(self, values: np.ndarray) -> Spread:
        """`spread` of the mean of values ``(answers,)``."""
        return self.spread((values - values.mean()) / len(values))


def group_numbers(labels: Labels) -> tuple[np.ndarray, int]:
    """Each label's number ``(n,)`` int, in order of first appearance, and how many there are."""
    numbers: dict[object, int] = {}
    indices = np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=int)
    return indices, len(numbers)


def combine(kinds: Sequence[tuple[int, float]], cells: float) -> Spread:
    """Put variances by kind of group together.

    Parameters
    ----------
    kinds : sequence of (int, float)
        Number of groups and variance by them, of one or two kinds.
    cells : float
        Variance by pairs of both; not used with one kind.
    """
    variances = [variance for _, variance in kinds]
    total = variances[0]
    if len(kinds) == 2:
        # By chance the sum may fall below one of its terms, which it cannot be in truth.
        total = max(sum(variances) - cells, *variances)
    doubt = sum(variance**2 / max(n - 1, 1) for n, variance in kinds)
    fewest = min(n for n, _ in kinds)
    degrees = total**2 / doubt if doubt > 0 else fewest - 1.0
    return Spread(total, max(degrees, 1.0), fewest)


def design_effect(found: Spread, values: np.ndarray) -> float:
    """How many times the variance of the mean of as many independent values ``(answers,)``."""
    independent = float(np.var(values)) / len(values)
    return found.variance / independent if independent > 0 else 1.0


def mean_interval(value: float, found: Spread) -> tuple[float, float]:
    """Interval of a mean: Student's t."""
    half = found.quantile * math.sqrt(found.variance)
    return value - half, value + half


def share_interval(share: float, found: Spread) -> tuple[float, float]:
    """Interval of a share, within 0 to 1: Wilson's for as many answers as would be as sure.

    The effective number of independent answers is ``share (1 - share) / variance``, with Student's
    quantile (Franco, Little, Louis and Slud 2019, *Comparative study of confidence intervals for
    proportions in complex sample surveys*). If nobody disagrees, no variance can be estimated, and
    the fewest groups stand for it.
    """
    within = share * (1 - share)
    n = within / found.variance if found.variance > 0 and within > 0 else float(found.n_groups)
    z2 = found.quantile**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (within / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def _between(contributions: np.ndarray, index: np.ndarray, n: int) -> float:
    """Sum over groups of the squared sum of contributions, corrected for their small number."""
    sums = np.bincount(index, weights=contributions, minlength=n)
    return float(n / max(n - 1, 1) * np.sum(sums**2))
