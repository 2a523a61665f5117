"""Tiles of an utterance that do not belong together are told; real ones belong together."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from vocoder.errors import BadInput
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance

IMAGES = "results/tel/test_latest/images"
FIRST, SECOND, THIRD = (f"nl_m__m-obdivovat__{k:02d}" for k in range(3))


def loaded(root, **settings):
    found = ImageSource(input=root, **settings).find()
    return [load_utterance(one, found) for one in found.utterances]


def notes(root, **settings):
    return [note for one in loaded(root, **settings) for note in one.notes]


def change(root, stem, how):
    for path in root.rglob(f"{stem}_fake_B.png"):
        Image.fromarray(np.ascontiguousarray(how(np.asarray(Image.open(path))))).save(path)


@pytest.mark.parametrize("name", ["pix2pix", "pix2pix_hue", "pix2pix_windows"])
def test_real_tiles_go_on(name, generated):
    assert notes(generated.parent / name) == []
    if name == "pix2pix":
        assert notes(generated, label="real_A") == notes(generated, label="real_B") == []


@pytest.mark.parametrize("how", [lambda x: x[::-1], lambda x: x[:, ::-1], lambda x: 255 - x])
def test_a_tile_that_was_turned_is_told(copy, how):
    change(copy, SECOND, how)
    assert any(SECOND in note and FIRST in note for note in notes(copy))


def test_floating_point_pixels_of_0_to_1_are_told(copy):
    """As scikit-image and torch save them; as those of 0 to 255 they would be silence."""
    for path in copy.rglob("*_fake_B.png"):
        unit = np.asarray(Image.open(path).convert("L"), np.float32) / 255
        path.unlink()
        Image.fromarray(unit).save(path.with_suffix(".tif"))
    found = ImageSource(input=copy).find()
    for one in found.utterances:
        with pytest.raises(BadInput, match=r"go up to 0\.9"):
            load_utterance(one, found)


def test_eight_bits_that_were_stored_in_sixteen_are_what_they_were(copy):
    """As Photoshop and ImageMagick store them."""
    paths = list(copy.rglob("*_fake_B.png"))
    for path in paths:
        Image.open(path).convert("L").save(path)
    before = loaded(copy)
    for path in paths:
        Image.fromarray(np.asarray(Image.open(path), np.uint16) * 257).save(path)
    for one, other in zip(before, loaded(copy), strict=True):
        assert torch.equal(one.spectrogram.decibels, other.spectrogram.decibels)


def test_tiles_that_were_swapped_are_told(copy):
    one, other = (copy / IMAGES / f"{stem}_fake_B.png" for stem in (FIRST, SECOND))
    shutil.move(one, copy / "one")
    shutil.move(other, one)
    shutil.move(copy / "one", other)
    assert any(FIRST in note and SECOND in note for note in notes(copy))


def test_a_black_tile_is_named(copy):
    change(copy, SECOND, np.zeros_like)
    (note,) = notes(copy)
    assert SECOND in note


def test_a_whole_utterance_on_its_head_is_told_with_a_manifest(copy):
    change(copy, "*", lambda x: x[::-1])
    assert len(notes(copy)) == 3 and all("doctor" in note for note in notes(copy))
