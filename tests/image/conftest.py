"""Real speech as the project's own spectrograms show it."""

import numpy as np
import pytest
import torch

from vocoder import load
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse


@pytest.fixture(scope="session")
def mel256() -> SpectrogramSpec:
    spec: SpectrogramSpec = load("spec", "mel256")
    return spec


@pytest.fixture(scope="session")
def decibels(speech: np.ndarray, mel256: SpectrogramSpec) -> np.ndarray:
    return analyse(torch.from_numpy(speech)[None], mel256).decibels[0].numpy()
