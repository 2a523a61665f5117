"""Real speech as the project's own spectrograms show it."""

import numpy as np
import pytest

from tests.image.laws import analysed
from vocoder import load
from vocoder.spec import SpectrogramSpec


@pytest.fixture(scope="session")
def mel256() -> SpectrogramSpec:
    spec: SpectrogramSpec = load("spec", "mel256")
    return spec


@pytest.fixture(scope="session")
def decibels(speech: np.ndarray, mel256: SpectrogramSpec) -> np.ndarray:
    return analysed(speech, mel256)


@pytest.fixture(scope="session")
def truth(speech: np.ndarray) -> np.ndarray:
    """Of laws that are about plain bins."""
    return analysed(speech)
