"""From speech to utterances: where to cut, so that they begin and end in pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vocoder.corpus.activity import Activity
from vocoder.corpus.spans import Span, intersect, merge, subtract, total_s
from vocoder.errors import expect

SILENCE, OTHERS, SHORT = "silence", "other speakers", "too short"
# Where labels say that others speak, so much more on both sides is left out: labels are not exact.
GUARD_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How speech is cut into utterances."""

    min_s: float = 1.0  # length of an utterance, margins included
    max_s: float = 12.0
    max_pause_s: float = 0.5  # longer pauses are cut out
    # Kept before and after: quiet beginnings and reverberation are speech too.
    margin_s: float = 0.1

    def __post_init__(self) -> None:
        expect(
            0 <= self.margin_s <= self.max_pause_s / 2,
            "cut.margin_s",
            self.margin_s,
            f"0 to {self.max_pause_s / 2}, half of max_pause_s, so that utterances do not overlap",
        )
        expect(
            2 * self.margin_s < self.min_s <= self.max_s / 2,
            "cut.min_s",
            self.min_s,
            f"more than two margins of {self.margin_s} s, and at most half of max_s={self.max_s}",
        )


def cut(
    activity: Activity,
    length_s: float,
    settings: Cut,
    wanted: Sequence[Span] | None = None,
    others: Sequence[Span] = (),
) -> tuple[list[Span], dict[str, float]]:
    """Cut a recording into utterances.

    Parameters
    ----------
    activity : Activity
        When anybody speaks.
    wanted : sequence of Span, optional
        When the wanted speaker speaks, merged; at any time if not given.
    others : sequence of Span
        When others do, merged. What overlaps goes to them.

    Returns
    -------
    spans : list of Span
        In order of time, without overlap.
    left_out_s : dict
        Seconds that became no utterance, by reason.
    """
    inside = everything = [Span(0.0, length_s)]
    if wanted is not None:
        # A speaker's own short pauses between two labels are the speaker's; so is what a label
        # that ends in the midst of a word misses by little.
        widened = (Span(a - settings.margin_s, b + settings.margin_s) for a, b in wanted)
        inside = intersect(merge(widened, settings.max_pause_s), everything)
    guarded = merge(Span(max(a - GUARD_S, 0.0), b + GUARD_S) for a, b in others)
    rooms = subtract(inside, guarded, length_s)

    spans: list[Span] = []
    short_s = 0.0
    for room in rooms:
        for stretch in merge(intersect(activity.speech, [room]), settings.max_pause_s):
            start_s = max(stretch.start_s - settings.margin_s, room.start_s)
            end_s = min(stretch.end_s + settings.margin_s, room.end_s)
            for piece in _split(Span(start_s, end_s), activity, settings):
                if piece.length_s >= settings.min_s:
                    spans.append(piece)
                else:
                    short_s += piece.length_s
    return spans, {
        OTHERS: length_s - total_s(rooms),
        SHORT: short_s,
        SILENCE: total_s(rooms) - total_s(spans) - short_s,
    }


def _split(span: Span, activity: Activity, settings: Cut) -> list[Span]:
    """Cut at the quietest moments, so that every piece is short enough."""
    pieces = []
    while span.length_s > settings.max_s:
        # Rather late, so that pieces are long, but so that the rest is long enough too.
        earliest = span.start_s + settings.max_s / 2
        latest = min(span.start_s + settings.max_s, span.end_s - settings.min_s)
        where_s = min(max(activity.quietest_s(Span(earliest, latest)), earliest), latest)
        pieces.append(Span(span.start_s, where_s))
        span = Span(where_s, span.end_s)
    return [*pieces, span]
