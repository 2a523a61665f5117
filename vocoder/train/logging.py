"""What a training shows while it goes on: a progress bar, and TensorBoard's curves."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from vocoder.errors import BadInput

LOG_EVERY_S = 60.0  # between two states of the progress bar where nobody watches: in a log


class Progress:
    """A bar of steps for whoever watches, and now and then a line for a log.

    The time of validations and checkpoints counts in no speed.
    """

    def __init__(self, total: int, done: int, *, enabled: bool) -> None:
        self._watched = sys.stderr.isatty()
        fastest, slowest = (0.1, 10.0) if self._watched else (LOG_EVERY_S, LOG_EVERY_S)
        self._bar = tqdm(
            total=total,
            initial=done,
            unit="step",
            disable=not enabled,
            mininterval=fastest,
            maxinterval=slowest,
        )
        self._steps, self._since = 0, time.perf_counter()
        self._waiting: list[str] | None = None  # what is to be written after a pause

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def step(self, loss: float) -> None:
        """Count a step and show its loss at the next update."""
        self._steps += 1
        self._bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
        self._bar.update()

    def steps_per_second(self) -> float:
        """Speed since this was asked last."""
        now = time.perf_counter()
        speed = self._steps / max(now - self._since, 1e-9)
        self._steps, self._since = 0, now
        return speed

    @contextmanager
    def pause(self, doing: str) -> Iterator[None]:
        """Do something else than steps."""
        began, self._waiting = time.time(), []
        self._bar.set_description_str(doing, refresh=self._watched)
        try:
            yield
        finally:
            took = time.time() - began
            self._since += took
            if not self._bar.disable:
                self._bar.start_t += took
                self._bar.last_print_t += took
            self._bar.set_description_str("", refresh=False)
            waiting, self._waiting = self._waiting, None
            for text in waiting or ():
                self.write(text)

    def write(self, text: str) -> None:
        """A line above the bar, which is drawn anew: after a pause, whose time it would count."""
        if self._waiting is None:
            self._bar.write(text)
        else:
            self._waiting.append(text)


class Curves:
    """A TensorBoard writer, open in a ``with`` block, that says in a line when the disk is full.

    Its thread keeps an error of the disk and raises it at any later call, closing included; that
    must not hide what ended a training.

    Parameters
    ----------
    step : int
        The first to be written; what the folder has of this and later steps is hidden.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder, self._step = folder, step

    def __enter__(self) -> Curves:
        SummaryWriter = summary_writer()
        with ExitStack() as stack:
            stack.enter_context(_quiet_thread())
            with self._writing():
                self._writer: Any = SummaryWriter(str(self._folder), purge_step=self._step)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._open, suppress(BadInput) if error else nullcontext(), self._writing():
            self._writer.close()

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """A point of a curve."""
        with self._writing():
            self._writer.add_scalar(name, value, step)

    def add_audio(self, name: str, waveform: Tensor, step: int, sample_rate: int) -> None:
        """``(1, samples)``, -1 to 1."""
        with self._writing():
            self._writer.add_audio(name, waveform, step, sample_rate)

    def add_image(self, name: str, pixels: np.ndarray, step: int) -> None:
        """``(rows, columns)``, uint8."""
        with self._writing():
            self._writer.add_image(name, pixels, step, dataformats="HW")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BadInput(
                f"cannot write the curves in {self._folder}: {error.strerror or error}",
                key="output.unwritable",
            ) from error


def summary_writer() -> Any:
    """TensorBoard's class, which an extra installs."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BadInput(
            "training needs the package tensorboard; install it with pip install 'vocoder[train]'",
            key="train.extra",
        ) from error
    return SummaryWriter


@contextmanager
def _quiet_thread() -> Iterator[None]:
    """Keep errors of TensorBoard's thread off the screen: whoever calls it is told them."""
    usual = threading.excepthook

    def hook(failure: threading.ExceptHookArgs) -> None:
        if not _is_writer(failure.thread):
            usual(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if _is_writer(thread) and getattr(thread, "exception", None):
                thread.join()  # it has failed and is about to say so
        threading.excepthook = usual


def _is_writer(thread: threading.Thread | None) -> bool:
    return type(thread).__module__.startswith("tensorboard.")
