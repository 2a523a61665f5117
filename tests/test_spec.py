"""The contract: what it refuses, how it travels, and what its numbers mean for a real sound."""

import json
import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy.signal import get_window

from tests.refusals import refused
from tests.specs import OWN
from vocoder.config import load
from vocoder.spec import FLOAT_FIELDS, MEL_FIELDS, SpectrogramSpec, periodic_window
from vocoder.spectrogram import analyse, stft

MEL = load("spec", "mel256")
LINEAR = load("spec", "linear512")
TACOTRON2 = load("spec", "tacotron2")
NAMES = [field.name for field in fields(SpectrogramSpec)]

WRONG: dict[str, list[Any]] = {
    "kind": ["cqt"],
    "sample_rate": [0, 22050.0],
    "n_fft": [True, 1025],
    "hop_length": [-256, 1024, 1025],  # no overlap, and longer than the window
    "win_length": ["1024", 1026],
    "window": [5, ["kaiser", 8]],
    "center": [1],
    "pad_mode": ["edge"],
    "power": [3, True, None],
    "nyquist": ["yes", False],
    "n_mels": [0, None],
    "fmin": [-1, None, math.nan, "1e1"],
    "fmax": [12_000, 0, None],
    "mel_scale": [None],
    "mel_norm": ["area"],
    "compression": ["db"],
    "floor": [1e-5],
}
# Another admissible value of every field of mel256, with what has to change along with it.
OTHERWISE: dict[str, dict[str, Any]] = {
    "kind": {"kind": "linear", **dict.fromkeys(MEL_FIELDS)},
    "sample_rate": {"sample_rate": 24_000},
    "n_fft": {"n_fft": 2048},
    "hop_length": {"hop_length": 128},
    "win_length": {"win_length": 800},
    "window": {"window": "hamming"},
    "center": {"center": False},
    "pad_mode": {"pad_mode": "constant"},
    "power": {"power": 2.0},
    "nyquist": {"nyquist": False, "kind": "linear", **dict.fromkeys(MEL_FIELDS)},
    "n_mels": {"n_mels": 80},
    "fmin": {"fmin": 20.0},
    "fmax": {"fmax": 8000.0},
    "mel_scale": {"mel_scale": "htk"},
    "mel_norm": {"mel_norm": "slaney"},
    "compression": {"compression": "log", "floor": 1e-5},
    "floor": {"floor": 1e-4, "compression": "log"},
}


@pytest.fixture(params=OWN)
def spec(request):
    return load("spec", request.param)


@pytest.mark.parametrize(
    ("base", "name", "value"),
    [
        *((MEL, name, value) for name, values in WRONG.items() for value in values),
        *((TACOTRON2, "floor", value) for value in (0, None, math.inf)),
        *((LINEAR, name, getattr(MEL, name)) for name in MEL_FIELDS),
    ],
)
def test_a_wrong_field_is_named(base, name, value):
    with refused(f"spec.{name}.range") as caught:
        replace(base, **{name: value})
    assert str(caught.value).startswith(f"spec.{name} is ")


def test_a_window_that_nobody_knows_is_named():
    with refused("spec.window.unknown"):
        replace(MEL, window="hannn")


def test_no_field_has_a_default():
    with pytest.raises(TypeError, match="missing 17 required"):
        SpectrogramSpec()  # type: ignore[call-arg]


def test_a_spec_survives_json_and_yaml(spec):
    values = spec.to_dict()
    for read in (json.loads(json.dumps(values)), yaml.safe_load(yaml.safe_dump(values))):
        again = SpectrogramSpec.from_dict(read, "there")
        assert again == spec and hash(again) == hash(spec)
        spec.require_same(again, "this", "that")


@pytest.mark.parametrize("name", NAMES)
def test_from_dict_fills_nothing_in(name):
    values = MEL.to_dict()
    del values[name]
    with refused("spec.missing") as caught:
        SpectrogramSpec.from_dict(values, "spec.yaml")
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({**MEL.to_dict(), "hop": 256, "db_min": -100}, "spec.unknown"),
        ([1024, 256], "spec.type"),
        ({**MEL.to_dict(), "n_fft": -2}, "spec.n_fft.range"),
    ],
)
def test_from_dict_says_where_a_spec_came_from(values, key):
    with refused(key) as caught:
        SpectrogramSpec.from_dict(values, "tile.png")
    assert str(caught.value).startswith("tile.png")


