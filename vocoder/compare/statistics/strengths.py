"""A/B of three systems and more: one scale from all pairs.

System ``i`` is preferred to ``j`` with the probability ``1 / (1 + exp(s_j - s_i))`` (Bradley and
Terry 1952); the strengths ``s`` sum to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit

from vocoder.compare.answers import PreferenceAnswer
from vocoder.compare.statistics.clusters import Groups
from vocoder.compare.statistics.findings import Analysis, Finding
from vocoder.compare.statistics.preference import first_share
from vocoder.errors import BadInput

STRENGTH = "strength"
MIN_SYSTEMS = 3
# Half an answer each way for every pair that was heard (the prior of Jeffreys for a share): a
# system that never lost keeps a finite strength.
PRIOR = 0.5
TOLERANCE = 1e-8  # of wins


def analyse_strengths(answers: Sequence[PreferenceAnswer], systems: Sequence[str]) -> Analysis:
    """Strength of every system; which of two is better, `analyse_preference` says.

    "No difference" is half a preference. To first order the estimate is a sum of contributions,
    one an answer: the inverse of Fisher's information times the answer's part of the gradient.
    Their clustered variance (`clusters`) is that of the estimate; it is never taken to be smaller
    than the model's own, of independent answers.

    Parameters
    ----------
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

    findings = []
    # The information has one added for the mean, which is known to be zero.
    for name, strength, weights, model in zip(
        names, strengths, inverse, np.diag(inverse) - 1 / n**2, strict=True
    ):
        spread = groups.spread(surprise * (weights[left] - weights[right]))
        spread = replace(spread, variance=max(spread.variance, float(model)))
        low, high = spread.mean_interval(float(strength))
        findings.append(
            Finding(
                measure=STRENGTH,
                subject=name,
                **groups.sizes,
                value=float(strength),
                low=low,
                high=high,
            )
        )
    return Analysis(findings=tuple(findings))


def fit_strengths(wins: np.ndarray) -> np.ndarray:
    """Find the most likely strengths, ``(systems,)``, summing to zero.

    Parameters
    ----------
    wins : ndarray
        ``(systems, systems)``, how often the row was preferred to the column.
    """

    def loss(s: np.ndarray) -> tuple[float, np.ndarray]:
        apart = s[:, None] - s
        expected = (wins + wins.T) * expit(apart)
        return -float(np.sum(wins * log_expit(apart))), (expected - wins).sum(axis=1)

    found = minimize(loss, np.zeros(len(wins)), jac=True, options={"gtol": TOLERANCE}).x
    return np.asarray(found - found.mean())


def _information(wins: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Fisher's, ``(systems, systems)``, plus one for the mean, of which it says nothing."""
    chances = expit(strengths[:, None] - strengths)
    weight = (wins + wins.T) * chances * (1 - chances)
    return np.asarray(np.diag(weight.sum(axis=1)) - weight + 1)


def _require_joined(wins: np.ndarray, names: Sequence[str]) -> None:
    """Systems of two groups that never met have no common scale."""
    _, part = connected_components(wins + wins.T)
    if apart := [name for name, of in zip(names, part, strict=True) if of != part[0]]:
        raise BadInput(
            f"{', '.join(apart)} was never compared with {names[0]}, nor through others; strengths "
            "need pairs that join all systems",
            key="strengths.apart",
        )
