"""What a file probably is, for the page."""

from __future__ import annotations

from typing import Any

from vocoder.identify.identify import Reading, equals
from vocoder.identify.words import in_words
from vocoder.window.settings import parse


def described(readings: list[Reading], *, is_array: bool) -> list[dict[str, Any]]:
    """What the page shows of each, the best first."""
    n_equal = len(equals(readings))
    return [
        {
            "text": in_words(one, is_array=is_array),
            "words": " ".join(one.words),
            "values": parse(" ".join(one.words)),
            "unexplained": round(100 * one.score, 1),  # of the image, in per cent
            "equal": n_equal > 1 and place < n_equal,
        }
        for place, one in enumerate(readings)
    ]
