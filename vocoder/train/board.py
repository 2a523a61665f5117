"""What a training shows while it goes on: curves, sounds and pictures, for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from vocoder.errors import BadInput


class Board:
    """A TensorBoard writer that says in a line when the disk is full.

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
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise BadInput(
                "training needs the package tensorboard; install it with "
                "pip install 'vocoder[train]'"
            ) from error
        self._folder = folder
        with self._told():
            self._writer: Any = SummaryWriter(str(folder), purge_step=step)

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(BadInput) if error else nullcontext():
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
            raise BadInput(f"cannot write the curves in {self._folder}: {error}") from error
