"""Phases that a network finds: nearer to the recording than the gradient's."""

import math
from dataclasses import replace
from typing import cast

import pytest
import torch

from tests.refusals import refused
from tests.train.tiny import written
from vocoder.config import load
from vocoder.evaluate.metrics import estoi
from vocoder.inverter.differences import gradient_differences, log_above_floor
from vocoder.inverter.magnitude import Target
from vocoder.inverter.phase_network import PhaseNet, phase_network
from vocoder.spectrogram import Spectrogram, analyse, stft

SPEC = load("spec", "mel256")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def samples(speech):
    return torch.from_numpy(speech)[None]


@pytest.fixture(scope="module")
def network():
    return phase_network("phases", SPEC, CPU)


def untrained(spec=SPEC):
    torch.manual_seed(0)
    return PhaseNet(spec, channels=4).eval()


def wrapped(angles):
    return torch.atan2(angles.sin(), angles.cos())


def difference_error(found, transform):
    """Mean error in radians of the differences to the next frame and the next bin, by magnitude."""
    pairs = torch.stack([transform.roll(-1, 1), transform.roll(-1, 0)]) * transform.conj()
    errors = wrapped(found.angle() - pairs.angle()).abs()[:, :-1, :-1]
    weight = pairs.abs().sqrt()[:, :-1, :-1]
    return float((weight * errors).sum() / weight.sum())


def test_differences_are_nearer_to_those_of_a_recording_that_no_training_heard(samples, network):
    transform = stft(samples, SPEC)[0]
    magnitude = Target(analyse(samples, SPEC)).start
    ours = difference_error(network.differences(magnitude), transform)
    gradient = difference_error(untrained().differences(magnitude), transform)
    assert ours < 0.75 * gradient


def test_an_untrained_network_says_what_the_gradient_says(samples):
    magnitude = Target(analyse(samples, SPEC)).start
    found = untrained().differences(magnitude)
    expected = torch.stack(gradient_differences(log_above_floor(magnitude[0].mT), SPEC)).mT
    assert float(wrapped(found.angle() - expected).abs().max()) < 1e-4
    assert torch.allclose(found.abs(), torch.ones_like(expected))


def test_the_level_plays_no_part(samples, network):
    magnitude = Target(analyse(samples, SPEC)).start
    quiet, loud = network.differences(magnitude), network.differences(20 * magnitude)
    assert float(wrapped(quiet.angle() - loud.angle()).abs().median()) < 1e-3


def test_a_difference_depends_on_so_many_frames(network):
    frames = 2 * network.context_frames + network.stride_frames
    middle = network.context_frames
    torch.manual_seed(0)
    one = torch.rand(1, SPEC.n_freqs, frames + network.stride_frames) * 60 - 80
    one[:, 0, middle] = 0  # the loudest bin, to which all levels refer
    other = one.clone()
    other[:, :, frames:] = -80
    with torch.inference_mode():
        here, there = (network(decibels)[:, :, :, middle] for decibels in (one, other))
    assert torch.allclose(here, there, atol=1e-5)


def test_no_certainty_is_above_one(samples, network):
    certain = network.differences(Target(analyse(samples, SPEC)).start).abs()
    assert float(certain.max()) <= 1 + 1e-5
    assert float(certain.min()) < 0.5


def test_a_tone_stays_that_tone():
    t = torch.arange(SPEC.sample_rate, dtype=torch.float64) / SPEC.sample_rate
    tone = (0.5 * torch.sin(2 * math.pi * 440 * t)).float()[None]
    inverter = load("inverter", "phasenet", n_iter=0)
    made = inverter(analyse(tone, SPEC))[0]
    spectrum = torch.fft.rfft(made * torch.hann_window(made.numel())).abs()
    assert abs(int(spectrum.argmax()) * SPEC.sample_rate / made.numel() - 440) < 2


@pytest.mark.parametrize(
    ("name", "share"), [("mel256", 0.5), ("linear512", 0.5), ("tacotron2", 0.9), ("hifigan", 0.9)]
)
def test_without_an_iteration_every_spectrogram_of_its_transform_is_more_intelligible(
    samples, name, share
):
    """It costs a share of what the gradient's phases cost; 80 mels lose more by themselves."""
    spectrogram, true = analyse(samples, load("spec", name)), samples[0].numpy()

    def lost(phases):
        inverter = load("inverter", "griffin_lim", n_iter=0, phases=phases)
        return 1 - estoi(true, inverter(spectrogram)[0].numpy(), SPEC.sample_rate)

    assert lost("phases") < share * lost(None)


def test_other_transforms_keep_the_gradient(samples):
    spec = load("spec", "linear256")
    assert phase_network("phases", spec, CPU) is None
    spectrogram = analyse(samples[:, :22_050], spec)
    plain, named = (
        load("inverter", "griffin_lim", n_iter=2, phases=phases)(spectrogram)
        for phases in (None, "phases")
    )
    assert torch.equal(plain, named)


def test_silence_stays_silent():
    silence = Spectrogram(torch.full((1, SPEC.bins, 20), -200.0), SPEC)
    assert float(load("inverter", "phasenet")(silence).abs().max()) == 0


def test_ones_own_weights_have_to_fit(tmp_path):
    other = replace(SPEC, hop_length=128)
    model = untrained(other)
    path = written(model, tmp_path / "own.safetensors")
    found = cast(PhaseNet, phase_network(path, other, CPU)).state_dict()
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], one) for name, one in model.state_dict().items())
    with refused("spec.conflict"):
        phase_network(path, SPEC, CPU)


def test_weights_of_another_kind_are_refused():
    with refused("weights.kind"):
        load("inverter", "phasenet", phases="mels")


def test_it_is_for_magnitudes():
    with refused("model.spec"):
        PhaseNet(replace(SPEC, power=2.0), channels=4)