@pytest.mark.parametrize("name", NAMES)
def test_every_field_matters(name):
    other = replace(MEL, **OTHERWISE[name])
    with refused("spec.conflict") as refusal:
        MEL.require_same(other, "the sidecar", "tile.png")
    told = str(refusal.value)
    assert told.startswith("the sidecar and tile.png")
    assert f"{name}: {getattr(MEL, name)} != {getattr(other, name)}" in told
    assert told.count("!=") == sum(getattr(MEL, n) != getattr(other, n) for n in OTHERWISE[name])


@pytest.mark.parametrize("name", FLOAT_FIELDS)
def test_a_whole_number_is_the_same_spec_as_a_float(name):
    value = getattr(MEL, name)
    whole = replace(MEL, **{name: int(value)})
    assert whole == MEL
    assert type(whole.to_dict()[name]) is float


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (MEL, ["256 mel bands", "0-11025 Hz", "slaney scale", "norm sum", "22050 Hz", "magnitude"]),
        (MEL, ["STFT 1024 samples", "hop 256 (86.1 frames/s)", "hann window of 1024", "reflect"]),
        (LINEAR, ["512 linear bins", "0-11025 Hz", "Nyquist bin dropped"]),
        (TACOTRON2, ["80 mel bands", "0-8000 Hz", "natural log above 1e-05"]),
        (replace(MEL, center=False, power=2.0), ["not centred", "; power"]),
    ],
)
def test_a_description_has_everything_in_words_and_units(given, words):
    text = given.describe()
    assert [word for word in words if word not in text] == []


def test_a_full_scale_sine_is_0_db(spec):
    # On a bin, so that nothing is lost between two of them.
    sine = torch.sin(2 * math.pi * (140 / spec.n_fft) * torch.arange(22_050, dtype=torch.float64))
    sound = sine.float()[None]
    # Slaney's filters scale every bin by n_fft / sample_rate on the average.
    mel_gain = spec.n_fft / spec.sample_rate if spec.mel_norm == "slaney" else 1
    inner = slice(4, -4)
    peak = stft(sound, spec).abs()[:, :, inner].amax(1)
    db = 20 * torch.log10(peak * mel_gain / spec.full_scale)
    assert db.abs().max() < 0.1
    assert replace(spec, power=2.0).full_scale == pytest.approx(spec.full_scale**2)


def test_nothing_is_louder_than_a_full_scale_sine(spec):
    """So a picture whose range ends at 0 dB never clips."""
    seconds = torch.arange(44_100, dtype=torch.float64) / 22_050
    sweep = torch.sin(2 * math.pi * (100 * seconds + 2_500 * seconds**2)).float()[None]
    inner = analyse(sweep, spec).decibels[:, :, 4:-4]
    assert float(inner.max()) < 0.1


@pytest.mark.parametrize("center", [True, False])
def test_frames_and_samples_answer_each_other(spec, center):
    spec = replace(spec, center=center)
    for n_frames in (2, 3, 50, 1001):
        n_samples = spec.n_samples(n_frames)
        assert spec.n_frames(n_samples) == n_frames
        assert spec.n_frames(n_samples - 1) == n_frames - 1, "not the shortest"
        assert spec.n_frames(n_samples + spec.hop_length - 1) == n_frames
    rng = np.random.default_rng(0)
    for n_samples in rng.integers(spec.n_fft, 20_000, 5).tolist():
        sound = torch.zeros(1, n_samples)
        assert stft(sound, spec).shape == (1, spec.n_freqs, spec.n_frames(n_samples))


@pytest.mark.parametrize("length", [1, 2, 3, 320, 999, 1024, 3072])
def test_hanns_window_is_scipys_digit_by_digit(length):
    assert np.array_equal(periodic_window("hann", length), get_window("hann", length))
