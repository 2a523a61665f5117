"""The machine that was measured on, and a process's memory."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vocoder.cpu import usable_cores

_PACKAGES = ("vocoder", "torch", "librosa", "numpy", "scipy")
# Who reads how many threads to start, before they are imported.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_MEMORY_TABLE = Path("/proc/self/status")


def machine() -> dict[str, Any]:
    """Processor, usable cores, how busy they are, and versions."""
    return {
        "cpu": _cpu(),
        "cores": len(usable_cores()),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _cpu() -> str:
    table = Path("/proc/cpuinfo")
    text = table.read_text(encoding="utf-8") if table.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def pin(n_cores: int) -> None:
    """Keep this process, and threads that it starts from now on, to so many cores, if it can be."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, usable_cores()[:n_cores])


def memory_mb() -> tuple[float, float]:
    """Memory that this process holds now and that it held at most, in MB (a million bytes).

    Linux's table is preferred to ``getrusage``, whose maximum includes the process that this one
    was forked from. Elsewhere the maximum stands for both.
    """
    if _MEMORY_TABLE.exists():
        text = _MEMORY_TABLE.read_text(encoding="utf-8")
        now, most = (
            int(re.findall(rf"^{name}:\s*(\d+) kB$", text, flags=re.MULTILINE)[0]) * 1024
            for name in ("VmRSS", "VmHWM")
        )
        return now / 1e6, most / 1e6
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return most / 1e6, most / 1e6
