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
TEST = "exact binomial, one-sided"


def analyse_abx(answers: Sequence[AbxAnswer], systems: Sequence[str]) -> Analysis:
    """Share of right answers for every pair of systems.

    The p-value is that of getting so many right *or more* by guessing, ``P(X >= k)``, exact. It
    holds if the number of answers was fixed before; several listeners do not make it wrong, since
    all who guess are right half of the time. The interval beside it is Wilson's, which takes
    answers for independent; a second one allows for listeners and items that differ.

    Parameters
    ----------
    systems : sequence of str
        All systems of the study, in whose order pairs are named.
    """
    findings, elsewhere = [], []
    for (one, other), group in by_pair(answers, systems):
        right = np.array([answer.is_correct for answer in group], dtype=float)
        n, n_right = len(right), int(right.sum())
        # The two-sided test's: the one-sided test's own interval always ends at 1.
        wilson = stats.binomtest(n_right, n, 0.5).proportion_ci(CONFIDENCE, method="wilson")
        groups = Groups.of(group)
        found = Finding(
            measure=CORRECT,
            subject=f"{one} or {other}",
            **groups.sizes,
            value=n_right / n,
            low=float(wilson.low),
            high=float(wilson.high),
            test=TEST,
            p=float(stats.binomtest(n_right, n, 0.5, alternative="greater").pvalue),
            detail={"right": n_right},
        )
        findings.append(found)
        low, high = groups.of_mean(right).share_interval(n_right / n)
        elsewhere.append(
            replace(
                found, measure=CORRECT_ELSEWHERE, low=low, high=high, test="", p=None, detail={}
            )
        )
    return Analysis(findings=(*with_holm(findings), *elsewhere))
