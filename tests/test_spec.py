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
from vocoder.errors import BadInput
from vocoder.spec import FLOAT_FIELDS, SpectrogramSpec, periodic_window
from vocoder.spectrogram import analyse, stft

MEL = load("spec", "mel256")
LINEAR = load("spec", "linear512")
TACOTRON2 = load("spec", "tacotron2")
NAMES = [field.name for field in fields(SpectrogramSpec)]

# Another admissible value of every field of mel256, with what has to change along with it.
OTHERWISE: dict[str, dict[str, Any]] = {
    "kind": {
        "kind": "linear",
        **dict.fromkeys(("n_mels", "fmin", "fmax", "mel_scale", "mel_norm")),
    },
    "sample_rate": {"sample_rate": 24_000},
    "n_fft": {"n_fft": 2048},
    "hop_length": {"hop_length": 128},
    "win_length": {"win_length": 800},
    "window": {"window": "hamming"},
    "center": {"center": False},
    "pad_mode": {"pad_mode": "constant"},
    "power": {"power": 2.0},
    "nyquist": {
        "nyquist": False,
        "kind": "linear",
        **dict.fromkeys(("n_mels", "fmin", "fmax", "mel_scale", "mel_norm")),
    },
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
    ("base", "changes", "message"),
    [
        (MEL, {"kind": "cqt"}, "spec.kind is 'cqt'; expected one of ('mel', 'linear')"),
        (MEL, {"pad_mode": "edge"}, "spec.pad_mode is 'edge'; expected one of"),
        (MEL, {"power": 3}, "spec.power is 3.0; expected one of (1.0, 2.0)"),
        (MEL, {"power": True}, "spec.power is True; expected a finite number"),
        (MEL, {"power": None}, "spec.power is None; expected a finite number"),
        (MEL, {"compression": "db"}, "spec.compression is 'db'; expected one of"),
        (MEL, {"sample_rate": 0}, "spec.sample_rate is 0; expected a whole number above 0"),
        (MEL, {"sample_rate": 22050.0}, "spec.sample_rate is 22050.0; expected a whole number"),
        (MEL, {"n_fft": True}, "spec.n_fft is True; expected a whole number above 0"),
        (MEL, {"n_fft": 1025}, "spec.n_fft is 1025; expected an even number"),
        (MEL, {"hop_length": -256}, "spec.hop_length is -256; expected a whole number above 0"),
        (MEL, {"hop_length": 1025}, "spec.hop_length is 1025; expected at most win_length (1024)"),
        (MEL, {"hop_length": 1024}, "spec.hop_length is 1024; expected short enough"),
        (MEL, {"win_length": "1024"}, "spec.win_length is '1024'; expected a whole number"),
        (MEL, {"win_length": 1026}, "spec.win_length is 1026; expected at most n_fft (1024)"),
        (MEL, {"window": "hannn"}, "spec.window is 'hannn', which scipy does not know; try hann"),
        (MEL, {"window": 5}, "spec.window is 5; expected the name of a window"),
        (MEL, {"window": ["kaiser", 8]}, "spec.window is ['kaiser', 8]; expected the name"),
        (MEL, {"center": 1}, "spec.center is 1; expected true or false"),
        (MEL, {"nyquist": "yes"}, "spec.nyquist is 'yes'; expected true or false"),
        (MEL, {"nyquist": False}, "spec.nyquist is False; expected true for kind=mel"),
        (MEL, {"n_mels": 0}, "spec.n_mels is 0; expected a whole number from 1 to 513"),
        (MEL, {"n_mels": None}, "spec.n_mels is None; expected a whole number from 1 to 513"),
        (MEL, {"fmin": -1}, "spec.fmin is -1.0; expected 0 to 11025 Hz"),
        (MEL, {"fmin": None}, "spec.fmin is None; expected 0 to 11025 Hz"),
        (MEL, {"fmin": math.nan}, "spec.fmin is nan; expected a finite number"),
        (MEL, {"fmin": "1e1"}, "spec.fmin is '1e1'; expected a finite number (YAML takes 1e-5"),
        (
            MEL,
            {"fmax": 12_000},
            "spec.fmax is 12000.0; expected above fmin (0.0) and at most 11025",
        ),
        (MEL, {"fmax": 100, "fmin": 100}, "spec.fmax is 100.0; expected above fmin (100.0)"),
        (MEL, {"fmax": None}, "spec.fmax is None; expected above fmin"),
        (MEL, {"mel_scale": None}, "spec.mel_scale is None; expected one of ('slaney', 'htk')"),
        (MEL, {"mel_norm": "area"}, "spec.mel_norm is 'area'; expected one of"),
        (MEL, {"floor": 1e-5}, "spec.floor is 1e-05; expected 0 for compression=none"),
        (TACOTRON2, {"floor": 0}, "spec.floor is 0.0; expected above 0 for compression=log"),
        (TACOTRON2, {"floor": None}, "spec.floor is None; expected a finite number"),
        (TACOTRON2, {"floor": math.inf}, "spec.floor is inf; expected a finite number"),
        *(
            (
                LINEAR,
                {name: getattr(MEL, name)},
                f"spec.{name} is {getattr(MEL, name)!r}; expected null",
            )
            for name in ("n_mels", "fmin", "fmax", "mel_scale", "mel_norm")
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_was_expected(base, changes, message):
    with pytest.raises(BadInput) as refusal:
        replace(base, **changes)
    assert message in str(refusal.value)


def test_no_field_has_a_default():
    with pytest.raises(TypeError, match="missing 17 required"):
        SpectrogramSpec()  # type: ignore[call-arg]


def test_a_spec_survives_json_and_yaml(spec):
    values = spec.to_dict()
    for read in (json.loads(json.dumps(values)), yaml.safe_load(yaml.safe_dump(values))):
        assert SpectrogramSpec.from_dict(read, "there") == spec


@pytest.mark.parametrize("name", NAMES)
def test_from_dict_fills_nothing_in(name):
    values = MEL.to_dict()
    del values[name]
    with pytest.raises(BadInput, match=f"spec.yaml: the spec lacks {name}; every field"):
        SpectrogramSpec.from_dict(values, "spec.yaml")


def test_from_dict_says_where_a_spec_came_from():
    with refused("spec.unknown"):
        SpectrogramSpec.from_dict({**MEL.to_dict(), "hop": 256, "db_min": -100}, "tile.png")
    with refused("spec.type"):
        SpectrogramSpec.from_dict([1024, 256], "tile.png")  # type: ignore[arg-type]
    with refused("spec.n_fft.range"):
        SpectrogramSpec.from_dict({**MEL.to_dict(), "n_fft": -2}, "tile.png")


@pytest.mark.parametrize("name", NAMES)
def test_every_field_matters(name):
    other = replace(MEL, **OTHERWISE[name])
    with refused("spec.conflict") as refusal:
        MEL.require_same(other, "the sidecar", "tile.png")
    told = str(refusal.value)
    assert told.startswith("the sidecar and tile.png")
    assert f"{name}: {getattr(MEL, name)} != {getattr(other, name)}" in told
    assert told.count("!=") == sum(getattr(MEL, n) != getattr(other, n) for n in OTHERWISE[name])


def test_a_spec_agrees_with_itself(spec):
    again = replace(spec)
    spec.require_same(again, "this", "that")
    assert hash(spec) == hash(again)


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
