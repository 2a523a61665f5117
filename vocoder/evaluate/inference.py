"""How sure a mean is, and whether two systems differ: bootstrap and permutation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

CONFIDENCE = 0.95  # of intervals
ALPHA = 1 - CONFIDENCE
N_RESAMPLES = 5_000
# Of sign patterns; all of them where there are fewer, that is up to 13 utterances.
N_PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval.

    Parameters
    ----------
    mean, low, high : float
        ``low`` and ``high`` are NaN for a single cluster, of which no spread can be known.
    n : int
        Clusters, usually utterances, that it rests on.
    """

    mean: float
    low: float
    high: float
    n: int

    def text(self, digits: int) -> str:
        """``mean (low to high)`` for tables."""
        mean = f"{self.mean:z.{digits}f}"
        if math.isnan(self.low):
            return mean
        return f"{mean} ({self.low:z.{digits}f} to {self.high:z.{digits}f})"


def mean_interval(
    values: Sequence[float], clusters: Sequence[str] | None = None, *, seed: int = 0
) -> Interval:
    """Mean and 95 % percentile interval of a bootstrap over clusters (Efron 1979).

    Whole clusters are drawn, so that several files of one utterance don't count as so many
    witnesses. Calls with equally many clusters and the same seed draw the same ones.

    Parameters
    ----------
    values : sequence of float
        At least one.
    clusters : sequence of str, optional
        To which cluster each value belongs; without it each is one by itself.

    Examples
    --------
    >>> mean_interval([0.5, 0.6, 0.7, 0.8]).text(2)
    '0.65 (0.55 to 0.75)'
    """
    array = np.asarray(values, np.float64)
    _, index = np.unique(
        np.arange(len(array)) if clusters is None else np.asarray(clusters),
        return_inverse=True,
    )
    sums, counts = np.bincount(index, array), np.bincount(index)
    n = len(counts)
    low, high = math.nan, math.nan
    if n > 1:
        drawn = _draws(n, seed)
        means = (drawn @ sums) / (drawn @ counts)
        tail = 100 * (1 - CONFIDENCE) / 2
        low, high = (float(end) for end in np.percentile(means, [tail, 100 - tail]))
    return Interval(float(array.mean()), low, high, n)


@lru_cache(maxsize=4)
def _draws(n: int, seed: int) -> np.ndarray:
    """How often each of ``n`` clusters is drawn in each resample, ``(resamples, n)``."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(n, np.full(n, 1 / n), N_RESAMPLES).astype(np.float32)


def paired_p(differences: Sequence[float], *, seed: int = 0) -> float:
    """Two-sided p-value of the mean of paired differences: sign-flip permutation (Fisher 1935).

    If two systems are alike, every difference could as well have had the other sign. Unlike the
    t-test it asks for no normal distribution, and unlike Wilcoxon's it is about the mean, which is
    what the tables show. Exact up to 13 utterances (fewer than 6 never reach 0.05); beyond,
    9 999 patterns are drawn, and the observed one counted with them.
    """
    from scipy.stats import permutation_test

    if len(differences) < 2:
        return 1.0
    return float(
        permutation_test(
            (np.asarray(differences, np.float64),),
            np.mean,
            permutation_type="samples",
            n_resamples=N_PERMUTATIONS,
            batch=500,
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values, in the given order, adjusted to bound the chance of any false alarm (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(np.minimum(1, factors * np.take(p_values, order)))
    return [float(p) for p in adjusted]
