"""The shape in which every analysis says what it found: rows for tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from vocoder.compare.answers import Answer
from vocoder.evaluate.inference import holm

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One quantity that was estimated (with its 95 % interval), tested or both.

    Parameters
    ----------
    measure : str
        What was measured, such as ``preference``.
    subject : str
        A system, or a pair as ``first over second``.
    p, p_holm : float or None
        As tested, and corrected for the number of tests in its family (Holm 1979).
    detail : mapping
        Counts, quartiles and the like, by name.
    """

    measure: str
    subject: str
    n_answers: int
    n_listeners: int
    n_items: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    test: str = ""
    p: float | None = None
    p_holm: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def decisive_p(self) -> float | None:
        """The p-value to judge by: the corrected one if there is one."""
        return self.p if self.p_holm is None else self.p_holm


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """All findings of one question over one set of answers, and what to know to judge them."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def of(self, measure: str) -> list[Finding]:
        """The findings of one measure, in order."""
        return [finding for finding in self.findings if finding.measure == measure]


def with_holm(findings: Sequence[Finding]) -> list[Finding]:
    """Correct the p-values of one family of tests by Holm's method; a single test stays."""
    if len(findings) < 2:
        return list(findings)
    corrected = holm([finding.p or 0.0 for finding in findings])
    return [replace(one, p_holm=p) for one, p in zip(findings, corrected, strict=True)]


def grouped(values: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Values by what a key makes of them, in order of first appearance."""
    groups: dict[K, list[T]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups


def by_pair(answers: Iterable[A], systems: Sequence[str]) -> list[tuple[tuple[str, ...], list[A]]]:
    """Group answers by the pair they are about, in the order of the study's systems."""
    rank = {system: k for k, system in enumerate(systems)}
    pairs = grouped(answers, lambda answer: tuple(sorted(answer.systems, key=rank.__getitem__)))
    return sorted(pairs.items(), key=lambda entry: [rank[system] for system in entry[0]])
