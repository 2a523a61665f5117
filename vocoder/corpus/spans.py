"""Arithmetic on stretches of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of a recording, in seconds from its beginning."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


def merge(spans: Iterable[Span], gap_s: float = 0.0) -> list[Span]:
    """Sort, and join what overlaps or lies ``gap_s`` or less apart."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start_s - merged[-1].end_s <= gap_s:
            merged[-1] = Span(merged[-1].start_s, max(merged[-1].end_s, span.end_s))
        else:
            merged.append(span)
    return merged


def intersect(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """What lies in a span of both lists, each of them merged."""
    common = []
    i = j = 0
    while i < len(one) and j < len(other):
        span = Span(max(one[i].start_s, other[j].start_s), min(one[i].end_s, other[j].end_s))
        if span.length_s > 0:
            common.append(span)
        if one[i].end_s < other[j].end_s:
            i += 1
        else:
            j += 1
    return common


def subtract(one: Sequence[Span], other: Sequence[Span], length_s: float) -> list[Span]:
    """What lies in ``one`` but in no span of ``other``, each merged, within ``length_s``."""
    edges = [0.0, *(edge for span in other for edge in span), length_s]
    free = [Span(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
    return intersect(one, free)


def total_s(spans: Iterable[Span]) -> float:
    """Length of all together."""
    return sum(span.length_s for span in spans)
