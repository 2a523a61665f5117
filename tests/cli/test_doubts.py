"""What would be another sound is not made without a word."""

import numpy as np
import pytest
import torch

from tests.image.test_cases import SPEC, grey, level, save
from vocoder.cli.main import run
from vocoder.image.codec.maps import map_colours
from vocoder.spectrogram import analyse

A = ["spec=linear512", "spec.nyquist=true", "spec.pad_mode=constant"]
R = ["codec.db_min=-90", "codec.db_max=-10"]


@pytest.fixture(scope="module")
def truth(speech):
    return level(analyse(torch.from_numpy(speech)[None], SPEC).decibels[0].numpy())


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
            False,
            "photograph",
        ),
    ],
    ids=["good", "upside_down", "turned_over", "negative", "other_map", "noise"],
)
def test_images_that_become_another_sound(draw, words, refused, told, truth, tmp_path, capsys):
    path = save(tmp_path / "a.png", np.ascontiguousarray(draw(truth)))
    arguments = ["decode", f"input={path}", f"output={tmp_path / 'out'}", *A, *words, *R]
    assert run(arguments) == (2 if refused else 0)
    said = "".join(capsys.readouterr())
    assert told in said if told else "codec" not in said
    if refused:
        assert run([*arguments, "force=true"]) == 0


def test_what_is_far_too_loud_names_the_reference(truth, tmp_path, capsys):
    """48 dB too loud: 0 dB was a magnitude of 1."""
    path = save(tmp_path / "a.png", grey((80 * truth - 90 + 48.2 + 60) / 100))
    words = ["codec=gray8", "codec.db_min=-60", "codec.db_max=40", "inverter.n_iter=1"]
    assert run(["invert", f"input={path}", f"output={tmp_path / 'out'}", *A, *words]) == 0
    assert "codec.reference=one" in capsys.readouterr().out
