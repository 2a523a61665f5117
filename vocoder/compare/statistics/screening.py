"""Listeners whose answers say little: found by a rule, and reported with and without them.

No rule looks at which system won, and ABX listeners are never judged by how often they were right:
that would keep those whose guesses were lucky.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from scipy import stats

from vocoder.compare.answers import (
    ANCHORS,
    REFERENCE,
    DegradationAnswer,
    MushraAnswer,
    PreferenceAnswer,
)
from vocoder.compare.statistics.findings import grouped

ANCHOR = ANCHORS[1]  # that at 7 kHz
# ITU-R BS.1534-3, 4.1.2, post-screening.
MUSHRA_LIMIT = 90.0
MUSHRA_SHARE = 0.15
MUSHRA_UNANCHORED_SHARE = 0.25
# Always or nearly always the same side: one in a thousand would do so by chance.
SIDE_ALPHA = 0.001
# Repeated trials, sides exchanged: agreement no better than guessing, over at least so many.
MIN_REPEATS = 4
CHANCE = 0.5
# The same score throughout, over at least so many trials.
MIN_CONSTANT = 8

RULES = {
    "mushra": (
        "ITU-R BS.1534-3: more than 15 % of the hidden references scored below 90, or more than "
        "15 % of the 7 kHz anchors above 90 (items whose anchor more than a quarter of the "
        "listeners scored above 90 do not count for the latter)"
    ),
    "ab": (
        "one side chosen so often that a coin would do it once in a thousand times, or repeated "
        "pairs (four or more) answered alike no more often than by guessing"
    ),
    "abx": (
        "one letter chosen so often that a coin would do it once in a thousand times; the number "
        "of right answers is never a reason"
    ),
    "dcr": "the same score in all of eight or more trials",
}


def screen(answers: Sequence[Any]) -> dict[str, str]:
    """Listeners to leave out, and why, by the rule of the question (`RULES`).

    Parameters
    ----------
    answers : sequence of Answer
        At least one, all of one question.
    """
    rules: dict[str, Callable[[list[Any]], Iterable[str]]] = {
        "mushra": partial(_mushra, unanchored=_unanchored(answers)),
        "ab": _preference,
        "abx": lambda given: _one_sided([one.choice for one in given], "a", "b"),
        "dcr": _degradation,
    }
    rule = rules[answers[0].question]
    found = {
        listener: "; ".join(rule(given))
        for listener, given in grouped(answers, lambda one: one.listener).items()
    }
    return {listener: reason for listener, reason in found.items() if reason}


def _unanchored(answers: Sequence[Any]) -> set[str]:
    """Items whose 7 kHz anchor too many found too good."""
    given = [one for one in answers if isinstance(one, MushraAnswer)]
    return {
        item
        for item, group in grouped(given, lambda one: one.item).items()
        if fmean(one.scores.get(ANCHOR, 0.0) > MUSHRA_LIMIT for one in group)
        > MUSHRA_UNANCHORED_SHARE
    }


def _mushra(given: list[MushraAnswer], unanchored: set[str]) -> Iterator[str]:
    low = [one.scores[REFERENCE] < MUSHRA_LIMIT for one in given]
    if fmean(low) > MUSHRA_SHARE:
        yield f"hidden reference below 90 in {sum(low)} of {len(low)}"
    anchored = [one for one in given if ANCHOR in one.scores and one.item not in unanchored]
    high = [one.scores[ANCHOR] > MUSHRA_LIMIT for one in anchored]
    if high and fmean(high) > MUSHRA_SHARE:
        yield f"7 kHz anchor above 90 in {sum(high)} of {len(high)}"


def _preference(given: list[PreferenceAnswer]) -> Iterator[str]:
    sides = [one.choice for one in given if one.choice != "none"]
    yield from _one_sided(sides, "left", "right")
    alike = []
    for trials in grouped(given, lambda one: (one.item, frozenset(one.systems))).values():
        first, *later = [{"left": one.left, "right": one.right}.get(one.choice) for one in trials]
        alike += [chosen == first for chosen in later]
    if len(alike) >= MIN_REPEATS and fmean(alike) <= CHANCE:
        yield f"{sum(alike)} of {len(alike)} repeated pairs answered alike"


def _degradation(given: list[DegradationAnswer]) -> Iterator[str]:
    scores = {one.score for one in given}
    if len(given) >= MIN_CONSTANT and len(scores) == 1:
        yield f"score {scores.pop()} in all {len(given)} trials"


def _one_sided(choices: Sequence[str], *sides: str) -> Iterator[str]:
    """Whether a listener's choices of a side are no chance."""
    side = max(sides, key=choices.count)
    n = choices.count(side)
    if choices and stats.binomtest(n, len(choices), 0.5).pvalue < SIDE_ALPHA:
        yield f"{side} in {n} of {len(choices)}"
