"""Networks for tests, and what they say of every step in torch: the oracle of the compiled loop."""

import torch

from vocoder.config import load
from vocoder.inverter.wavenet.inverter import MIN_TEMPERATURE
from vocoder.inverter.wavenet.network import (
    CREST,
    MAX_LOG_SCALE,
    MIN_LOG_SCALE,
    SILENCE,
    WaveNet,
    excitation_of,
)
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


def shift_of(densities, excitation):
    """What bands of excitation, ``(batch, steps, bands)``, shift each other's densities by."""
    return torch.einsum("bskl,bsl->bsk", densities.mixing, excitation)


def quantile(parameters, uniform, temperature):
    """The values of mixtures of logistics that pairs ``(..., 2)`` of uniform numbers stand for."""
    logits, means, log_scales = parameters.chunk(3, dim=-1)
    temperature = max(temperature, MIN_TEMPERATURE)
    below = torch.softmax(logits / temperature, -1).cumsum(-1)[..., :-1]
    chosen = (uniform[..., :1] >= below).sum(-1, keepdim=True)
    scales = log_scales.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE).exp() * temperature
    mean, scale = (each.gather(-1, chosen)[..., 0] for each in (means, scales))
    return mean + scale * torch.log(uniform[..., 1] / (1 - uniform[..., 1]))


@torch.no_grad()
def drawn(densities, uniform, temperature):
    """The samples that teacher-forced densities give, ``(batch, bands, steps)``."""
    about = quantile(densities.parameters, uniform, temperature)
    estimate, level = densities.estimate, densities.level
    values = estimate
    for _ in range(values.shape[2]):  # each time one band more has all those below it
        shift = shift_of(densities, excitation_of(values, estimate, level))
        values = (estimate + level * (about + shift)).clamp(-CREST * level, CREST * level)
        values = values.where(level > SILENCE, estimate)
    return values.mT
