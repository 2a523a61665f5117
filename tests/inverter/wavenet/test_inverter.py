"""The WaveNet inverter: lengths, alignment, blocks, and weights that don't fit."""

import pytest
import torch

from tests.inverter.wavenet.networks import MEL, pair_of, small
from tests.refusals import refused
from tests.specs import OWN
from tests.train.tiny import written
from vocoder.config import load
from vocoder.spectrogram import Spectrogram, analyse


@pytest.fixture
def trained(tmp_path):
    """Write a small network for a spec and give the inverter that samples from it."""

    def trained(spec=MEL, **changes):
        weights = written(small(spec), tmp_path / f"{hash(spec)}.safetensors")
        return load("inverter", "wavenet", weights=weights, **changes)

    return trained


@pytest.mark.parametrize("name", OWN)
def test_a_waveform_has_the_length_and_level_of_the_spectrogram(name, trained, speech):
    spec = load("spec", name)
    sound = torch.from_numpy(speech[20_000:32_345])[None]
    spectrogram = analyse(sound, spec)
    heard = trained(spec)(spectrogram)
    assert heard.shape == sound.shape
    assert heard.dtype == torch.float32
    assert 0.3 < float(heard.std() / sound.std()) < 3


def test_a_click_is_heard_where_it_was(trained):
    """An untrained network gives noise, but the spectrogram's energy at its time."""
    sound = torch.zeros(1, 12_000)
    sound[0, 5_000] = 1
    energy = trained()(analyse(sound, MEL))[0].double().square()
    centre = float((energy * torch.arange(len(energy))).sum() / energy.sum())
    assert centre == pytest.approx(5_000, abs=100)


def test_members_of_a_batch_have_their_own_length_and_level(trained, speech):
    decibels, _ = pair_of(speech, 60)
    heard = trained()(Spectrogram(torch.cat([decibels, decibels - 6]), MEL))
    assert heard.shape == (2, Spectrogram(decibels, MEL).length)
    assert 1.5 < float(heard[0].std() / heard[1].std()) < 2.7


def test_silence_stays_silent(trained):
    assert trained()(analyse(torch.zeros(1, 9_000), MEL)).abs().max() == 0


def test_weights_for_another_spec_are_refused(trained, speech):
    other = analyse(torch.from_numpy(speech)[None], load("spec", "linear512"))
    with refused("spec.conflict"):
        trained()(other)


def test_what_would_take_all_memory_is_refused(trained):
    """It does all of a spectrogram at once."""
    silence = torch.full((1, MEL.bins, 1), -200.0).expand(1, MEL.bins, 110_000)
    with refused("inverter.wavenet.length"):
        trained()(Spectrogram(silence, MEL))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"temperature": -0.1}, "temperature.range"),
        ({"temperature": float("nan")}, "temperature.type"),
        ({"n_iter": -1}, "n_iter.range"),
        ({"seed": -1}, "seed.range"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, fault):
    with refused(f"inverter.{fault}"):
        load("inverter", "wavenet", weights="any", **changes)
