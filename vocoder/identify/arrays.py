"""What the numbers of an array may be: by how they lie, and by where they end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vocoder.identify.laws import RARE, UNNAMED, Analysis, Range, analyses, is_usual
from vocoder.identify.look import View

NEAR = 2e-3
MAX_LOG1P = 25.0  # of arrays; more are no logarithms
MAX_WIDTH_DB = 300.0  # that logarithms above 0 go through
STANDARD = 0.01  # how near to 0 and 1 mean and deviation are that were taken off
BRIGHT = 200.0  # of 255 levels, that some pixel reaches
FLOORS = (1e-5, 1e-7, 1e-4, 1e-6, 1e-8, 1e-9, 1e-10)
MAX_BANDS = 2049


def array_analyses(rows: int, columns: int) -> Iterator[tuple[bool, list[Analysis]]]:
    """Whether frames come first, and the analyses with so many bands then."""
    for transposed, n_bands, n_frames in ((False, rows, columns), (True, columns, rows)):
        if is_usual(n_bands) or (n_bands <= MAX_BANDS and not is_usual(n_frames)):
            yield transposed, analyses(n_bands)


def array_ranges(view: View, power: float) -> list[Range]:
    """What the numbers may be, where they came from magnitudes or powers.

    Laws that leave a mark, such as a floor that the numbers stand at, come alone.
    """
    low, high = view.low or 0.0, view.high or 0.0
    per_decade = 20 / power
    span = high - low

    def of(db_per_unit: float, codec: dict[str, Any], prior: float = 1.0) -> Range:
        return Range(width_db=span * db_per_unit, codec=codec, prior=prior)

    if abs(view.mean) < STANDARD and abs(view.deviation - 1) < STANDARD:  # of the file itself
        return _scaled(low, high, span)
    one: dict[str, Any] = {"reference": "one"}
    ln = {"unit": "ln"} | one
    for floor in FLOORS:
        if math.isclose(low, math.log(floor), abs_tol=NEAR):
            return [of(per_decade / math.log(10), ln | {"min": round(math.log(floor), 6)})]
    if math.isclose(span, 2, abs_tol=NEAR) and power == 2 and high < 3:  # (log10 + 4) / 4
        whisper = {"unit": "log10", "min": -10.0, "mean": -4.0, "deviation": 4.0, "top_db": 80.0}
        return [of(40.0, one | whisper)]
    found = [
        of(per_decade / math.log(10), ln | {"min": _down(low)}, UNNAMED),
        of(per_decade, {"unit": "log10"} | one | {"min": max(-10.0, _down(low))}),
    ]
    if low >= -NEAR:
        found = [one_range for one_range in found if (one_range.width_db or 0.0) < MAX_WIDTH_DB]
        if high <= 1 + NEAR:
            found += [
                of(100.0, one | {"db_min": -80.0, "db_max": 20.0, "at_min": 0.0, "at_max": 1.0})
            ]
            found += _scaled(0.0, 1.0, span)
        elif BRIGHT <= high <= 255:  # pixels
            found += _scaled(0.0, 255.0, span)
        found.append(Range(exponent=1.0, codec={"unit": "linear"} | one))
        if high < MAX_LOG1P:
            found.append(Range(log1p_max=high, codec={"unit": "log1p"} | one, prior=UNNAMED))
    elif -1 - NEAR <= low < -0.5 and high <= 1 + NEAR:
        found += _scaled(-1.0, 1.0, span)
    elif -4 - NEAR <= low < -2 and 0 < high <= 4 + NEAR:
        found += _scaled(-4.0, 4.0, span)
    if span > 25:
        # Decibels of whole numbers are above 0, as the upper end has to be then.
        upper = {"db_max": float(math.ceil(high))} if low >= -NEAR else {}
        found.append(of(1.0, one | {"db_min": _down(low)} | upper))
    if low < 0 < high and span < 12:  # mean and deviation taken off
        found += [replace(one, prior=RARE * one.prior) for one in _scaled(low, high, span)]
    return found


def _scaled(at_min: float, at_max: float, span: float) -> list[Range]:
    share = span / (at_max - at_min)
    return [
        Range(
            width_db=width * share,
            codec={
                "reference": "max",
                "db_min": -float(width),
                "db_max": 0.0,
                "at_min": at_min,
                "at_max": at_max,
            },
            prior=1.0 if width in (80, 100) else UNNAMED,
        )
        for width in (60, 70, 80, 90, 100, 110, 120)
    ]


def _down(value: float) -> float:
    return math.floor(value * 10) / 10
