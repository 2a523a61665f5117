"""What an analysis says, in one shape for every question: rows for tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

CONFIDENCE = 0.95  # of all intervals
ALPHA = 1 - CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One quantity that was estimated, tested or both.

    Parameters
    ----------
    question : str
        ``ab``, ``abx``, ``mushra`` or ``dcr``.
    measure : str
        What was measured, such as ``preference``.
    subject : str
        Of what: a system, or a pair as ``first over second``.
    n_answers, n_listeners, n_items : int
        What it rests on.
    value, low, high : float or None
        Estimate and its 95 % interval.
    test : str
        Which test ``p`` is of; empty without one.
    p, p_holm : float or None
        Of the test, and corrected for the number of tests in its family (Holm 1979).
    detail : mapping
        Counts and the like, by name.
    """

    question: str
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
    detail: Mapping[str, float | int | str] = field(default_factory=dict)

    @property
    def decisive_p(self) -> float | None:
        """The p-value to judge by: the corrected one if there is one."""
        return self.p if self.p_holm is None else self.p_holm

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """All findings of one question over one set of answers.

    Parameters
    ----------
    question : str
    findings : tuple of Finding
    notes : tuple of str
        What a reader has to know to judge them.
    """

    question: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def of(self, measure: str) -> list[Finding]:
        """The findings of one measure, in order."""
        return [finding for finding in self.findings if finding.measure == measure]


def with_holm(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, those with a p-value as one family corrected by Holm's method."""
    tested = [k for k, finding in enumerate(findings) if finding.p is not None]
    if len(tested) < 2:
        return list(findings)
    corrected = list(findings)
    for k, p in zip(tested, holm([findings[k].p or 0.0 for k in tested]), strict=True):
        corrected[k] = replace(findings[k], p_holm=p)
    return corrected


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values, in the given order, adjusted to bound the chance of any false alarm (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, k in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = highest
    return adjusted
