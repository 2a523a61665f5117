"""Networks for tests, and what they say of every step in torch: the oracle of the compiled loop."""

import torch

from vocoder.config import load
from vocoder.inverter.wavenet.network import WaveNet
from vocoder.spectrogram import analyse

MEL = load("spec", "mel256")
SMALL = {
    "initial_iterations": 1,
    "bands": 4,
    "components": 3,
    "layers": 5,
    "cycle": 3,
    "channels": 16,
    "condition_channels": 16,
}


def small(spec=MEL, *, gain=1.5, **changes):
    """A small network with random weights, larger than those that training begins with."""
    torch.manual_seed(0)
    return scaled(WaveNet(spec, **{**SMALL, **changes}), gain)


def scaled(model, gain):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(gain)
    return model


def pair_of(samples, n_frames, spec=MEL):
    """Decibels and waveform of so many frames."""
    waveform = torch.from_numpy(samples[: n_frames * spec.hop_length])[None]
    return analyse(waveform, spec).decibels[:, :, :n_frames], waveform


@torch.no_grad()
def teacher_forced(model, decibels, subbands):
    """What a network says of every step, given the spectrogram and the steps before."""
    return model.teacher_forced(decibels, subbands, model.bank.split(model.estimate(decibels)))


@torch.no_grad()
def drawn(densities, uniform, temperature):
    """The samples that teacher-forced densities give, ``(batch, bands, steps)``."""
    return densities.draw(uniform, torch.tensor(temperature)).mT
