"""Listeners whose answers say little: found by a rule, and reported with and without them.

No rule looks at which system won, and ABX listeners are never judged by how often they were right:
that would keep those whose guesses were lucky.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from scipy import stats

from vocoder.compare.answers import (
    ANCHORS,
    REFERENCE,
    AbxAnswer,
    Answer,
    DegradationAnswer,
    MushraAnswer,
    PreferenceAnswer,
)

A = TypeVar("A", bound=Answer)

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


def screen(answers: Sequence[Answer]) -> dict[str, str]:
    """Listeners to leave out, and why, by the rule of the question (`RULES`).

    Parameters
    ----------
    answers : sequence of Answer
        Of one question.
    """
    found: dict[str, str] = {}
    for listener, reason in [
        *_mushra([one for one in answers if isinstance(one, MushraAnswer)]),
        *_preference([one for one in answers if isinstance(one, PreferenceAnswer)]),
        *_abx([one for one in answers if isinstance(one, AbxAnswer)]),
        *_degradation([one for one in answers if isinstance(one, DegradationAnswer)]),
    ]:
        found[listener] = f"{found[listener]}; {reason}" if listener in found else reason
    return found


def _mushra(answers: Sequence[MushraAnswer]) -> Iterable[tuple[str, str]]:
    anchor = ANCHORS[1]
    unanchored = {
        item
        for item, group in _by(answers, lambda answer: answer.item).items()
        if _share(one.scores.get(anchor, 0.0) > MUSHRA_LIMIT for one in group)
        > MUSHRA_UNANCHORED_SHARE
    }
    for listener, group in _by(answers, lambda answer: answer.listener).items():
        low = [one.scores[REFERENCE] < MUSHRA_LIMIT for one in group]
        if _share(low) > MUSHRA_SHARE:
            yield listener, f"hidden reference below 90 in {sum(low)} of {len(low)}"
        high = [
            one.scores[anchor] > MUSHRA_LIMIT
            for one in group
            if anchor in one.scores and one.item not in unanchored
        ]
        if high and _share(high) > MUSHRA_SHARE:
            yield listener, f"7 kHz anchor above 90 in {sum(high)} of {len(high)}"


def _preference(answers: Sequence[PreferenceAnswer]) -> Iterable[tuple[str, str]]:
    for listener, group in _by(answers, lambda answer: answer.listener).items():
        sides = [one.choice for one in group if one.choice != "none"]
        if reason := _one_sided(sides, "left", "right"):
            yield listener, reason
        repeats = _by(group, lambda answer: (answer.item, frozenset((answer.left, answer.right))))
        alike = []
        for trials in repeats.values():
            chosen = [_chosen(one) for one in trials]
            alike += [later == chosen[0] for later in chosen[1:]]
        if len(alike) >= MIN_REPEATS and _share(alike) <= CHANCE:
            yield listener, f"{sum(alike)} of {len(alike)} repeated pairs answered alike"


def _abx(answers: Sequence[AbxAnswer]) -> Iterable[tuple[str, str]]:
    for listener, group in _by(answers, lambda answer: answer.listener).items():
        if reason := _one_sided([one.choice for one in group], "a", "b"):
            yield listener, reason


def _degradation(answers: Sequence[DegradationAnswer]) -> Iterable[tuple[str, str]]:
    for listener, group in _by(answers, lambda answer: answer.listener).items():
        scores = {one.score for one in group}
        if len(group) >= MIN_CONSTANT and len(scores) == 1:
            yield listener, f"score {scores.pop()} in all {len(group)} trials"


def _one_sided(choices: Sequence[str], first: str, second: str) -> str:
    """Why a listener's choices of a side are no chance; empty if they may be."""
    n = sum(choice == first for choice in choices)
    if not choices or stats.binomtest(n, len(choices), 0.5).pvalue >= SIDE_ALPHA:
        return ""
    side, n = (first, n) if 2 * n > len(choices) else (second, len(choices) - n)
    return f"{side} in {n} of {len(choices)}"


def _chosen(answer: PreferenceAnswer) -> str:
    return {"left": answer.left, "right": answer.right, "none": ""}[answer.choice]


def _share(values: Iterable[bool]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _by(answers: Iterable[A], key: Callable[[A], object]) -> Mapping[str, list[A]]:
    groups: dict[str, list[A]] = {}
    for answer in answers:
        groups.setdefault(key(answer), []).append(answer)  # type: ignore[arg-type]
    return groups
