"""The cores of this machine that are ours."""

from __future__ import annotations

import os


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use; in a container fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
