"""The cores of this machine that are ours, and the threads of torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use; in a container fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def torch_threads(number: int = 1) -> Iterator[None]:
    """Let torch use so many threads in a block, whatever the process has set.

    One unless cores are known to be idle: two that wait for each other on busy cores took ten
    times as long for a training step, and fifty times for the spectrogram of one image.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
