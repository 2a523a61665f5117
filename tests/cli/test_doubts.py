"""What would be another sound is not made without a word."""

import json

import numpy as np
import pytest
import soundfile
import torch
from matplotlib import cbook
from PIL import Image, ImageDraw

from tests.image.test_cases import SPEC, grey, level, save
from vocoder.cli.main import run
from vocoder.image.codec.maps import map_colours
from vocoder.repair.consistency import CONSISTENT_DB
from vocoder.spectrogram import analyse

A = ["spec=linear512", "spec.nyquist=true", "spec.pad_mode=constant"]
R = ["codec.db_min=-90", "codec.db_max=-10"]


@pytest.fixture(scope="module")
def truth(speech):
    return level(analyse(torch.from_numpy(speech)[None], SPEC).decibels[0].numpy())


def photograph(shape):
    """Rear Admiral Grace Hopper, in matplotlib's sample data."""
    path = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return np.asarray(Image.open(path).convert("L").resize(shape[::-1]))


def page(shape):
    """Black on white."""
    image = Image.new("L", shape[::-1], 255)
    drawing = ImageDraw.Draw(image)
    for row in range(20, shape[0] - 20, 16):
        drawing.text((20, row), "the quick brown fox jumps over the lazy dog " * 5, fill=0)
    return np.asarray(image)


def places(shape):
    """Across and upwards, 0 to 1."""
    return np.linspace(0, 1, shape[1]), np.linspace(1, 0, shape[0])[:, None]


def slope(shape):
    across, upwards = places(shape)
    return grey(0.2 + 0.4 * across + 0.4 * (1 - upwards))[::-1]


def steady(shape):
    across, upwards = places(shape)
    return grey(0.2 + 0.8 * (1 - upwards) + 0 * across)[::-1]


@pytest.mark.parametrize(
    ("draw", "words", "refused", "told"),
    [
        (lambda x: grey(x), ["codec=gray8"], False, None),
        (lambda x: grey(x)[::-1], ["codec=gray8"], False, "codec.row_0=low"),
        (lambda x: grey(x), ["codec=foreign", "codec.row_0=low"], False, "codec.row_0=high"),
        (lambda x: 255 - grey(x), ["codec=gray8"], True, "codec.dark_is_loud=true"),
        (
            lambda x: map_colours("viridis")[grey(x)],
            ["codec=colormap", "codec.cmap=magma"],
            True,
            "codec.cmap=viridis",
        ),
        (
            lambda x: np.random.default_rng(0).integers(0, 256, x.shape).astype(np.uint8),
            ["codec=gray8"],
            True,
            "photograph",
        ),
        (lambda x: photograph(x.shape), ["codec=gray8"], True, "photograph"),
        (lambda x: page(x.shape), ["codec=gray8"], False, "photograph"),
        (lambda x: slope(x.shape), ["codec=gray8"], False, "photograph"),
        (lambda x: steady(x.shape), ["codec=gray8"], False, "codec.transposed=true"),
    ],
    ids=[
        *("good", "upside_down", "turned_over", "negative", "other_map"),
        *("noise", "photograph", "page", "slope", "steady"),
    ],
)
def test_images_that_become_another_sound(draw, words, refused, told, truth, tmp_path, capsys):
    path = save(tmp_path / "a.png", np.ascontiguousarray(draw(truth)))
    arguments = ["decode", f"input={path}", f"output={tmp_path / 'out'}", *A, *words, *R]
    assert run(arguments) == (2 if refused else 0)
    said = "".join(capsys.readouterr())
    assert told in said if told else "codec" not in said
    if refused:
        assert run([*arguments, "force=true"]) == 0
        assert told in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["gain=peak"], ["gain=20", "subtype=FLOAT"], ["peak_db=-30"]])
@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (
            lambda x: map_colours("viridis")[grey(x)],
            ["codec=colormap", "codec.cmap=magma", "force=true"],
        ),
        (lambda x: 255 - grey(x), ["codec=gray8", "force=true"]),
        (lambda x: photograph(x.shape), ["codec=gray8", "force=true"]),
    ],
    ids=["other_map", "negative", "photograph"],
)
def test_what_is_probably_noise_is_kept_down(draw, words, more, truth, tmp_path, capsys):
    path = save(tmp_path / "a.png", np.ascontiguousarray(draw(truth)))
    output = tmp_path / "out"
    words = [*words, *more, "repair=none", "inverter.n_iter=1"]
    assert run(["invert", f"input={path}", f"output={output}", *A, *words, *R]) == 0
    assert "kept down to a peak of -20 dBFS" in capsys.readouterr().out
    samples, _ = soundfile.read(output / "a.wav")
    loudest_db = -30 if more == ["peak_db=-30"] else -20
    assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(loudest_db, abs=0.01)
    (row,) = json.loads((output / "report.json").read_text())["utterances"]
    assert row["doubts"]


def test_what_is_far_too_loud_names_the_reference(truth, tmp_path, capsys):
    """48 dB too loud: 0 dB was a magnitude of 1."""
    path = save(tmp_path / "a.png", grey((80 * truth - 90 + 48.2 + 60) / 100))
    words = ["codec=gray8", "codec.db_min=-60", "codec.db_max=40", "inverter.n_iter=1"]
    assert run(["invert", f"input={path}", f"output={tmp_path / 'out'}", *A, *words]) == 0
    assert "codec.reference=one" in capsys.readouterr().out


@pytest.mark.parametrize("is_true", [True, False])
def test_what_no_waveform_can_show_is_told(is_true, truth, tmp_path, capsys):
    """Blurred as a generator or a resizing does; by the image alone."""
    pixels = grey(truth)
    blurred = Image.fromarray(pixels).resize((truth.shape[1] // 6, 90)).resize(pixels.shape[::-1])
    path = save(tmp_path / "a.png", pixels if is_true else np.asarray(blurred))
    assert run(["invert", f"input={path}", *A, *R, "codec=gray8", f"output={tmp_path / 'o'}"]) == 0
    (row,) = json.loads((tmp_path / "o" / "report.json").read_text())["utterances"]
    assert (row["inconsistency_db"] < CONSISTENT_DB) == is_true
    assert ("waveform" in row["note"]) != is_true
