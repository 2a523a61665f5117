"""Measure every file, over processes of one thread each."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from vocoder.audio import constant_offset, read_audio, read_info
from vocoder.errors import BadInput
from vocoder.evaluate.alignment import Pair
from vocoder.evaluate.metrics.metric import ALONE, IMAGE, REFERENCE, Metric, take
from vocoder.evaluate.pairing import Job
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import Spectrogram

# Of longer files the beginning is measured: alignment compares all of two spectrograms.
MEASURED_S = 120.0


@dataclass
class Measured:
    """What was found of one file of one system.

    Parameters
    ----------
    seconds : float
        Its length.
    values : dict of str to float
        By column of `vocoder.evaluate.metrics.METRICS`; what could not be taken is not there.
    length_difference_s, delay_s : float or None
        How much longer, and how late, it was than the reference.
    inverted : bool or None
        Whether its polarity was the opposite of the reference's.
    offset, reference_offset : float or None
        Constants that were subtracted before measuring; full scale at 1.
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
    offset: float | None = None
    reference_offset: float | None = None
    problems: dict[str, str] = field(default_factory=dict)


def measure_all(
    jobs: Sequence[Job], metrics: Sequence[Metric], sample_rate: int | None, workers: int
) -> Iterator[list[Measured]]:
    """Measure all utterances, in the order in which they are finished.

    Parameters
    ----------
    sample_rate : int or None
        In Hz, to convert everything to; ``None`` where file and reference must have the same.
    workers : int
        Processes; with one, all is done in this.
    """
    work = partial(measure_job, metrics=metrics, sample_rate=sample_rate)
    if workers == 1:
        with _one_thread():
            yield from map(work, jobs)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker) as pool:
        pending = [pool.submit(work, job) for job in jobs]
        try:
            for done in as_completed(pending):
                yield done.result()
        except BrokenProcessPool as error:
            raise BadInput(
                "a process died, probably for want of memory; try fewer, such as workers=1",
                "workers.memory",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    _one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and ends us


def _one_thread() -> threadpool_limits:
    """Keep this process to one thread until the result is left as a context.

    Threads of several processes that share the cores wait for one another in busy loops.
    """
    import numba
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)
    return threadpool_limits(1)


def measure_job(
    job: Job, metrics: Sequence[Metric], sample_rate: int | None = None
) -> list[Measured]:
    """Measure one utterance by all systems; what goes wrong is noted in the results."""
    image: Spectrogram | BadInput | None = None
    of_image = [one for one in metrics if one.needs == IMAGE]
    if job.image is not None and of_image:
        try:
            image = load_utterance(*job.image).spectrogram
        except BadInput as error:
            image = error
    results = []
    for system, path in job.files.items():
        result = Measured(job.utterance, system, str(path))
        results.append(result)
        try:
            info = read_info(path)
            result.seconds = info.samples / info.sample_rate
            if job.reference is not None:
                _compare(result, path, job.reference, metrics, sample_rate)
            if alone := [one for one in metrics if one.needs == ALONE]:
                _rate(result, path, alone, sample_rate or info.sample_rate)
        except BadInput as error:
            result.problems["file"] = str(error)
        if image is not None:
            try:
                if isinstance(image, BadInput):
                    raise image
                _show(result, path, image, of_image, sample_rate)
            except BadInput as error:
                result.problems["image"] = str(error)
    return results


def _rate(result: Measured, path: Path, metrics: Sequence[Metric], sample_rate: int) -> None:
    """Measure a file without a reference."""
    samples = _read(path, sample_rate)
    result.offset = constant_offset(samples, sample_rate)
    samples = samples - result.offset
    result.values |= take(metrics, lambda one: one.function(samples, sample_rate), result.problems)


def _show(
    result: Measured,
    path: Path,
    image: Spectrogram,
    metrics: Sequence[Metric],
    sample_rate: int | None,
) -> None:
    """Measure a file against the image that it was made of, as much as is measured of both."""
    wanted, rate = image.spec.sample_rate, read_info(path).sample_rate
    if sample_rate is None and rate != wanted:
        raise BadInput(
            f"it has {rate} Hz, its image {wanted} Hz; give sample_rate={wanted} to convert",
            "sample_rate.conflict",
        )
    n_frames = min(image.n_frames, image.spec.n_frames(int(MEASURED_S * wanted)))
    shown, samples = image.frames(0, n_frames), _read(path, wanted)
    result.values |= take(metrics, lambda one: one.function(shown, samples), result.problems)


def _compare(
    result: Measured,
    path: Path,
    reference: Path,
    metrics: Sequence[Metric],
    sample_rate: int | None,
) -> None:
    rates = [read_info(one).sample_rate for one in (reference, path)]
    if sample_rate is None and rates[0] != rates[1]:
        raise BadInput(
            f"it has {rates[1]} Hz, its reference {rates[0]} Hz; give sample_rate={rates[1]} to "
            "convert both",
            "sample_rate.conflict",
        )
    rate = sample_rate or rates[0]
    true, degraded = _read(reference, rate), _read(path, rate)
    pair = Pair(true, degraded, rate)
    result.length_difference_s = (len(degraded) - len(true)) / rate
    result.delay_s, result.inverted = pair.delay_s, pair.inverted
    result.offset, result.reference_offset = pair.offset, pair.reference_offset
    of_pair = [one for one in metrics if one.needs == REFERENCE]
    result.values |= take(of_pair, lambda one: one.of_pair(pair), result.problems)


def _read(path: Path, sample_rate: int) -> np.ndarray:
    return read_audio(path, sample_rate, keep_offset=True)[: int(MEASURED_S * sample_rate)]
