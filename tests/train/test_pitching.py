"""Learning the pitch: what is heard in the recording is the target."""

import math

import numpy as np
import pytest
import torch

from tests.train.tiny import griffin_lim, learnt_from
from vocoder.config import load
from vocoder.repair.pitch import NO_VOICE, pitches_hz
from vocoder.repair.pitch_network import PitchNet
from vocoder.spectrogram import analyse
from vocoder.train.examples import Batch
from vocoder.train.tasks.pitching import Pitching, heard_pitches, spread

pytest.importorskip("swift_f0")
MEL = load("spec", "mel256")


def voice(hz, n_samples):
    phase = 2 * math.pi * hz * torch.arange(n_samples) / MEL.sample_rate
    return 0.2 * torch.stack([torch.sin(k * phase) / k for k in range(1, 15)]).sum(0)


def test_the_pitch_of_every_frame_is_heard_where_it_is():
    samples = torch.cat([voice(130.0, 22_016), torch.zeros(11_008), voice(220.0, 22_016)])
    heard = heard_pitches(samples.numpy(), 216, MEL)
    assert heard.shape == (216,) and heard.dtype == np.float32
    for frames, hz in ((slice(8, 78), 130.0), (slice(140, 206), 220.0)):
        cents = 1200 * np.log2(pitches_hz()[np.rint(heard[frames]).astype(int)] / hz)
        assert np.abs(cents).max() < 30
    assert (heard[92:122] == NO_VOICE).all()


def test_targets_are_probabilities_around_the_pitch():
    target = spread(torch.tensor([[40.0, 40.25, NO_VOICE]]), 1.5)
    assert torch.allclose(target.sum(1), torch.ones(1, 3))
    assert target[0, :, 0].argmax() == 40 and target[0, -1, 2] == 1
    numbers = torch.arange(len(pitches_hz()))
    for frame, pitch in ((0, 40.0), (1, 40.25)):
        weights = target[0, :-1, frame]
        assert (weights * numbers).sum() == pytest.approx(pitch, abs=1e-3)
        deviation = (weights * (numbers - pitch) ** 2).sum().sqrt()
        assert deviation == pytest.approx(1.5, abs=0.01)


def test_a_network_learns_the_pitch_of_a_voice():
    torch.manual_seed(0)
    samples = torch.stack([voice(130.0, 64 * 256), torch.zeros(64 * 256)])
    samples[1, ::97] = 0.1  # clicks
    image = analyse(samples, MEL).decibels[:, :, :64].clamp(min=-90)
    task = Pitching(
        repair="generated",
        spread=1.5,
        voice=load("repair", "generated").voice,
        inverter=griffin_lim(),
    )
    model = PitchNet(MEL, channels=16, blocks=2, dropout=0.0)
    task.setup(model, MEL)
    batch = Batch(image, image, samples)
    losses = learnt_from(task, batch, 30, rate=1e-2)
    assert losses[-1] < 0.5 * losses[0]
    assert task.render(model, image[:1]).shape[0] == 1
