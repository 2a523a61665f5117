"""A process for every case, so that thread counts, memory and caches are its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from vocoder.bench.machine import THREAD_VARIABLES, pin
from vocoder.bench.result import Settings, Tick
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
_ERROR_TAIL = 4000


@dataclass(frozen=True)
class Job:
    """A case with a number of threads."""

    case: str
    threads: int


def jobs(cases: list[str]) -> list[Job]:
    """The jobs of some of the `CASES`."""
    return [Job(case, threads) for case in cases for threads in CASES[case][2]]


def measure(job: Job, settings: Settings, tick: Tick) -> dict[str, Any]:
    """Measure in a process of its own, kept to as many cores as it has threads.

    Raises
    ------
    BadInput
        Something in ``settings`` cannot be used.
    """
    order = json.dumps({"job": asdict(job), "settings": asdict(settings)})
    threads = dict.fromkeys(THREAD_VARIABLES, str(job.threads))
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(
            [sys.executable, "-m", __name__, order],
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **threads},
            encoding="utf-8",
        ) as process,
    ):
        try:
            result = _listen(process, tick)
        except BaseException:
            process.kill()
            raise
        if result is None:
            process.wait()
            errors.seek(0)
            raise RuntimeError(f"{job} ended early:\n{errors.read()[-_ERROR_TAIL:]}")
    return result


def _listen(process: subprocess.Popen[str], tick: Tick) -> dict[str, Any] | None:
    """Follow a worker's lines up to its result, or to its end without one."""
    for line in process.stdout or ():
        [(kind, value)] = json.loads(line).items()
        if kind == "done":
            tick(value)
        elif kind == "refused":
            raise BadInput(value, key="case.failed")
        else:
            result: dict[str, Any] = value
            return result
    return None


def _work(order: dict[str, Any]) -> None:
    """The worker's side: one line of JSON for every step, the last with the result."""
    job = Job(**order["job"])
    pin(job.threads)  # before anything is imported that starts threads
    module, function, _ = CASES[job.case]

    def say(kind: str, value: Any) -> None:
        print(json.dumps({kind: value}), file=sys.__stdout__, flush=True)

    try:
        measure_case = getattr(importlib.import_module(module), function)
        settings = Settings(**order["settings"])
        with torch_threads(job.threads):
            say("result", measure_case(settings, job.threads, lambda part: say("done", part)))
    except BadInput as error:
        say("refused", str(error))


if __name__ == "__main__":
    _work(json.loads(sys.argv[1]))
