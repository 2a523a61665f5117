"""Networks for tests, and what they say of every step in torch: the oracle of the compiled loop."""

import torch

from vocoder.config import load
from vocoder.inverter.wavenet.loop import COLD, CREST, LIMIT, MAX_LOG_SCALE, MIN_LOG_SCALE
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


def quantile(parameters, uniform, temperature):
    """The value of a mixture of logistics that pairs ``(..., 2)`` of uniform numbers stand for."""
    logits, means, log_scales = parameters.chunk(3, dim=-1)
    if temperature < COLD:
        return means.gather(-1, logits.argmax(-1, keepdim=True))[..., 0]
    below = torch.softmax(logits / temperature, -1).cumsum(-1)[..., :-1]
    chosen = (uniform[..., :1] >= below).sum(-1, keepdim=True)
    scales = torch.exp(log_scales.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)) * temperature
    mean, scale = (each.gather(-1, chosen)[..., 0] for each in (means, scales))
    return mean + scale * torch.logit(uniform[..., 1])


def drawn(forced, uniform, temperature):
    """The samples that teacher-forced densities give, ``(batch, bands, steps)``."""
    about = quantile(forced.parameters, uniform, temperature).clamp(-LIMIT, LIMIT)
    excitation = torch.zeros_like(about)
    for band in range(about.shape[1]):
        shifted = about[:, band] + forced.from_lower_bands(excitation)[:, band]
        excitation[:, band] = shifted.clamp(-LIMIT, LIMIT).where(forced.audible[:, band], 0)
    bound = CREST * forced.level
    return (forced.estimate + forced.level * excitation).clamp(-bound, bound)
