"""What is shared by everything that compares systems two by two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
Pair = tuple[str, str]


def by_pair(
    answers: Iterable[T], pair_of: Callable[[T], Pair], systems: Sequence[str]
) -> list[tuple[Pair, list[T]]]:
    """Answers by the pair they are about, whichever side was which, in the order of the study.

    Parameters
    ----------
    answers : iterable
    pair_of : callable
        The two systems of an answer.
    systems : sequence of str
        All systems of the study in its order.
    """
    rank = {system: k for k, system in enumerate(systems)}
    groups: dict[Pair, list[T]] = {}
    for answer in answers:
        first, second = sorted(pair_of(answer), key=rank.__getitem__)
        groups.setdefault((first, second), []).append(answer)
    return sorted(groups.items(), key=lambda entry: [rank[system] for system in entry[0]])
