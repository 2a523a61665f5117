"""Three systems and more: one scale from all pairs.

System ``i`` is preferred to ``j`` with the probability ``1 / (1 + exp(s_j - s_i))`` (Bradley and
Terry 1952); the strengths ``s`` sum to zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats
from scipy.special import expit

from vocoder.compare.answers import PreferenceAnswer
from vocoder.compare.statistics.clusters import Groups, Spread, combine, mean_interval
from vocoder.compare.statistics.finding import Analysis, Finding, with_holm
from vocoder.compare.statistics.preference import first_share
from vocoder.errors import BadInput

STRENGTH = "strength"
WIN_PROBABILITY = "probability of being preferred"
QUESTION = PreferenceAnswer.question
TEST = "difference of strengths, bootstrap"
MIN_SYSTEMS = 3
# Half an answer each way for every pair that was heard (the prior of Jeffreys for a share): a
# system that never lost in some bootstrap sample keeps a finite strength.
PRIOR = 0.5
MAX_ITERATIONS = 100
TOLERANCE = 1e-9
MAX_STEP = 2.0  # of Newton's method, which may overshoot from afar


def analyse_strengths(
    answers: Sequence[PreferenceAnswer], systems: Sequence[str], *, seed: int, n_bootstrap: int
) -> Analysis:
    """Strength of every system, and the probability that one is preferred to another.

    The variance is that of a bootstrap over listeners plus that over items less that over the
    pairs of both, the last being contained in the first two (as in `clusters`; drawing both at
    once instead would count the noise of single answers three times, Owen 2007, *The pigeonhole
    bootstrap*). "No difference" is half a preference.

    Parameters
    ----------
    answers : sequence of PreferenceAnswer
    systems : sequence of str
        Those of the study, in its order; those never heard are left out.
    seed : int
        Of the bootstrap.
    n_bootstrap : int
        How many samples of each kind.

    Raises
    ------
    BadInput
        Fewer than three systems were heard, or no chain of pairs joins them all.
    """
    heard = {name for answer in answers for name in (answer.left, answer.right)}
    names = [name for name in systems if name in heard]
    if len(names) < MIN_SYSTEMS:
        raise BadInput(f"strengths need {MIN_SYSTEMS} systems or more; {len(names)} were heard")
    rank = {name: k for k, name in enumerate(names)}
    left = np.array([rank[answer.left] for answer in answers])
    right = np.array([rank[answer.right] for answer in answers])
    share = np.array([first_share(answer, answer.left) for answer in answers])
    groups = Groups([answer.listener for answer in answers], [answer.item for answer in answers])
    n = len(names)

    def wins_by(index: np.ndarray, n_groups: int) -> np.ndarray:
        wins = np.zeros((n_groups, n, n))
        np.add.at(wins, (index, left, right), share)
        np.add.at(wins, (index, right, left), 1 - share)
        return wins

    total = wins_by(np.zeros_like(left), 1)[0]
    _require_joined(total, names)
    prior = PRIOR * (total + total.T > 0)
    strengths = fit_strengths(total[None] + prior)[0]
    rng = np.random.default_rng(seed)

    def covariance(index: np.ndarray, n_groups: int) -> np.ndarray:
        wins = wins_by(index, n_groups).reshape(n_groups, -1)
        drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_bootstrap)
        fitted = fit_strengths((drawn @ wins).reshape(-1, n, n) + prior)
        # A sample of G groups varies by (G - 1) / G too little.
        return np.asarray(np.cov(fitted, rowvar=False)) * (n_groups / (n_groups - 1))

    kinds = [(n_groups, covariance(index, n_groups)) for index, n_groups in groups.kinds]
    cells = covariance(groups.cell, groups.n_cells) if len(kinds) == 2 else np.zeros((n, n))

    model = np.linalg.inv(_information(total[None] + prior, strengths[None])[0]) - 1 / n**2

    def spread_of(direction: np.ndarray) -> Spread:
        found = combine(
            [(n_groups, _along(matrix, direction)) for n_groups, matrix in kinds],
            _along(cells, direction),
        )
        if found.variance > TOLERANCE:
            return found
        # Nobody disagrees, so samples do not vary: the model's own variance stands for it.
        return replace(found, variance=_along(model, direction))

    unit = np.eye(n)
    findings = []
    for k, name in enumerate(names):
        low, high = mean_interval(strengths[k], spread_of(unit[k]))
        findings.append(
            Finding(
                question=QUESTION,
                measure=STRENGTH,
                subject=name,
                **groups.sizes,
                value=float(strengths[k]),
                low=low,
                high=high,
            )
        )
    compared = []
    for j in range(n):
        for i in range(j):
            found = spread_of(unit[i] - unit[j])
            difference = float(strengths[i] - strengths[j])
            low, high = mean_interval(difference, found)
            deviations = abs(difference) / math.sqrt(found.variance)
            compared.append(
                Finding(
                    question=QUESTION,
                    measure=WIN_PROBABILITY,
                    subject=f"{names[i]} over {names[j]}",
                    **groups.sizes,
                    value=float(expit(difference)),
                    low=float(expit(low)),
                    high=float(expit(high)),
                    test=TEST,
                    p=float(2 * stats.t.sf(deviations, found.degrees)),
                    detail={"first": names[i], "second": names[j], "difference": difference},
                )
            )
    return Analysis(question=QUESTION, findings=tuple(findings + with_holm(compared)))


def fit_strengths(wins: np.ndarray) -> np.ndarray:
    """Most likely strengths, by Newton's method.

    Parameters
    ----------
    wins : ndarray
        ``(batch, systems, systems)``, how often the row was preferred to the column.

    Returns
    -------
    ndarray
        ``(batch, systems)``, summing to zero.
    """
    heard = wins + wins.transpose(0, 2, 1)
    strengths = np.zeros(wins.shape[:2])
    for _ in range(MAX_ITERATIONS):
        gradient = (wins - heard * _chances(strengths)).sum(axis=2)
        step = np.linalg.solve(_information(wins, strengths), gradient[:, :, None])[:, :, 0]
        largest = np.abs(step).max(axis=1, keepdims=True)
        strengths += step * np.minimum(1, MAX_STEP / np.maximum(largest, TOLERANCE))
        if largest.max() < TOLERANCE:
            break
    return np.asarray(strengths - strengths.mean(axis=1, keepdims=True))


def _chances(strengths: np.ndarray) -> np.ndarray:
    """Of the row being preferred to the column, ``(batch, systems, systems)``."""
    return np.asarray(expit(strengths[:, :, None] - strengths[:, None, :]))


def _information(wins: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Fisher's, ``(batch, systems, systems)``, plus one for the mean, of which it says nothing."""
    chances = _chances(strengths)
    weight = (wins + wins.transpose(0, 2, 1)) * chances * (1 - chances)
    return np.asarray(np.eye(wins.shape[1]) * weight.sum(axis=2)[:, :, None] - weight + 1)


def _along(matrix: np.ndarray, direction: np.ndarray) -> float:
    return float(direction @ matrix @ direction)


def _require_joined(wins: np.ndarray, names: Sequence[str]) -> None:
    """Systems of two groups that never met have no common scale."""
    reached, fresh = {0}, [0]
    while fresh:
        met = np.flatnonzero((wins + wins.T)[fresh.pop()])
        new = set(met.tolist()) - reached
        reached |= new
        fresh += new
    if apart := [name for k, name in enumerate(names) if k not in reached]:
        raise BadInput(
            f"{', '.join(apart)} was never compared with {names[0]}, nor through others; strengths "
            "need pairs that join all systems"
        )
