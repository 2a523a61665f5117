"""The one exception for mistakes that a user can mend, and how many are named in one line."""

from collections.abc import Sequence

NAMED = 5  # of many faults on one line


class BadInput(ValueError):
    """Something given from outside cannot be used.

    The message is one sentence or two that state the value found, what was expected and how to
    mend it. The command line prints it as it is, without a traceback, and exits with code 2.
    """


def some_of(faults: Sequence[str], separator: str = "; ") -> str:
    """Many faults on one line: the first few, and how many more there are."""
    more = len(faults) - NAMED
    return separator.join(faults[:NAMED]) + (f"{separator}and {more} more" if more > 0 else "")
