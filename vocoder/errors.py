"""The one exception for mistakes that a user can mend, and how many are named in one line."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NAMED = 5  # of many faults on one line
_KINDS = ("_target_", "class")  # keys that say what an object is of


class BadInput(ValueError):
    """Something given from outside cannot be used.

    Every public function may raise it for what it is given; only surprising cases are documented.
    The command line prints the message as it is, without a traceback, and exits with code 2.

    Parameters
    ----------
    message : str
        One sentence or two: the value found, what was expected, how to fix it.
    key : str
        What is at fault and how, ``subject.fault``, for callers and tests to tell errors apart:
        the subject is the setting or the kind of file (``output``, ``inverter.n_iter``,
        ``manifest``), the fault one word (``missing``, ``exists``, ``unknown``, ``range``,
        ``type``, ``conflict``, ``damaged``, ``format``, ``extra``, …).
    """

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


def expect(ok: object, name: str, value: object, expected: str, fault: str = "range") -> None:
    """Refuse the value of a setting unless it is ``ok``; the key is ``name.fault``.

    >>> expect(0 <= 2 <= 1, "repair.strength", 2, "0 to 1")
    Traceback (most recent call last):
    vocoder.errors.BadInput: repair.strength is 2; expected 0 to 1
    """
    if not ok:
        raise BadInput(f"{name} is {value!r}; expected {expected}", key=f"{name}.{fault}")


def expect_ranges(settings: object, group: str, **ranges: tuple[float, float]) -> None:
    """Refuse attributes of an object that lie out of their ranges; both ends are allowed."""
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        expected = f"at least {low:g}" if high == math.inf else f"{low:g} to {high:g}"
        expect(low <= value <= high, f"{group}.{name}", value, expected)


def some_of(faults: Sequence[str], separator: str = "; ") -> str:
    """Many faults on one line: the first few, and how many more there are."""
    more = len(faults) - NAMED
    return separator.join(faults[:NAMED]) + (f"{separator}and {more} more" if more > 0 else "")


def differences(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Name what differs in nested plain values, such as settings, with both values.

    Of two objects of different kinds no more is told, since all else follows from it.

    >>> list(differences({"plan": {"steps": 9, "frames": 8}}, {"plan": {"steps": 9, "frames": 7}}))
    [('plan.frames', 8, 7)]
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for kind in _KINDS:
            if old.get(kind) != new.get(kind):
                before, now = (str(one.get(kind)).rpartition(".")[2] for one in (old, new))
                yield name, before, now
                return
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{name}.{key}".removeprefix("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, now) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, now, f"{name}[{index}]")
    elif old != new:
        yield name, old, new
