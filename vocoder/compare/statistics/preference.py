"""A/B: which of two systems is preferred, and does the side matter?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vocoder.compare.answers import PreferenceAnswer
from vocoder.compare.statistics.clusters import Groups
from vocoder.compare.statistics.findings import Analysis, Finding, by_pair, with_holm

PREFERENCE = "preference"
ORDER_BIAS = "left chosen"
TEST = "score test against one half, allowing for listeners and items"
_LEFT_SHARE = {"left": 1.0, "none": 0.5, "right": 0.0}


def analyse_preference(answers: Sequence[PreferenceAnswer], systems: Sequence[str]) -> Analysis:
    """Share of preferences for every pair of systems, and the share of the left side.

    "No difference" counts as half a preference. A share is the mean of that with the first system
    on the left and that with it on the right, so that a liking for a side cancels, also where
    sides did not come out equal. Interval and p-value belong to each other, and allow for
    listeners and items that differ (`clusters`).

    Parameters
    ----------
    systems : sequence of str
        All systems of the study; the first of a pair is that which comes first here.
    """
    pairs = by_pair(answers, systems)
    findings = with_holm([_preference(group, *pair) for pair, group in pairs])
    if answers:
        findings.append(_order_bias(answers))
    return Analysis(findings=tuple(findings))


def first_share(answer: PreferenceAnswer, first: str) -> float:
    """1 where ``first`` was preferred, 0 where the other was, a half for no difference."""
    left = _LEFT_SHARE[answer.choice]
    return left if answer.left == first else 1 - left


def _preference(answers: Sequence[PreferenceAnswer], first: str, second: str) -> Finding:
    won = np.array([first_share(answer, first) for answer in answers])
    on_left = np.array([answer.left == first for answer in answers])
    share, contributions = _balanced(won, on_left)
    names = {"first": first, "second": second}
    return _finding(answers, PREFERENCE, f"{first} over {second}", won, share, contributions, names)


def _order_bias(answers: Sequence[PreferenceAnswer]) -> Finding:
    left = np.array([_LEFT_SHARE[answer.choice] for answer in answers])
    # Systems differ, and may stand on the left more often than on the right: each system counts
    # as much on one side as on the other, as in `_preference`, pair by pair.
    share, contributions = 0.0, np.zeros(len(left))
    names = [frozenset(answer.systems) for answer in answers]
    for name in dict.fromkeys(names):
        inside = np.array([other == name for other in names])
        weight = inside.mean()
        on_left = np.array([answer.left == min(name) for answer in answers])
        part, deviations = _balanced(left[inside], on_left[inside])
        share += weight * part
        contributions[inside] = weight * deviations
    return _finding(answers, ORDER_BIAS, "left over right", left, share, contributions, {})


def _finding(
    answers: Sequence[PreferenceAnswer],
    measure: str,
    subject: str,
    outcomes: np.ndarray,
    share: float,
    contributions: np.ndarray,
    names: dict[str, str],
) -> Finding:
    groups = Groups.of(answers)
    found = groups.spread(contributions)
    low, high = found.share_interval(share)
    counts = {
        name: int(np.sum(outcomes == outcome))
        for name, outcome in (("wins", 1), ("losses", 0), ("ties", 0.5))
    }
    return Finding(
        measure=measure,
        subject=subject,
        **groups.sizes,
        value=share,
        low=low,
        high=high,
        test=TEST,
        p=found.share_p(share),
        detail=names | counts,
    )


def _balanced(values: np.ndarray, on_left: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean of the means of both sides, and what each answer adds to it beyond its side's mean.

    Parameters
    ----------
    values : ndarray
        ``(answers,)``.
    on_left : ndarray
        ``(answers,)`` bool. If all are the same, the one side stands for both.
    """
    sides = [side for side in (on_left, ~on_left) if side.any()]
    contributions = np.zeros(len(values))
    for side in sides:
        contributions[side] = (values[side] - values[side].mean()) / side.sum() / len(sides)
    return float(np.mean([values[side].mean() for side in sides])), contributions
