"""Ctrl+C and SIGTERM at work that saves what it has before it ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AGAIN_S = 1.0  # between two interruptions that are not one


@contextmanager
def interruptible(write: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Note Ctrl+C and SIGTERM instead of ending; gives a function that says whether there was one.

    A second one ends at once. Launchers such as torchrun pass on what has arrived already, so it
    has to be `AGAIN_S` later. ``write`` shows that the first one has arrived.
    """
    times: list[float] = []
    is_told = False

    def note(number: int, frame: object) -> None:
        times.append(time.monotonic())
        if times[-1] - times[0] > AGAIN_S:
            raise KeyboardInterrupt

    def interrupted() -> bool:
        nonlocal is_told
        if times and not is_told:
            is_told = True
            write("interrupted: saving a checkpoint (once more ends without)")
        return is_told

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_interruptions(worker: int) -> None:
    """Ctrl+C reaches all processes; those that prepare examples end with the one that trains."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
