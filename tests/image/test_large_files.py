"""Large images: a bound that the user can move, and decoding in strips."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from tests.refusals import refused
from vocoder.config import load
from vocoder.image.codec import base
from vocoder.image.codec.maps import map_colours
from vocoder.image.file import read_image


@pytest.mark.parametrize(
    "codec",
    [
        load("codec", "gray8"),
        load("codec", "hue"),
        load("codec", "librosa", cmap="magma", max_db=0.0),
        load("codec", "foreign", rows="linear", seconds=4.0, reference="max"),
        load("codec", "librosa_cqt"),
    ],
    ids=lambda codec: codec.name,
)
def test_in_strips_as_in_one_piece(codec, monkeypatch):
    levels = np.random.default_rng(0).integers(0, 256, (256, 90), dtype=np.uint8)
    colours = map_colours(getattr(codec, "cmap", None) or "gray")
    pixels = levels if codec.name == "gray8" else colours[levels]
    whole = codec.decode(pixels, load("spec", "mel256"))
    monkeypatch.setattr(base, "STRIP_PIXELS", 7 * 256)
    strips = codec.decode(pixels, load("spec", "mel256"))
    np.testing.assert_allclose(strips.decibels, whole.decibels, atol=1e-4)
    if whole.distance is not None:
        assert strips.distance.mean() == pytest.approx(whole.distance.mean(), abs=1e-3)


def test_what_a_large_image_takes_to_decode(tmp_path):
    """40 million pixels are 8 bytes each in numbers, and a few MB as a spectrogram."""
    pixels = np.zeros((8000, 5000), np.uint8)
    pixels[4000:] = 128
    codec = load("codec", "foreign", rows="linear")
    tracemalloc.start()
    try:
        decoded = codec.decode(pixels, load("spec", "linear256"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert decoded.decibels.shape == (256, 5000) and decoded.decibels[0, 0] > -60
    assert peak < 4 * pixels.nbytes


def test_the_limit_of_pixels_is_the_users(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(tmp_path / "a.png")
    usual = Image.MAX_IMAGE_PIXELS
    monkeypatch.setenv("VOCODER_MAX_PIXELS", "1999")
    with refused("image.large"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv("VOCODER_MAX_PIXELS", "2000")
    assert read_image(tmp_path / "a.png").pixels.shape == (40, 50)
    monkeypatch.setenv("VOCODER_MAX_PIXELS", "many")
    with refused("image.limit"):
        read_image(tmp_path / "a.png")
    assert usual == Image.MAX_IMAGE_PIXELS
