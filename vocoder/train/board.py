"""What a training shows while it goes on: curves, sounds and pictures, for TensorBoard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from vocoder.errors import BadInput


class Board:
    """A TensorBoard writer, open in a ``with`` block, that says in a line when the disk is full.

    Its thread keeps an error of the disk and raises it at any later call, closing included; that
    must not hide what ended a training.

    Parameters
    ----------
    folder : Path
    step : int
        The first to be written; what the folder has of this and later steps is hidden.

    Raises
    ------
    BadInput
        TensorBoard is not installed, or the folder cannot be written; so do all methods.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._folder, self._step = folder, step

    def __enter__(self) -> Board:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise BadInput(
                "training needs the package tensorboard; install it with "
                "pip install 'vocoder[train]'"
            ) from error
        with ExitStack() as stack:
            stack.enter_context(_quiet_thread())
            with self._told():
                self._writer: Any = SummaryWriter(str(self._folder), purge_step=self._step)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._open, suppress(BadInput) if error else nullcontext():
            self.close()

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """A point of a curve."""
        with self._told():
            self._writer.add_scalar(name, value, step)

    def add_audio(self, name: str, sound: Tensor, step: int, sample_rate: int) -> None:
        """``(1, samples)``, -1 to 1."""
        with self._told():
            self._writer.add_audio(name, sound, step, sample_rate)

    def add_grey(self, name: str, picture: np.ndarray, step: int) -> None:
        """``(rows, columns)``, uint8."""
        with self._told():
            self._writer.add_image(name, picture, step, dataformats="HW")

    def close(self) -> None:
        """Write what is left."""
        with self._told():
            self._writer.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or error
            raise BadInput(f"cannot write the curves in {self._folder}: {why}") from error


@contextmanager
def _quiet_thread() -> Iterator[None]:
    """Keep errors of TensorBoard's thread off the screen: whoever calls it is told them."""
    told = threading.excepthook

    def hook(failure: threading.ExceptHookArgs) -> None:
        if not _is_writer(failure.thread):
            told(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if _is_writer(thread) and getattr(thread, "exception", None):
                thread.join()  # it has failed and is about to say so
        threading.excepthook = told


def _is_writer(thread: threading.Thread | None) -> bool:
    return type(thread).__module__.startswith("tensorboard.")
