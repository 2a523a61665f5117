"""The compiled loop against the network in torch, and what a sampler promises."""

import time

import numpy as np
import pytest
import torch

from tests.inverter.wavenet.networks import MEL, drawn, pair_of, scaled, small, teacher_forced
from vocoder.config import load
from vocoder.decibels import SILENCE_DB
from vocoder.inverter.magnitude import Target
from vocoder.inverter.wavenet import inverter
from vocoder.inverter.wavenet.inverter import draw, sample_subbands
from vocoder.inverter.wavenet.network import CREST, iterate
from vocoder.spectrogram import Spectrogram

TWO_SECONDS = 173  # frames


def sample(model, decibels, *, seed=0, temperature=1.0, n_iter=0):
    return inverter.sample(model, decibels, seed, temperature, n_iter)


def subbands_of(model, decibels, temperature, seed=0):
    return sample_subbands(model, decibels, seed, temperature)


def noise(subbands, seed=0):
    """What the sampler draws, all at once."""
    batch, *shape = subbands.mT.shape
    draws = [draw(np.random.default_rng([seed, item]), tuple(shape)) for item in range(batch)]
    return torch.from_numpy(np.stack(draws))


def as_configured():
    torch.manual_seed(0)
    return scaled(load("model", "wavenet", spec=MEL), 1.3).eval()


def test_sampling_step_by_step_is_the_network_teacher_forced_at_once(speech):
    """By induction: each step is torch's after the same steps, so both give the same samples."""
    decibels, _ = pair_of(speech, TWO_SECONDS)
    model = as_configured()
    subbands = subbands_of(model, decibels, 1.0)
    assert 0.01 < float(subbands.std()) < 1
    expected = drawn(teacher_forced(model, decibels, subbands), noise(subbands), 1.0)
    assert (expected - subbands).abs().max() < 1e-3


@pytest.mark.parametrize("temperature", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("bands", [2, 4])
def test_so_it_is_at_any_temperature_and_in_a_batch(bands, temperature, speech):
    decibels, _ = pair_of(speech[20_000:], 70)
    decibels = torch.cat([decibels, decibels.flip(2) - 20])
    model = small(bands=bands)
    subbands = subbands_of(model, decibels, temperature)
    expected = drawn(teacher_forced(model, decibels, subbands), noise(subbands), temperature)
    # In the outermost tails a step of float32 below 1 moves a quantile by a thousandth of it.
    assert (expected - subbands).abs().max() < 1e-3


def test_it_is_a_hundred_times_faster_than_step_by_step(speech):
    """A step of either, in the time of one core: public vocoders see all anew for every step."""
    model = as_configured()
    decibels, _ = pair_of(speech, TWO_SECONDS)
    subbands_of(model, decibels[:, :, :40], 1.0)  # compiles
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begin = time.thread_time()
    subbands = subbands_of(model, decibels, 1.0)
    compiled_s = (time.thread_time() - begin) / subbands.shape[2]
    n_frames = -(-model.receptive_steps // model.steps_per_frame)
    decibels, subbands = (
        decibels[:, :, :n_frames],
        subbands[:, :, : n_frames * model.steps_per_frame],
    )
    estimate = model.bank.split(model.estimate(decibels))
    begin = time.thread_time()
    for _ in range(3):
        with torch.no_grad():
            model.teacher_forced(decibels, subbands, estimate)
    naive_s = (time.thread_time() - begin) / 3
    torch.set_num_threads(threads)
    assert naive_s > 100 * compiled_s


def test_a_loud_frame_sounds_at_its_centre():
    """The spectrogram's only frame that isn't silent, heard through an untrained network."""
    decibels = torch.full((1, 256, 30), SILENCE_DB)
    decibels[:, :, 12] = -34.0
    energy = sample(small(), decibels)[0].double().square()
    centre = float((energy * torch.arange(len(energy))).sum() / energy.sum())
    assert centre == pytest.approx(12 * 256, abs=48)
    assert float(energy[: 11 * 256 - 31].sum() + energy[13 * 256 + 31 :].sum()) == 0


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_silence_in_is_silence_out(temperature, speech):
    """Alone, and after speech."""
    decibels, _ = pair_of(speech, 40)
    silence = torch.full_like(decibels, SILENCE_DB)
    both = torch.cat([torch.cat([silence, silence], 2), torch.cat([decibels, silence], 2)])
    waveform = sample(small(gain=3.0), both, temperature=temperature)
    assert waveform[0].abs().max() == 0
    assert waveform[1, : 39 * 256].std() > 0.001
    assert waveform[1, 42 * 256 :].abs().max() == 0


@pytest.mark.parametrize("temperature", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("gain", [0.01, 1.0, 100.0])
def test_no_network_can_run_away_from_the_spectrogram(gain, temperature, speech):
    """Whatever the weights: finite, and no louder than the spectrogram's own level allows."""
    decibels, _ = pair_of(speech, 60)
    model = small(gain=gain)
    subbands = subbands_of(model, decibels, temperature)
    assert torch.isfinite(subbands).all()
    level = teacher_forced(model, decibels, subbands).level.mT
    assert (subbands.abs() <= 1.001 * CREST * level + 1e-6).all()


def test_a_seed_decides_everything(speech):
    decibels, _ = pair_of(speech, 20)
    model = small()
    one = sample(model, decibels, seed=1)
    assert torch.equal(one, sample(model, decibels, seed=1))
    assert not torch.equal(one, sample(model, decibels, seed=2))
    both = sample(model, decibels.expand(2, -1, -1), seed=1)
    assert torch.allclose(both[:1], one, atol=1e-4), "other members change a waveform"
    assert not torch.equal(both[0], both[1]), "members share their noise"


def test_iterations_bring_what_was_drawn_nearer_to_the_spectrogram(speech):
    decibels, _ = pair_of(speech, 60)
    decibels = torch.cat([decibels, decibels.flip(2) - 20])
    model = small()
    expected = model.bank.join(subbands_of(model, decibels, 1.0))
    target = Target(Spectrogram(decibels, MEL))
    for _ in range(2):
        expected = iterate(expected, MEL, target.nearest)
    assert torch.equal(sample(model, decibels, n_iter=2), expected)


def test_sampling_leaves_its_network_as_it_is():
    model = small().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sample(model, torch.zeros(1, 256, 8))
    assert model.training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
