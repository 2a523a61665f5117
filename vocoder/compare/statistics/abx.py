"""ABX: can a difference be heard at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from vocoder.compare.answers import AbxAnswer
from vocoder.compare.statistics.clusters import Groups, design_effect, share_interval
from vocoder.compare.statistics.finding import CONFIDENCE, Analysis, Finding, with_holm
from vocoder.compare.statistics.pairs import by_pair
from vocoder.compare.statistics.power import more_answers

CORRECT = "right answers"
CORRECT_ELSEWHERE = "right answers, other listeners and items"
CORRECT_OF_LISTENER = "right answers of one listener"
QUESTION = AbxAnswer.question
TEST = "exact binomial, one-sided"


def analyse_abx(answers: Sequence[AbxAnswer], systems: Sequence[str]) -> Analysis:
    """Share of right answers for every pair of systems, and of every listener.

    The p-value is that of getting so many right *or more* by guessing, ``P(X >= k)``, exact. It
    holds if the number of answers was fixed before; several listeners do not make it wrong, since
    all who guess are right half of the time. The interval beside it is Wilson's, which takes
    answers for independent; a second one allows for listeners and items that differ.

    Parameters
    ----------
    answers : sequence of AbxAnswer
    systems : sequence of str
        All systems of the study; in this order pairs are named.
    """
    pairs = by_pair(answers, lambda answer: (answer.a, answer.b), systems)
    tested = [_tested(group, CORRECT, f"{one} or {other}") for (one, other), group in pairs]
    elsewhere = [
        _elsewhere(group, finding) for (_, group), finding in zip(pairs, tested, strict=True)
    ]
    listeners = list(dict.fromkeys(answer.listener for answer in answers))
    of_listeners = [
        _tested([one for one in answers if one.listener == name], CORRECT_OF_LISTENER, name)
        for name in listeners
    ]
    findings = [*with_holm(tested), *elsewhere]
    if len(listeners) > 1:
        findings += with_holm(of_listeners)
    return Analysis(question=QUESTION, findings=tuple(findings))


def _tested(answers: Sequence[AbxAnswer], measure: str, subject: str) -> Finding:
    groups, right = _outcomes(answers)
    n, n_right = len(right), int(right.sum())
    # Of the two-sided test: the one-sided test's own interval always ends at 1.
    interval = stats.binomtest(n_right, n, 0.5).proportion_ci(CONFIDENCE, method="wilson")
    effect = design_effect(groups.of_mean(right), right)
    needed, more = more_answers(n, n, effect, two_sided=False)
    return Finding(
        question=QUESTION,
        measure=measure,
        subject=subject,
        **groups.sizes,
        value=n_right / n,
        low=float(interval.low),
        high=float(interval.high),
        test=TEST,
        p=float(stats.binomtest(n_right, n, 0.5, alternative="greater").pvalue),
        detail={
            "right": n_right,
            "heard_share": max(0.0, 2 * n_right / n - 1),
            "design_effect": effect,
            "needed_answers": needed,
            "more_answers": more,
        },
    )


def _elsewhere(answers: Sequence[AbxAnswer], finding: Finding) -> Finding:
    groups, right = _outcomes(answers)
    low, high = share_interval(float(right.mean()), groups.of_mean(right))
    return replace(
        finding, measure=CORRECT_ELSEWHERE, low=low, high=high, test="", p=None, detail={}
    )


def _outcomes(answers: Sequence[AbxAnswer]) -> tuple[Groups, np.ndarray]:
    groups = Groups([one.listener for one in answers], [one.item for one in answers])
    return groups, np.array([one.is_correct for one in answers], dtype=float)
