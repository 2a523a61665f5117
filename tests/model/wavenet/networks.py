"""Networks for tests: small ones, and those of ``conf/model``."""

from typing import Any

import torch
from omegaconf import OmegaConf

from vocoder.config import build, conf_dir, load, options
from vocoder.model.wavenet.draft import draft_of
from vocoder.model.wavenet.network import WaveNet
from vocoder.spectrogram import analyse

MEL = load("spec", "mel256")
CONFIGS = [name for name in options("model") if name.startswith("wavenet")]
SMALL = {
    "draft_iterations": 1,
    "bands": 4,
    "order": 8,
    "preemphasis": 0.0,
    "output": "logistics",
    "components": 3,
    "layers": 5,
    "cycle": 3,
    "residual_channels": 16,
    "gate_channels": 8,
    "skip_channels": 24,
    "condition_channels": 16,
    "condition_blocks": 1,
    "upsampling": "interpolation",
}


def small(spec=MEL, *, gain=1.5, **changes):
    """A small network with random weights, larger than those that training begins with."""
    torch.manual_seed(0)
    return louder(WaveNet(spec, **{**SMALL, **changes}), gain)


def configured(name, spec=MEL, *, gain=1.0):
    """A network of ``conf/model`` with random weights."""
    values: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "model" / f"{name}.yaml"))
    torch.manual_seed(0)
    return louder(build({**values, "spec": spec}, "model"), gain)


def louder(model, gain):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(gain)
    return model


def drafted(model, values):
    """The draft of a picture, as the network hears it."""
    return model.split(draft_of(values, model.spec, model.draft_iterations))


def picture_of(samples, n_frames, spec=MEL):
    """Values and sound of so many frames."""
    sound = torch.from_numpy(samples[: n_frames * spec.hop_length])[None]
    return analyse(sound, spec).decibels[:, :, :n_frames], sound
