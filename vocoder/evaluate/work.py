"""Measuring every file, over processes of one thread each."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from vocoder.audio import read_audio, read_info
from vocoder.errors import BadInput
from vocoder.evaluate.metrics.measure import ALONE, PICTURE, Pair, take
from vocoder.evaluate.metrics.perceptual import dnsmos
from vocoder.evaluate.metrics.spectral import picture_distance_db
from vocoder.evaluate.pairing import Job
from vocoder.evaluate.reference import MEASURED_S
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import Spectrogram

# Threads of several processes that share the cores wait for one another in busy loops.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass
class Measured:
    """What was found of one sound of one system.

    Parameters
    ----------
    utterance, system : str
    path : str
    seconds : float
        Its length.
    values : dict of str to float
        By the names of `vocoder.evaluate.metrics.COLUMNS`; what could not be taken is not there.
    length_difference_s, delay_s : float or None
        How much longer, and how late, it was than the reference.
    inverted : bool or None
        Whether its polarity was turned over against the reference.
    problems : dict of str to str
        What could not be taken, or ``file`` for all of it, and why.
    """

    utterance: str
    system: str
    path: str
    seconds: float = 0.0
    values: dict[str, float] = field(default_factory=dict)
    length_difference_s: float | None = None
    delay_s: float | None = None
    inverted: bool | None = None
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A job and how to do it.

    Parameters
    ----------
    job : Job
    names : tuple of str
        Keys of `vocoder.evaluate.metrics.MEASURES`.
    alone : bool
        Whether to rate sounds without any reference.
    sample_rate : int or None
        To convert everything to; ``None`` where sound and reference must have the same.
    """

    job: Job
    names: tuple[str, ...]
    alone: bool
    sample_rate: int | None


def measure_all(tasks: Sequence[Task], workers: int) -> Iterator[list[Measured]]:
    """Do all tasks, in the order in which they are finished.

    Parameters
    ----------
    tasks : sequence of Task
    workers : int
        Processes; with one, all is done in this.

    Raises
    ------
    BadInput
        A process died.
    """
    if workers == 1:
        yield from map(measure_job, tasks)
        return
    with (
        _environment(dict.fromkeys(_ONE_THREAD, "1")),
        ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker) as pool,
    ):
        pending = [pool.submit(measure_job, task) for task in tasks]
        try:
            for done in as_completed(pending):
                yield done.result()
        except BrokenProcessPool as error:
            raise BadInput(
                "a process died, probably for want of memory; try fewer, such as workers=1"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and ends us


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def measure_job(task: Task) -> list[Measured]:
    """Measure one utterance by all systems; what goes wrong is noted in the results."""
    picture: Spectrogram | BadInput | None = None
    if task.job.picture is not None:
        try:
            picture = load_utterance(*task.job.picture).spectrogram
        except BadInput as error:
            picture = error
    results = []
    for system, path in task.job.sounds.items():
        result = Measured(task.job.utterance, system, str(path))
        try:
            info = read_info(path)
            result.seconds = info.samples / info.sample_rate
            if task.job.reference is not None:
                _compare(result, path, task.job.reference, task)
            if task.alone:
                rate = task.sample_rate or info.sample_rate
                result.values[ALONE.name] = dnsmos(_read(path, rate), rate)
        except BadInput as error:
            result.problems["file"] = str(error)
        if picture is not None:
            try:
                result.values[PICTURE.name] = _shown(path, picture, task.sample_rate)
            except BadInput as error:
                result.problems["picture"] = str(error)
        results.append(result)
    return results


def _compare(result: Measured, path: Path, reference: Path, task: Task) -> None:
    rates = [read_info(one).sample_rate for one in (reference, path)]
    if task.sample_rate is None and rates[0] != rates[1]:
        raise BadInput(
            f"it has {rates[1]} Hz, its reference {rates[0]} Hz; give sample_rate= to convert both"
        )
    rate = task.sample_rate or rates[0]
    true, sound = _read(reference, rate), _read(path, rate)
    pair = Pair(true, sound, rate)
    result.length_difference_s = (len(sound) - len(true)) / rate
    result.delay_s, result.inverted = pair.delay_s, pair.sign < 0
    result.values |= take(pair, task.names, result.problems)


def _shown(path: Path, picture: Spectrogram | BadInput, sample_rate: int | None) -> float:
    if isinstance(picture, BadInput):
        raise picture
    wanted, rate = picture.spec.sample_rate, read_info(path).sample_rate
    if sample_rate is None and rate != wanted:
        raise BadInput(f"it has {rate} Hz, its picture {wanted} Hz; give sample_rate= to convert")
    n_frames = picture.spec.n_frames(int(MEASURED_S * wanted))
    whole = picture.n_frames <= n_frames
    return picture_distance_db(
        picture if whole else picture.frames(0, n_frames), _read(path, wanted)
    )


def _read(path: Path, sample_rate: int) -> np.ndarray:
    return read_audio(path, sample_rate)[: int(MEASURED_S * sample_rate)]
