"""The one exception for mistakes that a user can mend, and how many are named in one line."""

from collections.abc import Sequence

NAMED = 5  # of many faults on one line


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

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


def some_of(faults: Sequence[str], separator: str = "; ") -> str:
    """Many faults on one line: the first few, and how many more there are."""
    more = len(faults) - NAMED
    return separator.join(faults[:NAMED]) + (f"{separator}and {more} more" if more > 0 else "")
