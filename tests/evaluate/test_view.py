"""Pictures for people: every panel shows what it says."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from vocoder import load
from vocoder.evaluate.view import SHOWN_S, draw_pictures, ticks_hz
from vocoder.spectrogram import Spectrogram, analyse

RATE = 22_050
SPEC = load("spec", "mel256")


@pytest.fixture
def sound(speech, tmp_path):
    path = tmp_path / "line.wav"
    soundfile.write(path, speech, RATE, subtype="FLOAT")
    return path


def draw(path, given, sound, true):
    draw_pictures(path, given, given, sound, true)


def panels(path):
    """The drawn spectrograms, as brightness: the large coloured rectangles from top to bottom."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    coloured = pixels.min(axis=2) < 250  # the paper is white
    rows = coloured.mean(axis=1) > 0.8
    edges = np.flatnonzero(np.diff(np.r_[False, rows, False].astype(int)))
    found = []
    for top, bottom in edges.reshape(-1, 2):
        if bottom - top > 40:
            columns = np.flatnonzero(coloured[top + 2 : bottom - 2].all(axis=0))
            groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
            columns = max(groups, key=len)  # the others are scales of colours
            inside = pixels[top + 3 : bottom - 3, columns[0] + 3 : columns[-1] - 3]
            found.append(inside.sum(axis=2))
    return found


def given_by(samples, spec=SPEC):
    return analyse(torch.from_numpy(samples)[None], spec)


def alike(one, other):
    rows, columns = (min(a, b) for a, b in zip(one.shape, other.shape, strict=True))
    return np.corrcoef(one[:rows, :columns].ravel(), other[:rows, :columns].ravel())[0, 1]


def test_picture_in_above_sound_out_above_the_truth(sound, speech, tmp_path):
    given = given_by(speech)
    draw(tmp_path / "two.png", given, sound, None)
    assert len(panels(tmp_path / "two.png")) == 2
    # The truth differs: silent in its second half.
    true = tmp_path / "true.flac"
    soundfile.write(true, np.r_[speech[: len(speech) // 2], 0 * speech[len(speech) // 2 :]], RATE)
    draw(tmp_path / "three.png", given, sound, true)
    top, middle, bottom = panels(tmp_path / "three.png")
    assert alike(top, middle) > 0.99
    half = top.shape[1] // 2
    assert alike(top[:, : half - 20], bottom[:, : half - 20]) > 0.95
    assert bottom[:, half + 20 :].max() <= bottom.min() + 10 < top[:, half + 20 :].max() - 100


def test_low_frequencies_are_below_and_time_runs_to_the_right(tmp_path):
    time_s = np.arange(2 * RATE) / RATE
    tone = np.where(time_s < 0.8, 0.5 * np.sin(2 * np.pi * 300 * time_s), 0).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", tone, RATE)
    draw(tmp_path / "tone.png", given_by(tone), tmp_path / "tone.wav", None)
    for panel in panels(tmp_path / "tone.png"):
        row, column = np.unravel_index(np.argmax(panel), panel.shape)
        assert row > 0.8 * panel.shape[0] and column < 0.45 * panel.shape[1]


@pytest.mark.parametrize("name", ["mel256", "linear512", "seed", "tacotron2"])
def test_every_spec_can_be_drawn(name, sound, speech, tmp_path):
    spec = load("spec", name)
    draw(tmp_path / "a.png", given_by(speech, spec), sound, sound)
    assert len(panels(tmp_path / "a.png")) == 3


@pytest.mark.parametrize("name", ["mel256", "linear512", "tacotron2"])
def test_the_axis_is_in_hz(name):
    """Each tick beside the row in which a sine of that frequency is loudest."""
    spec = load("spec", name)
    rows, labels = zip(*ticks_hz(spec), strict=True)
    assert labels[0] == "250" and "4k" in labels and list(rows) == sorted(rows)
    time_s = np.arange(spec.sample_rate) / spec.sample_rate
    for row, label in zip(rows, labels, strict=True):
        hz = float(label.replace("k", "")) * (1000 if "k" in label else 1)
        tone = (0.5 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)
        loudest = int(given_by(tone, spec).decibels[0].mean(dim=1).argmax())
        assert abs(loudest + 0.5 - row) < 2  # below 500 Hz bands are narrower than bins


def test_silence_and_sounds_shorter_than_a_window_can_be_drawn(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.zeros(100, np.float32), RATE)
    silence = Spectrogram(torch.zeros(1, 256, 1), SPEC, 100)
    draw(tmp_path / "a.png", silence, tmp_path / "short.wav", None)
    assert len(panels(tmp_path / "a.png")) == 2


def test_of_long_sounds_the_beginning_is_shown(tmp_path):
    long = np.zeros(int((SHOWN_S + 10) * RATE), np.float32)
    after = long[int((SHOWN_S + 2) * RATE) :]  # what is shown
    after[:] = np.random.default_rng(0).uniform(-0.5, 0.5, len(after))
    long[1000] = 0.1
    soundfile.write(tmp_path / "long.wav", long, RATE)
    draw(tmp_path / "a.png", given_by(long), tmp_path / "long.wav", None)
    for panel in panels(tmp_path / "a.png"):
        assert panel[:, panel.shape[1] // 4 :].max() <= panel.min() + 10


def test_a_drawing_is_replaced(sound, speech, tmp_path):
    path = tmp_path / "a.png"
    path.write_text("earlier")
    draw(path, given_by(speech), sound, None)
    assert len(panels(path)) == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.png", "line.wav"]


def test_a_repair_is_drawn_with_how_far_its_harmonics_are_trusted(sound, speech, tmp_path):
    given = given_by(speech)
    half = given.n_frames // 2
    certainty = torch.cat([torch.zeros(1, half), torch.ones(1, given.n_frames - half)], 1)
    changed = replace(given, decibels=given.decibels.flip(1), certainty=certainty)
    draw_pictures(tmp_path / "a.png", given, changed, sound, None)
    assert len(panels(tmp_path / "a.png")) == 3
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    rows, columns = np.nonzero((pixels[..., 0] < 60) & (pixels[..., 1:].min(2) > 200))
    middle = (columns.min() + columns.max()) / 2
    left, right = (np.median(rows[side]) for side in (columns < middle - 9, columns > middle + 9))
    assert left > right + 100  # anew at the bottom, kept at the top
    assert changed.repaired == {"strength": 0.0, "drawn": pytest.approx(0.5, abs=0.01)}
    assert given.repaired == {}
