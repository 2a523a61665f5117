"""What is said when the memory is not enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vocoder.errors import BadInput

# What PyTorch's allocator says on a CPU, in a plain RuntimeError.
_ON_CPU = "DefaultCPUAllocator"


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Tell the user what to do when a GPU or the machine runs out of memory.

    Parameters
    ----------
    advice : str
        Settings that need less.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is one of the latter
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not known and _ON_CPU not in str(error):
            raise
        reason = str(error).partition("\n")[0]
        raise BadInput(f"not enough memory ({reason}); {advice}", key="memory.short") from error
