"""Images by the laws of other programs, for the tests."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from vocoder import load
from vocoder.decibels import SILENCE_DB
from vocoder.image.file import decode_image, read_image
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

SPEC = replace(load("spec", "linear512"), nyquist=True, pad_mode="constant")
RANGE: dict[str, Any] = {"db_min": -90.0, "db_max": -10.0}


def analysed(samples: np.ndarray, spec: SpectrogramSpec = SPEC) -> np.ndarray:
    """Their decibels, ``(bins, frames)``."""
    return analyse(torch.from_numpy(samples)[None], spec).decibels[0].numpy()


def grey(share):
    """Fractions of 0 to 1, low frequencies first, as an upright 8-bit image."""
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)[::-1]


def level(truth):
    return (truth + 90) / 80


def log_rows(rows):
    """480 rows from 50 Hz to Nyquist, each the spectrum at its frequency."""
    places = np.geomspace(50, 11025, 480) / 11025 * 512
    below = np.minimum(places.astype(int), 511)
    share = (places - below)[:, None]
    return (1 - share) * rows[below] + share * rows[below + 1]


def assert_same(decoded, truth, tolerance, floor_db=-89.0, ceiling_db=-10.5):
    """Where the range holds the truth, decibels agree; below it there is silence or nearly so."""
    inside = (truth > floor_db) & (truth < ceiling_db)
    assert inside.mean() > 0.1
    np.testing.assert_allclose(decoded[inside], truth[inside], atol=tolerance)
    assert decoded[truth < floor_db - 2].max(initial=SILENCE_DB) < floor_db + tolerance


def opened(path, codec, spec=SPEC):
    return decode_image(read_image(path), codec, spec).decibels


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path
