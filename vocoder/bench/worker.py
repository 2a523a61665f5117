"""A process for every case, so that thread counts, memory and caches are its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from vocoder.bench.machine import THREAD_VARIABLES, pin
from vocoder.bench.result import Settings
from vocoder.cpu import torch_threads
from vocoder.errors import BadInput

# The function that measures each case, and the numbers of threads that it is measured with.
CASES = {
    "griffin_lim": ("vocoder.bench.inversion", "griffin_lim", (1, 2)),
    "mel_to_linear": ("vocoder.bench.inversion", "mel_to_stft", (1,)),
    "inverters": ("vocoder.bench.inversion", "inverters", (1,)),
    "road": ("vocoder.bench.road", "road", (1,)),
    "memory": ("vocoder.bench.memory", "memory", (1,)),
}


def measure(case: str, threads: int, settings: Settings) -> dict[str, Any]:
    """Measure in a process of its own, kept to as many cores as it has threads.

    It shows its progress, and what went wrong, on the same terminal.
    """
    order = json.dumps([case, threads, asdict(settings)])
    done = subprocess.run(
        [sys.executable, "-m", __name__, order],
        stdout=subprocess.PIPE,
        env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)),
        encoding="utf-8",
    )
    if done.returncode:
        raise RuntimeError(f"{case} with {threads} threads ended early")
    found: dict[str, Any] = json.loads(done.stdout)
    if "refused" in found:
        raise BadInput(found["refused"], key="case.failed")
    return {"case": case, "threads": threads, **found}


def _work(case: str, threads: int, settings: dict[str, Any]) -> dict[str, Any]:
    """The worker's side: a case's plain values, or why it was ``refused``."""
    pin(threads)  # before anything is imported that starts threads
    module, function, _ = CASES[case]
    try:
        measure_case = getattr(importlib.import_module(module), function)
        with torch_threads(threads):
            found: dict[str, Any] = measure_case(Settings(**settings), threads).to_dict()
    except BadInput as error:
        return {"refused": str(error)}
    return found


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # which the process that waits for this one tells
        sys.stdout.write(json.dumps(_work(*json.loads(sys.argv[1]))))
