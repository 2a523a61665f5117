"""What lies between mel bands: found by a network, and the bands stay what they were."""

from dataclasses import replace

import pytest
import torch

from tests.refusals import refused
from vocoder.config import load
from vocoder.inverter import mels
from vocoder.inverter.mels import MelConstraint, MelNet, between_bands, widen
from vocoder.spectrogram import Spectrogram, analyse, to_bins

SPEC = load("spec", "tacotron2")
LINEAR = load("spec", "linear512")
CPU = torch.device("cpu")
SIZES = {"channels": 4, "context": 8, "context_blocks": 1}


@pytest.fixture(scope="module")
def samples(speech):
    return torch.from_numpy(speech)[None]


@pytest.fixture(scope="module")
def bands(samples):
    return analyse(samples, SPEC)


def heard_error_db(decibels, true):
    """Mean difference where the true spectrogram is within 50 dB of its loudest."""
    heard = true > true.max() - 50
    return float((decibels - true)[heard].abs().mean())


def test_it_is_nearer_to_the_recording_than_least_squares(samples, bands):
    """On an utterance that no training has seen; above 8 kHz no band says anything."""
    shown = slice(0, int(8000 / SPEC.sample_rate * SPEC.n_fft))
    true = analyse(samples, LINEAR).decibels[:, shown]
    found = between_bands(bands, "mels", CPU)
    assert found.spec == LINEAR
    ours = heard_error_db(found.decibels[:, shown].clamp(min=-90), true)
    least_squares = heard_error_db(widen(bands.decibels, SPEC)[:, shown].clamp(min=-90), true)
    assert ours < 0.85 * least_squares


def test_the_bands_stay(bands):
    found = between_bands(bands, "mels", CPU)
    magnitude = torch.nn.functional.pad(found.linear, (0, 0, 0, 1))
    again = to_bins(magnitude, SPEC)
    # One step of projected least squares: what is clipped at zero is off by a little.
    assert float((again - bands.linear).norm() / bands.linear.norm()) < 0.02
    constraint = MelConstraint(bands, LINEAR)
    assert found.constraint == constraint
    projected = constraint.project(found.decibels[:, :, 20:60], 20)
    assert heard_error_db(projected, found.decibels[:, :, 20:60]) < 0.5


def test_chunks_join_to_the_whole(bands, monkeypatch):
    whole = between_bands(bands, "mels", CPU).decibels
    monkeypatch.setattr(mels, "CHUNK_FRAMES", 64)
    pieces = between_bands(bands, "mels", CPU).decibels
    assert heard_error_db(pieces, whole) < 1e-3


def test_the_convention_of_padding_plays_no_part(samples):
    same = load("spec", "hifigan")
    found = between_bands(analyse(samples, same), "mels", CPU)
    assert found.spec == replace(LINEAR, pad_mode="reflect_same") == same.without_bands()


@pytest.mark.parametrize("name", ["mel256", "linear512", "vocos"])
def test_other_spectrograms_are_left_to_least_squares(name, samples):
    spectrogram = analyse(samples, load("spec", name))
    assert between_bands(spectrogram, "mels", CPU) is spectrogram


def test_silence_stays_silent():
    silence = Spectrogram(torch.full((1, SPEC.bins, 20), -200.0), SPEC)
    assert float(between_bands(silence, "mels", CPU).linear.max()) == 0


@pytest.mark.parametrize("name", ["linear512", "whisper"])
def test_it_is_for_magnitudes_in_mel_bands(name):
    with refused("model.spec"):
        MelNet(load("spec", name), **SIZES)


def test_weights_of_another_kind_are_refused():
    with refused("weights.kind"):
        load("inverter", "griffin_lim", mels="jpeg")
    load("inverter", "griffin_lim", mels=None)


def test_a_folder_called_mels_is_not_taken_for_the_weights(bands, tmp_path, monkeypatch):
    (tmp_path / "mels").mkdir()
    monkeypatch.chdir(tmp_path)
    assert between_bands(bands, "mels", CPU).spec == LINEAR
