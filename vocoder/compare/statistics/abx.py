"""ABX: can a difference be heard at all?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from vocoder.compare.answers import AbxAnswer
from vocoder.compare.statistics.clusters import Groups
from vocoder.compare.statistics.findings import Analysis, Finding, by_pair, with_holm
from vocoder.evaluate.inference import CONFIDENCE

CORRECT = "right answers"
CORRECT_ELSEWHERE = "right answers, other listeners and items"
CORRECT_OF_LISTENER = "right answers of one listener"
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
        All systems of the study, in whose order pairs are named.
    """
    pairs = by_pair(answers, lambda answer: (answer.a, answer.b), systems)
    tested = [_tested(group, CORRECT, f"{one} or {other}") for (one, other), group in pairs]
    findings = with_holm(tested)
    for (_, group), finding in zip(pairs, tested, strict=True):
        right = _right(group)
        low, high = Groups.of(group).of_mean(right).share_interval(float(right.mean()))
        findings.append(
            replace(
                finding, measure=CORRECT_ELSEWHERE, low=low, high=high, test="", p=None, detail={}
            )
        )
    listeners = list(dict.fromkeys(answer.listener for answer in answers))
    if len(listeners) > 1:
        findings += with_holm(
            [
                _tested([one for one in answers if one.listener == name], CORRECT_OF_LISTENER, name)
                for name in listeners
            ]
        )
    return Analysis(question="abx", findings=tuple(findings))


def _tested(answers: Sequence[AbxAnswer], measure: str, subject: str) -> Finding:
    right = _right(answers)
    n, n_right = len(right), int(right.sum())
    # The two-sided test's: the one-sided test's own interval always ends at 1.
    interval = stats.binomtest(n_right, n, 0.5).proportion_ci(CONFIDENCE, method="wilson")
    return Finding(
        question="abx",
        measure=measure,
        subject=subject,
        **Groups.of(answers).sizes,
        value=n_right / n,
        low=float(interval.low),
        high=float(interval.high),
        test=TEST,
        p=float(stats.binomtest(n_right, n, 0.5, alternative="greater").pvalue),
        detail={"right": n_right, "heard_share": max(0.0, 2 * n_right / n - 1)},
    )


def _right(answers: Sequence[AbxAnswer]) -> np.ndarray:
    return np.array([one.is_correct for one in answers], dtype=float)
