"""The package as a library: three lines from a picture to a sound."""

import os
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import vocoder
from tests.processes import python
from tests.refusals import refused
from vocoder.cli import main
from vocoder.cpu import torch_threads
from vocoder.decibels import SILENCE_DB
from vocoder.image.file import ImageInfo, write_image
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.repair.auto import AutoRepair
from vocoder.spectrogram import Spectrogram, analyse, analyse_linear

CHEAP = {"n_iter": 2, "init": "zero"}


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory, speech: np.ndarray) -> Path:
    """A picture that says how it was made, of 12 dB less than the recording."""
    spec, codec = vocoder.load("spec", "mel256"), vocoder.load("codec", "gray8")
    quiet = analyse(torch.from_numpy(speech)[None] * 10 ** (-12 / 20), spec).decibels[0].numpy()
    path = tmp_path_factory.mktemp("library") / "picture.png"
    info = ImageInfo(spec, codec, len(speech), gain_db=-12.0)
    write_image(path, codec.encode(quiet, spec), codec, info)
    return path


def test_three_lines(picture, speech, monkeypatch):
    monkeypatch.chdir(picture.parent)
    spectrogram = vocoder.read_spectrogram("picture.png")
    waveform = vocoder.load("inverter", "griffin_lim")(spectrogram)
    assert isinstance(spectrogram, Spectrogram)
    assert waveform.shape == (1, len(speech)) and waveform.dtype == torch.float32
    # Level restored, and it is the recording: the spectrograms agree.
    assert waveform.std() == pytest.approx(speech.std(), rel=0.03)
    shown = analyse_linear(waveform, spectrogram.spec)
    true = analyse_linear(torch.from_numpy(speech)[None], spectrogram.spec)
    assert (shown - true).norm() / true.norm() < 0.1


def test_the_verbs(speech, tmp_path):
    path = tmp_path / "image.png"
    shown = vocoder.encode(speech, path, codec="gray8:db_min=-90")
    read = vocoder.read_spectrogram(path)
    step_db = 90 / 255
    audible = shown.decibels > -89  # the floor itself is silence
    assert (read.decibels - shown.decibels)[audible].abs().max() <= step_db / 2 + 1e-3
    with refused("output.exists"):
        vocoder.encode(speech, path)
    word = "griffin_lim:n_iter=2,init=zero"
    waveform = vocoder.invert(read, repair="none", inverter=word)
    assert waveform.shape == (1, len(speech))
    alone = vocoder.load("inverter", word)(vocoder.load("repair", "none")(read))
    torch.testing.assert_close(waveform, alone, rtol=0, atol=0)


@pytest.mark.parametrize("outer", [None, 1, 2])
def test_both_stages_use_one_thread_or_those_that_were_asked_for(picture, monkeypatch, outer):
    inside = []

    def inconsistency_db(self: AutoRepair, spectrogram: Spectrogram) -> float:
        inside.append(torch.get_num_threads())
        return 0.0

    def iterations_for(self: GriffinLim, spectrogram: Spectrogram) -> int:
        inside.append(torch.get_num_threads())
        return 1

    monkeypatch.setattr(AutoRepair, "inconsistency_db", inconsistency_db)
    monkeypatch.setattr(GriffinLim, "iterations_for", iterations_for)
    spectrogram = vocoder.read_spectrogram(picture)
    repair, inverter = vocoder.load("repair", "auto"), vocoder.load("inverter", "griffin_lim")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with nullcontext() if outer is None else torch_threads(outer):
            steps = inverter.stream(repair(spectrogram))
            between = [torch.get_num_threads() for _ in steps]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(inside) == {outer or 1} and len(inside) >= 2
    assert set(between) == {outer or 2}


def test_to_import_the_package_takes_no_time():
    code = "import sys, vocoder; print(*(set(sys.modules) & {'torch', 'numpy', 'hydra', 'yaml'}))"
    result = python("-c", code)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")


def test_the_command_line_composes_the_same_objects(picture, tmp_path):
    settings = [f"inverter.{key}={value}" for key, value in CHEAP.items()]
    words = [f"input={picture}", f"output={tmp_path}", "subtype=FLOAT", "seed=3", *settings]
    assert main.run(["invert", *words]) == 0
    inverter = vocoder.load("inverter", "griffin_lim", seed=3, **CHEAP)
    here = inverter(vocoder.read_spectrogram(picture))[0].numpy()
    there, _ = soundfile.read(tmp_path / "picture.wav", dtype="float32")
    np.testing.assert_array_equal(here, there)


