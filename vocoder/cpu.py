"""The cores of this machine that are ours, and the threads of torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_chosen: ContextVar[int] = ContextVar("threads of torch", default=1)


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use; in a container fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def torch_threads(number: int | None = None) -> Iterator[None]:
    """Let torch use so many threads in a block, whatever the process has set; a decorator, too.

    Without a number, those of the block around it, or one: two that wait for each other on busy
    cores took ten times as long for a training step, and fifty times for the spectrogram of one
    image. All that repairs and inverts chooses so; more than one pays where cores are idle:

    >>> with torch_threads(2):  # doctest: +SKIP
    ...     waveform = inverter(repair(spectrogram))
    """
    import torch

    before = torch.get_num_threads()
    token = _chosen.set(_chosen.get() if number is None else number)
    torch.set_num_threads(_chosen.get())
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _chosen.reset(token)


def stepwise_threads(function: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """Make every step of a generator function one block of `torch_threads`.

    What is done between the steps keeps its own threads.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        steps = function(*args, **kwargs)
        while True:
            with torch_threads():
                try:
                    step = next(steps)
                except StopIteration:
                    return
            yield step

    return wrapped
