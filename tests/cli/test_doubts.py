"""What would be another sound is not made without a word."""

import re

import numpy as np
import pytest
import soundfile
import torch
from matplotlib import cbook
from PIL import Image, ImageDraw

from tests.cli.results import report
from tests.image.laws import SPEC, grey, level, save
from vocoder.cli.main import run
from vocoder.image.codec.maps import map_colours
from vocoder.repair.consistency import CONSISTENT_DB
from vocoder.spectrogram import analyse

A = ["spec=linear512", "spec.nyquist=true", "spec.pad_mode=constant"]
R = ["codec.db_min=-90", "codec.db_max=-10"]


@pytest.fixture(scope="module")
def truth(speech):
    return level(analyse(torch.from_numpy(speech)[None], SPEC).decibels[0].numpy())


def photograph(truth):
    """Rear Admiral Grace Hopper, in matplotlib's sample data."""
    path = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return np.asarray(Image.open(path).convert("L").resize(truth.shape[::-1]))


def page(truth):
    """Black on white."""
    image = Image.new("L", truth.shape[::-1], 255)
    drawing = ImageDraw.Draw(image)
    for row in range(20, image.height - 20, 16):
        drawing.text((20, row), "the quick brown fox jumps over the lazy dog " * 5, fill=0)
    return np.asarray(image)


def steady(truth):
    """Brighter downwards."""
    return grey(np.broadcast_to(np.linspace(1, 0.2, len(truth))[:, None], truth.shape))


def slope(truth):
    """Brighter downwards and to the right."""
    across, downwards = (np.linspace(0, 0.4, length) for length in truth.shape[::-1])
    return grey(0.2 + across + downwards[:, None])[::-1]


GRAY = ["codec=gray8"]
MAGMA = ["codec=colormap", "codec.cmap=magma"]
DRAWN = {
    "good": (grey, GRAY),
    "upside_down": (lambda x: grey(x)[::-1], GRAY),
    "turned_over": (grey, ["codec=foreign", "codec.row_0=low"]),
    "negative": (lambda x: 255 - grey(x), GRAY),
    "other_map": (lambda x: map_colours("viridis")[grey(x)], MAGMA),
    "noise": (lambda x: np.random.default_rng(0).integers(0, 256, x.shape, np.uint8), GRAY),
    "photograph": (photograph, GRAY),
    "page": (page, GRAY),
    "slope": (slope, GRAY),
    "steady": (steady, GRAY),
}


def drawn(kind, truth, folder):
    """A file of this kind, and the settings that it is said to have."""
    draw, words = DRAWN[kind]
    path = save(folder / "a.png", np.ascontiguousarray(draw(truth)))
    return [f"input={path}", f"output={folder / 'out'}", *A, *words, *R]


@pytest.mark.parametrize(
    ("kind", "refused", "told"),
    [
        ("good", False, None),
        ("upside_down", False, "codec.row_0=low"),
        ("turned_over", False, "codec.row_0=high"),
        ("negative", True, "codec.dark_is_loud=true"),
        ("other_map", True, "codec.cmap=viridis"),
        ("noise", True, "photograph"),
        ("photograph", True, "photograph"),
        ("page", False, "photograph"),
        ("slope", False, "photograph"),
        ("steady", False, "codec.transposed=true"),
    ],
)
def test_images_that_become_another_sound(kind, refused, told, truth, tmp_path, capsys):
    arguments = ["decode", *drawn(kind, truth, tmp_path)]
    assert run(arguments) == (2 if refused else 0)
    said = "".join(capsys.readouterr())
    assert told in said if told else "codec" not in said
    if refused:
        assert run([*arguments, "force=true"]) == 0
        assert told in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["upside_down", "negative", "other_map"])
@pytest.mark.parametrize("codec", ["gray8", "librosa", "colormap"])
def test_advice_leaves_the_law_as_it_is(kind, codec, truth, tmp_path, capsys):
    """What it says is added to the settings, and then there is nothing more to say."""
    pixels = DRAWN[kind][0](truth)
    words = [f"codec={codec}", *R]
    if codec == "colormap":
        words.append("codec.cmap=magma")
        pixels = pixels if pixels.ndim == 3 else map_colours("magma")[pixels]
    path = save(tmp_path / "a.png", np.ascontiguousarray(pixels))
    arguments = ["decode", f"input={path}", f"output={tmp_path / 'out'}", "overwrite=true", *A]
    run([*arguments, *words])
    said = "".join(capsys.readouterr())
    advised = re.search(r"(?:give|try) ((?:codec\S*=\w+ ?)+)", said)
    assert advised
    added = advised[1].split()
    has_key = codec == "librosa" or (codec, kind) == ("colormap", "other_map")
    assert any(one.startswith("codec=") for one in added) != has_key
    keys = {one.split("=")[0] for one in added}
    words = [one for one in words if one.split("=")[0] not in keys] + added
    assert run([*arguments, *words]) == 0
    assert not re.search("(give|try) codec", "".join(capsys.readouterr()))


@pytest.mark.parametrize("more", [[], ["gain=peak"], ["gain=20", "subtype=FLOAT"], ["peak_db=-30"]])
@pytest.mark.parametrize("kind", ["other_map", "negative", "photograph"])
def test_what_is_probably_noise_is_kept_down(kind, more, truth, tmp_path, capsys):
    words = ["force=true", *more, "repair=none", "inverter.n_iter=1"]
    assert run(["invert", *drawn(kind, truth, tmp_path), *words]) == 0
    assert "kept down to a peak of -20 dBFS" in capsys.readouterr().out
    samples, _ = soundfile.read(tmp_path / "out/a.wav")
    loudest_db = -30 if more == ["peak_db=-30"] else -20
    assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(loudest_db, abs=0.01)
    (row,) = report(tmp_path / "out")["utterances"]
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
    (row,) = report(tmp_path / "o")["utterances"]
    assert (row["inconsistency_db"] < CONSISTENT_DB) == is_true
    assert ("waveform" in row["note"]) != is_true
