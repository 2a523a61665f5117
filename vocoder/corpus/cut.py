"""From speech to clips: where to cut, so that clips begin and end in pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vocoder.corpus.activity import Activity
from vocoder.corpus.spans import Span, intersect, merge, subtract, total_s
from vocoder.errors import BadInput

SILENCE, OTHERS, SHORT = "silence", "other speakers", "too short"
# Where labels say that others speak, so much more on both sides is left out: labels are not exact.
GUARD_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How speech is cut into clips.

    Parameters
    ----------
    shortest_s, longest_s : float
        Of clips, margins included.
    longest_pause_s : float
        Pauses up to this stay in a clip; longer ones are cut out.
    margin_s : float
        Kept before and after the speech, since quiet beginnings and reverberation are speech too.

    Raises
    ------
    BadInput
        The lengths contradict each other.
    """

    shortest_s: float = 1.0
    longest_s: float = 12.0
    longest_pause_s: float = 0.5
    margin_s: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.margin_s <= self.longest_pause_s / 2:
            raise BadInput(
                f"margin is {self.margin_s} s; expected 0 to {self.longest_pause_s / 2} s, half "
                "the longest pause that is kept, so that clips do not overlap"
            )
        if not 2 * self.margin_s < self.shortest_s <= self.longest_s / 2:
            raise BadInput(
                f"clips of {self.shortest_s} to {self.longest_s} s; expected the shortest to be "
                f"more than two margins of {self.margin_s} s, and at most half the longest"
            )


@dataclass(frozen=True)
class Cuts:
    """The clips of a recording, and what of it became none.

    Parameters
    ----------
    spans : list of Span
        In order of time, without overlap.
    left_out_s : dict
        Seconds by reason.
    """

    spans: list[Span]
    left_out_s: dict[str, float]


def cut(
    activity: Activity,
    total_length_s: float,
    settings: Cut,
    wanted: Sequence[Span] | None = None,
    others: Sequence[Span] = (),
) -> Cuts:
    """Cut a recording into clips of speech.

    Parameters
    ----------
    activity : Activity
        When anybody speaks.
    total_length_s : float
        Of the recording.
    settings : Cut
    wanted : sequence of Span, optional
        When the wanted speaker speaks, merged; at any time if not given.
    others : sequence of Span
        When others do, merged. What overlaps goes to them.

    Returns
    -------
    Cuts
    """
    everything = [Span(0.0, total_length_s)]
    inside = everything
    if wanted is not None:
        # A speaker's own short pauses between two labels are the speaker's; so is what a label
        # that ends in the midst of a word misses by little.
        widened = (Span(a - settings.margin_s, b + settings.margin_s) for a, b in wanted)
        inside = intersect(merge(widened, settings.longest_pause_s), everything)
    guarded = merge(Span(max(a - GUARD_S, 0.0), b + GUARD_S) for a, b in others)
    rooms = subtract(inside, guarded, total_length_s)

    spans: list[Span] = []
    short_s = 0.0
    for room in rooms:
        speech = merge(intersect(activity.speech, [room]), settings.longest_pause_s)
        for stretch in speech:
            start_s = max(stretch.start_s - settings.margin_s, room.start_s)
            end_s = min(stretch.end_s + settings.margin_s, room.end_s)
            for piece in _split(Span(start_s, end_s), activity, settings):
                if piece.length_s >= settings.shortest_s:
                    spans.append(piece)
                else:
                    short_s += piece.length_s
    left_out = {
        OTHERS: total_length_s - total_s(rooms),
        SHORT: short_s,
        SILENCE: total_s(rooms) - total_s(spans) - short_s,
    }
    return Cuts(spans, left_out)


def _split(span: Span, activity: Activity, settings: Cut) -> list[Span]:
    """Cut at the quietest moments, so that every piece is short enough."""
    pieces = []
    while span.length_s > settings.longest_s:
        # Rather late, so that clips are long, but so that the rest is long enough too.
        earliest = span.start_s + settings.longest_s / 2
        latest = min(span.start_s + settings.longest_s, span.end_s - settings.shortest_s)
        where_s = min(max(activity.quietest_s(Span(earliest, latest)), earliest), latest)
        pieces.append(Span(span.start_s, where_s))
        span = Span(where_s, span.end_s)
    return [*pieces, span]
