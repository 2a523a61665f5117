"""One thread is fastest for networks as small as these, and curves are kept in memory."""

import numpy as np
import pytest
import torch

from vocoder.train import loop


class Curves:
    """Curves in memory; TensorBoard takes seconds to import."""

    def __init__(self) -> None:
        self.scalars: list[tuple[str, float, int]] = []
        self.closed = False

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def add_audio(self, *_: object) -> None:
        pass

    add_image = add_audio

    def __enter__(self) -> "Curves":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch) -> Curves:
    curves = Curves()
    monkeypatch.setattr(loop, "Curves", lambda folder, step: curves)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    return curves


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """For every test of the package."""


@pytest.fixture(scope="package")
def true(speech: np.ndarray) -> torch.Tensor:
    """Two pieces of a real line, ``(2, samples)``."""
    return torch.from_numpy(np.stack([speech[10_000:26_384], speech[30_000:46_384]]))
