"""Which of many analyses and ranges explain a file best, without trying each with each."""

from __future__ import annotations

from vocoder.identify.laws import UNNAMED, Analysis, Range, other_hops
from vocoder.identify.own import Attempt
from vocoder.identify.trial import Trial

# Of mel bands, the right one of several hops and rates scores at most so much more than the best.
LENGTH_SHARE = 0.25
LIKELY_RANGES = 3  # of `image_ranges`, with which what is less likely is tried first
STEP_DB = 10.0


def search(
    trial: Trial, known: list[Analysis], ranges: list[Range], *, refine: bool
) -> list[Attempt]:
    """Try the ranges with the first analysis, the best of them with all others, and all ranges
    with the best analysis; then other hops."""
    found: dict[tuple[int, int], Attempt] = {}
    known, ranges = list(known), list(ranges)

    def attempt(which: int, width: int) -> float:
        if (which, width) not in found:
            score = trial.score(known[which], ranges[width])
            found[which, width] = (known[which], ranges[width], score)
        return found[which, width][2]

    def best_range(which: int) -> int:
        return min(range(len(ranges)), key=lambda width: attempt(which, width))

    which = 0
    for _ in range(2):
        width = best_range(which)
        most = attempt(which, width) * (1 + LENGTH_SHARE)
        near = [one for one in range(len(ranges)) if attempt(which, one) <= most]
        widths = {width, *(range(LIKELY_RANGES) if refine else near)}
        best = min(range(len(known)), key=lambda one: min(attempt(one, of) for of in widths))
        if best == which:
            break
        which = best
    width = best_range(which)
    if known[which].spec.kind == "linear" and known[which].placement.get("rows") != "constant_q":
        for other in other_hops(known[which]):
            known.append(other)
            attempt(len(known) - 1, width)
    if refine and (width_db := ranges[width].width_db) is not None:
        for other_db in (width_db - STEP_DB, width_db + STEP_DB):
            codec = ranges[width].codec | {"db_min": -other_db}
            ranges.append(Range(width_db=other_db, codec=codec, prior=UNNAMED))
            attempt(which, len(ranges) - 1)
    return list(found.values())
