"""A/B of three systems and more: one scale from all pairs.

System ``i`` is preferred to ``j`` with the probability ``1 / (1 + exp(s_j - s_i))`` (Bradley and
Terry 1952); the strengths ``s`` sum to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from vocoder.compare.answers import PreferenceAnswer
from vocoder.compare.statistics.clusters import Groups, Spread
from vocoder.compare.statistics.findings import Analysis, Finding, with_holm
from vocoder.compare.statistics.preference import first_share
from vocoder.errors import BadInput

STRENGTH = "strength"
WIN_PROBABILITY = "probability of being preferred"
TEST = "difference of strengths, allowing for listeners and items"
MIN_SYSTEMS = 3
# Half an answer each way for every pair that was heard (the prior of Jeffreys for a share): a
# system that never lost keeps a finite strength.
PRIOR = 0.5
MAX_ITERATIONS = 100
TOLERANCE = 1e-9
MAX_STEP = 2.0  # of Newton's method, which may overshoot from afar


def analyse_strengths(answers: Sequence[PreferenceAnswer], systems: Sequence[str]) -> Analysis:
    """Strength of every system, and the probability that one is preferred to another.

    "No difference" is half a preference. To first order the estimate is a sum of contributions,
    one an answer: the inverse of Fisher's information times the answer's part of the gradient.
    Their clustered variance (`clusters`) is that of the estimate; it is never taken to be smaller
    than the model's own, of independent answers.

    Parameters
    ----------
    answers : sequence of PreferenceAnswer
    systems : sequence of str
        Those of the study, in its order; those never heard are left out.
    """
    heard = {name for answer in answers for name in (answer.left, answer.right)}
    names = [name for name in systems if name in heard]
    n = len(names)
    if n < MIN_SYSTEMS:
        raise BadInput(
            f"strengths need {MIN_SYSTEMS} systems or more; {n} were heard", key="strengths.few"
        )
    left = np.array([names.index(answer.left) for answer in answers])
    right = np.array([names.index(answer.right) for answer in answers])
    share = np.array([first_share(answer, answer.left) for answer in answers])
    wins = np.zeros((n, n))
    np.add.at(wins, (left, right), share)
    np.add.at(wins, (right, left), 1 - share)
    _require_joined(wins, names)
    wins += PRIOR * (wins + wins.T > 0)
    strengths = fit_strengths(wins)
    inverse = np.linalg.inv(_information(wins, strengths))
    surprise = share - expit(strengths[left] - strengths[right])
    groups = Groups.of(answers)

    def spread_of(direction: np.ndarray) -> Spread:
        weights = inverse @ direction
        found = groups.spread(surprise * (weights[left] - weights[right]))
        # The information has one added for the mean, which is known to be zero.
        model = float(direction @ (inverse - 1 / n**2) @ direction)
        return replace(found, variance=max(found.variance, model))

    unit = np.eye(n)
    findings = []
    for k, name in enumerate(names):
        low, high = spread_of(unit[k]).mean_interval(strengths[k])
        findings.append(
            Finding(
                question="ab",
                measure=STRENGTH,
                subject=name,
                **groups.sizes,
                value=float(strengths[k]),
                low=low,
                high=high,
            )
        )
    compared = []
    for j, i in np.argwhere(np.tri(n, k=-1, dtype=bool)):
        found = spread_of(unit[i] - unit[j])
        difference = float(strengths[i] - strengths[j])
        low, high = found.mean_interval(difference)
        compared.append(
            Finding(
                question="ab",
                measure=WIN_PROBABILITY,
                subject=f"{names[i]} over {names[j]}",
                **groups.sizes,
                value=float(expit(difference)),
                low=float(expit(low)),
                high=float(expit(high)),
                test=TEST,
                p=found.mean_p(difference),
                detail={"first": names[i], "second": names[j]},
            )
        )
    return Analysis(question="ab", findings=tuple(findings + with_holm(compared)))


def fit_strengths(wins: np.ndarray) -> np.ndarray:
    """Find the most likely strengths by Newton's method.

    Parameters
    ----------
    wins : ndarray
        ``(systems, systems)``, how often the row was preferred to the column.

    Returns
    -------
    ndarray
        ``(systems,)``, summing to zero.
    """
    strengths = np.zeros(len(wins))
    for _ in range(MAX_ITERATIONS):
        expected = (wins + wins.T) * expit(strengths[:, None] - strengths)
        step = np.linalg.solve(_information(wins, strengths), (wins - expected).sum(axis=1))
        largest = np.abs(step).max()
        strengths += step * min(1.0, MAX_STEP / max(largest, TOLERANCE))
        if largest < TOLERANCE:
            break
    return np.asarray(strengths - strengths.mean())


def _information(wins: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Fisher's, ``(systems, systems)``, plus one for the mean, of which it says nothing."""
    chances = expit(strengths[:, None] - strengths)
    weight = (wins + wins.T) * chances * (1 - chances)
    return np.asarray(np.diag(weight.sum(axis=1)) - weight + 1)


def _require_joined(wins: np.ndarray, names: Sequence[str]) -> None:
    """Systems of two groups that never met have no common scale."""
    reached, fresh = {0}, [0]
    while fresh:
        new = set(np.flatnonzero((wins + wins.T)[fresh.pop()]).tolist()) - reached
        reached |= new
        fresh += new
    if apart := [name for k, name in enumerate(names) if k not in reached]:
        raise BadInput(
            f"{', '.join(apart)} was never compared with {names[0]}, nor through others; strengths "
            "need pairs that join all systems",
            key="strengths.apart",
        )
