"""Short versions of real lines."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 22_050
LINES = ("gate", "river", "stone")
CLIP_S = 0.3


def write_lines(folder: Path, lines: dict[str, np.ndarray], suffix=".wav", rate=RATE):
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in lines.items():
        soundfile.write(folder / f"{name}{suffix}", samples, rate, subtype="PCM_16")


def noisy(samples: np.ndarray, level: float) -> np.ndarray:
    noise = np.random.default_rng(3).standard_normal(len(samples))
    return np.asarray(samples + level * np.sqrt(np.mean(samples**2)) * noise)


@pytest.fixture(scope="session")
def lines(speech) -> dict[str, np.ndarray]:
    """Three stretches of a real line, each ``CLIP_S`` long, peak 0.5 or less."""
    n = int(CLIP_S * RATE)
    return {name: speech[n * k : n * (k + 1)].astype(np.float64) for k, name in enumerate(LINES)}
