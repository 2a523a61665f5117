"""Three analyses in three colours: what each colour shows, and that nothing is mixed up."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.refusals import refused
from vocoder import encode, read_spectrogram
from vocoder.audio import read_audio
from vocoder.cli.main import run
from vocoder.config import load
from vocoder.decibels import SILENCE_DB
from vocoder.evaluate.metrics import measure
from vocoder.image.doctor.examine import examine
from vocoder.image.file import read_image
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import analyse, bin_centres_hz

DATA = Path(__file__).parents[2] / "data"
MEL = load("spec", "mel256")
WINDOWS = load("codec", "windows")
HALF_STEP_DB = 100 / 255 / 2


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_all_three_come_back_within_half_a_step(speech, tmp_path, suffix):
    path = tmp_path / f"line{suffix}"
    encode(speech, path, codec="windows")
    found = read_spectrogram(path)  # the file says how it was made
    assert found.specs == tuple(spec for spec, _ in WINDOWS.analyses(MEL))
    assert [(spec.win_length, spec.n_fft) for spec in found.specs] == [
        (1024, 1024),
        (320, 1024),
        (3072, 4096),
    ]
    assert [one.weight for one in found.analyses] == [1.0, 0.5, 0.5]
    for one in found.analyses:
        true = analyse(torch.from_numpy(speech)[None], one.spec).decibels
        off = (one.decibels.clamp(min=-100) - true.clamp(-100, 0)).abs()
        assert off.max() <= HALF_STEP_DB + 1e-3
        assert one.length == len(speech)


def spread(pixels):
    """How many pixels of a profile lie within 20 dB of its peak, a channel each."""
    return [int((pixels[:, k] > pixels[:, k].max() - 20 * 255 / 100).sum()) for k in range(3)]


def test_a_click_is_shortest_in_red_and_a_tone_narrowest_in_blue(tmp_path):
    n = 22_050
    click = np.zeros(n, np.float32)
    click[n // 2] = 1
    encode(click, tmp_path / "click.png", codec="windows")
    red, green, blue = spread(read_image(tmp_path / "click.png").pixels.max(axis=0).astype(float))
    assert red < green < blue
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(n) / n).astype(np.float32)
    encode(tone, tmp_path / "tone.png", codec="windows")
    column = read_image(tmp_path / "tone.png").pixels[:, 43].astype(float)
    red, green, blue = spread(column)
    assert blue < green < red
    # 0 dB is what a full-scale sine reaches at most, and the narrower its line, the more of a band
    # is empty beside it; row 0 is the highest band.
    below_db = 20 * np.log10(0.5) - (column.max(axis=0) * 100 / 255 - 100)
    assert (below_db > -HALF_STEP_DB).all() and (below_db < 3).all()
    rows = 255 - column.argmax(axis=0)
    np.testing.assert_allclose(bin_centres_hz(MEL)[rows], 440, atol=22)


def test_silence_stays_silent_in_all_three(tmp_path):
    encode(np.zeros(22_050, np.float32), tmp_path / "a.png", codec="windows")
    for one in read_spectrogram(tmp_path / "a.png").analyses:
        assert (one.decibels == SILENCE_DB).all()


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"red_window": 0}, "codec.red_window.range"),
        ({"blue_window": 3072.5}, "codec.blue_window.range"),
        ({"red_weight": -1.0}, "codec.red_weight.range"),
    ],
)
def test_settings_that_mean_nothing(settings, key):
    with refused(key):
        replace(WINDOWS, **settings)


@pytest.mark.parametrize(
    ("spec", "settings", "key"),
    [
        ("linear256", {}, "codec.windows.spec"),
        ("mel256", {"red_window": 1024}, "codec.windows.range"),
        ("mel256", {"blue_window": 1000}, "codec.windows.range"),
        ("mel256", {"red_window": 255}, "codec.windows.range"),
    ],
)
def test_specs_that_it_does_not_suit(spec, settings, key):
    with refused(key):
        replace(WINDOWS, **settings).analyses(load("spec", spec))


def source(folder, **given):
    return ImageSource(input=folder / "results", **given)


@pytest.mark.parametrize(
    ("folder", "codec"), [("pix2pix_windows", "gray8"), ("pix2pix", "windows")]
)
def test_generated_images_of_the_other_kind_are_refused(folder, codec, tmp_path):
    shutil.copytree(DATA / folder / "results", tmp_path / "results")
    found = source(tmp_path, spec=MEL, codec=load("codec", codec)).find()
    for utterance in found.utterances:
        with refused("image.windows"):
            load_utterance(utterance, found)


def test_generated_tiles_are_stitched_in_all_three():
    found = source(DATA / "pix2pix_windows").find()
    assert len(found.utterances) == 3
    for utterance in found.utterances:
        spectrogram = load_utterance(utterance, found).spectrogram
        assert len(spectrogram.analyses) == 3
        true = next((DATA / "pix2pix" / "reference").glob(f"{utterance.name}.flac"))
        assert spectrogram.length == soundfile.info(true).frames


def test_the_doctor_reads_them(tmp_path):
    assert examine(source(DATA / "pix2pix_windows")) == []
    shutil.copytree(DATA / "pix2pix" / "results", tmp_path / "results")
    (finding,) = examine(source(tmp_path, spec=MEL, codec=WINDOWS))
    assert finding.code == "unusable" and "codec=gray8" in finding.where


def test_a_data_set_from_recordings_to_waveforms(speech, tmp_path):
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/a.wav", speech, MEL.sample_rate, subtype="FLOAT")
    made, out = tmp_path / "made", tmp_path / "out"
    assert run(["encode", f"input={tmp_path / 'in'}", f"output={made}", "codec=windows"]) == 0
    sheet = read_image(made / "contact_sheet.png").pixels
    assert np.ptp(sheet, axis=2).max() > 50, "the contact sheet shows colours"
    found = ImageSource(input=made / "pictures").find()
    (utterance,) = found.utterances
    for one in load_utterance(utterance, found).spectrogram.analyses:
        true = analyse(torch.from_numpy(speech)[None], one.spec).decibels
        off = (one.decibels.clamp(min=-100) - true.clamp(-100, 0)).abs()
        assert off.max() < HALF_STEP_DB + 0.01
    assert run(["invert", f"input={made / 'pictures'}", f"output={out}", "repair=none"]) == 0
    heard = read_audio(out / "a.wav", MEL.sample_rate)
    assert measure(speech, heard, MEL.sample_rate, ("estoi",))["estoi"] > 0.95
    assert run(["decode", f"input={made / 'pictures'}", f"output={tmp_path / 'arrays'}"]) == 0
    (row,) = json.loads((tmp_path / "arrays/report.json").read_text())["utterances"]
    assert "2 more analyses" in row["note"]


def test_a_window_shorter_than_a_hop_is_named_with_one_that_works():
    spec = load("spec", "mel256_44k")
    with refused("codec.windows.range"):
        load("codec", "windows").analyses(spec)
    assert len(load("codec", "windows", red_window=1024, blue_window=4096).analyses(spec)) == 3
