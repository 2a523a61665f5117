"""A/B: which of two systems is preferred, and does the side matter?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from vocoder.compare.answers import PreferenceAnswer
from vocoder.compare.statistics.clusters import Groups, design_effect, share_interval
from vocoder.compare.statistics.finding import Analysis, Finding, with_holm
from vocoder.compare.statistics.pairs import Pair, by_pair
from vocoder.compare.statistics.power import more_answers

PREFERENCE = "preference"
PREFERENCE_OF_LISTENERS = "preference by listener"
ORDER_BIAS = "left chosen"
QUESTION = PreferenceAnswer.question
TEST = "sign test, two-sided"
_LEFT_SHARE = {"left": 1.0, "none": 0.5, "right": 0.0}


def analyse_preference(answers: Sequence[PreferenceAnswer], systems: Sequence[str]) -> Analysis:
    """Share of preferences for every pair of systems, and the share of the left side.

    "No difference" counts as half a preference in the share; the exact sign test leaves it out,
    as Dixon and Mood (1946) do. The share is the mean of that with the first system on the left
    and that with it on the right, so that a liking for a side cancels, also where sides did not
    come out equal; its interval allows for listeners and items that differ (`clusters`). The sign
    test takes answers for independent, which they are if nobody hears a difference. A second sign
    test has one vote a listener.

    Parameters
    ----------
    answers : sequence of PreferenceAnswer
    systems : sequence of str
        All systems of the study; the first of a pair is that which comes first here.
    """
    pairs = by_pair(answers, lambda answer: (answer.left, answer.right), systems)
    findings = with_holm([_preference(group, pair) for pair, group in pairs])
    findings += with_holm([_votes(group, pair) for pair, group in pairs])
    if answers:
        findings.append(_order_bias(answers))
    return Analysis(question=QUESTION, findings=tuple(findings))


def first_share(answer: PreferenceAnswer, first: str) -> float:
    """1 where ``first`` was preferred, 0 where the other was, a half for no difference."""
    left = _LEFT_SHARE[answer.choice]
    return left if answer.left == first else 1 - left


def _preference(answers: Sequence[PreferenceAnswer], pair: Pair) -> Finding:
    first, second = pair
    groups = _groups(answers)
    won = np.array([first_share(answer, first) for answer in answers])
    on_left = np.array([answer.left == first for answer in answers])
    share, contributions = _balanced(won, on_left)
    found = groups.spread(contributions)
    wins, losses = int(np.sum(won == 1)), int(np.sum(won == 0))
    effect = design_effect(found, won)
    needed, more = more_answers(len(answers), wins + losses, effect, two_sided=True)
    low, high = share_interval(share, found)
    return Finding(
        question=QUESTION,
        measure=PREFERENCE,
        subject=f"{first} over {second}",
        **groups.sizes,
        value=share,
        low=low,
        high=high,
        test=TEST,
        p=_sign_test(wins, losses),
        detail={
            "first": first,
            "second": second,
            "wins": wins,
            "losses": losses,
            "ties": len(answers) - wins - losses,
            "design_effect": effect,
            "needed_answers": needed,
            "more_answers": more,
        },
    )


def _votes(answers: Sequence[PreferenceAnswer], pair: Pair) -> Finding:
    groups = _groups(answers)
    votes = np.array([first_share(answer, pair[0]) - 0.5 for answer in answers])
    balance = np.bincount(groups.listener, weights=votes)
    wins, losses = int(np.sum(balance > 0)), int(np.sum(balance < 0))
    return Finding(
        question=QUESTION,
        measure=PREFERENCE_OF_LISTENERS,
        subject=" over ".join(pair),
        **groups.sizes,
        test=TEST,
        p=_sign_test(wins, losses),
        detail={
            "first": pair[0],
            "second": pair[1],
            "wins": wins,
            "losses": losses,
            "ties": groups.n_listeners - wins - losses,
        },
    )


def _order_bias(answers: Sequence[PreferenceAnswer]) -> Finding:
    groups = _groups(answers)
    left = np.array([_LEFT_SHARE[answer.choice] for answer in answers])
    # Systems differ, and may stand on the left more often than on the right: each system counts
    # as much on one side as on the other, as in `_preference`, pair by pair.
    share, contributions = 0.0, np.zeros(len(left))
    names = [frozenset((answer.left, answer.right)) for answer in answers]
    for name in dict.fromkeys(names):
        inside = np.array([other == name for other in names])
        weight = inside.mean()
        on_left = np.array([answer.left == min(name) for answer in answers])
        part, deviations = _balanced(left[inside], on_left[inside])
        share += weight * part
        contributions[inside] = weight * deviations
    low, high = share_interval(share, found := groups.spread(contributions))
    wins, losses = int(np.sum(left == 1)), int(np.sum(left == 0))
    return Finding(
        question=QUESTION,
        measure=ORDER_BIAS,
        subject="left over right",
        **groups.sizes,
        value=share,
        low=low,
        high=high,
        test=TEST,
        p=_sign_test(wins, losses),
        detail={
            "wins": wins,
            "losses": losses,
            "ties": len(answers) - wins - losses,
            "design_effect": design_effect(found, left),
        },
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


def _sign_test(wins: int, losses: int) -> float:
    return float(stats.binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0


def _groups(answers: Sequence[PreferenceAnswer]) -> Groups:
    return Groups([answer.listener for answer in answers], [answer.item for answer in answers])
