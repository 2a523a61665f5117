"""Timing things against each other, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tqdm import trange

from vocoder.bench.result import Row


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Something to be timed.

    Parameters
    ----------
    work : callable
        Timed; takes the number of the repetition, which may serve as a seed.
    measure : callable
        Measures of what ``work`` returned; not timed.
    audio_s : float or None
        Length of the audio that it makes.
    """

    name: str
    work: Callable[[int], Any]
    measure: Callable[[Any], dict[str, float]] = lambda made: {}
    audio_s: float | None = None


def race(contestants: Sequence[Contestant], repetitions: int) -> list[Row]:
    """Time every contestant so many times, taking turns, after one run each that doesn't count.

    The first run compiles, allocates and fills caches. Results are judged after the race: the
    threads of NumPy's BLAS go on spinning for a while, on a core that the next one needs.
    """
    times: list[list[float]] = [[] for _ in contestants]
    results: list[list[Any]] = [[] for _ in contestants]
    for repetition in trange(repetitions + 1, unit="round", disable=None):
        for index, contestant in enumerate(contestants):
            started = time.perf_counter()
            made = contestant.work(repetition)
            elapsed_s = time.perf_counter() - started
            if repetition > 0:
                times[index].append(elapsed_s)
                results[index].append(made)
    rows = []
    for contestant, times_s, made in zip(contestants, times, results, strict=True):
        measures = [contestant.measure(one) for one in made]
        rows.append(
            Row(
                name=contestant.name,
                times_s=times_s,
                audio_s=contestant.audio_s,
                measures={name: median(one[name] for one in measures) for name in measures[0]},
            )
        )
    return rows