def test_settings_by_name_or_as_objects_for_files_that_do_not_say_them(generated, tmp_path):
    tiles = generated / "results/tel/test_latest/images"
    tile = Path(shutil.copy(tiles / "nl_v__jes-v-kamen__00_real_B.png", tmp_path))
    codec = vocoder.load("codec", "gray8", db_min=-92.04, db_max=-12.04)
    by_object = vocoder.read_spectrogram(tile, vocoder.load("spec", "mel256"), codec)
    assert by_object.decibels.shape == (1, 256, 256)
    by_name = vocoder.read_spectrogram(tile, "mel256", "gray8")
    # Another range reads other values: 8 dB lower at the dark end, 12 dB higher at the bright one.
    both = (by_object.decibels > SILENCE_DB) & (by_name.decibels > SILENCE_DB)
    apart_db = by_name.decibels[both] - by_object.decibels[both]
    assert both.float().mean() > 0 and -8 < apart_db.min() < apart_db.max() < 12.1
    with refused("manifest.missing"):  # it is named like a tile
        vocoder.read_spectrogram(tile)


def test_arrays_and_what_is_no_single_picture(tmp_path, generated, speech):
    spec = vocoder.load("spec", "linear256")
    true = analyse(torch.from_numpy(speech)[None], spec)
    np.save(tmp_path / "sound.npy", true.linear[0].numpy())
    found = vocoder.read_spectrogram(str(tmp_path / "sound.npy"), "linear256")
    np.testing.assert_allclose(found.decibels, true.decibels, atol=3e-5)
    with refused("input.conflict"):
        vocoder.read_spectrogram(generated)
    with pytest.raises(vocoder.BadInput, match=r"nowhere\.png does not exist"):
        vocoder.read_spectrogram(tmp_path / "nowhere.png")
    with refused("spec.unknown"):
        vocoder.read_spectrogram(tmp_path / "sound.npy", "mel2560")


def test_torch_has_one_thread_unless_told_otherwise(monkeypatch):
    """Two that wait for each other are slower than one, and nobody sees why."""
    seen = []

    def inverter(spectrogram):
        seen.append(torch.get_num_threads())
        return spectrogram.decibels[:, 0]

    spectrogram = Spectrogram(torch.zeros(1, 256, 4), vocoder.load("spec", "mel256"))
    before = torch.get_num_threads()
    for threads in ({}, {"threads": 3}):
        vocoder.invert(spectrogram, repair="none", inverter=inverter, **threads)
    assert seen == [1, 3] and torch.get_num_threads() == before
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("OMP_NUM_THREADS")  # as it was before, afterwards
    monkeypatch.setattr(sys, "argv", ["vocoder", "--help"])
    with pytest.raises(SystemExit):
        main.main()
    assert os.environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("given", [np.zeros((256, 100)), "picture.png", torch.zeros(256, 100)])
def test_what_says_nothing_of_itself_is_not_inverted(given):
    with refused("spectrogram.type") as caught:
        vocoder.invert(given)
    assert "read_spectrogram" in str(caught.value)


@pytest.mark.parametrize("kind", ["int16", "uint8", "complex64"])
def test_samples_that_are_no_floating_point_numbers_are_refused(kind, tmp_path):
    """scipy.io.wavfile reads 16-bit files as whole numbers, which are 90 dB too loud."""
    with refused("waveform.type") as caught:
        vocoder.encode(np.zeros(9000, kind), tmp_path / "a.png")
    assert kind in str(caught.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("level", [np.nan, np.inf])
def test_levels_that_are_no_numbers_are_not_inverted(level):
    decibels = torch.full((1, 256, 8), -40.0)
    decibels[0, 9, 3] = level
    with refused("spectrogram.finite"):
        vocoder.invert(Spectrogram(decibels, vocoder.load("spec", "mel256")), repair="none")


@pytest.mark.parametrize("key", ["repair", "inverter", "threads"])
def test_what_cannot_invert_is_refused(key):
    spectrogram = Spectrogram(torch.zeros(1, 256, 4), vocoder.load("spec", "mel256"))
    with pytest.raises(vocoder.BadInput, match=f"{key} is (None|0); expected"):
        settings: dict[str, Any] = {"repair": "none", key: 0 if key == "threads" else None}
        vocoder.invert(spectrogram, **settings)


@pytest.mark.parametrize(("key", "value"), [("spec", None), ("codec", 3)])
def test_what_is_no_spec_or_codec_is_refused(key, value, tmp_path):
    with refused(f"{key}.type"):
        vocoder.encode(np.zeros(9000), tmp_path / "a.png", **{key: value})
