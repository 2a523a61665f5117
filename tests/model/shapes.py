"""Models as the command line composes them, with changes."""

from dataclasses import replace
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from vocoder.config import hydra_conf, load
from vocoder.model.hifigan import HifiGan

MEL = load("spec", "tacotron2")
# Powers, no mel bands, 16 kHz, and a hop that halves only twice: 6 * 5 * 5 * 2.
ODD = replace(
    load("spec", "linear256"), sample_rate=16_000, n_fft=1200, win_length=1000, hop_length=300,
    power=2.0,
)  # fmt: skip


def fields(name: str) -> dict[str, Any]:
    """What ``model=name`` says, without the spec."""
    with hydra_conf():
        values: Any = OmegaConf.to_container(compose("base", [f"+model={name}"])["model"])
    assert values.pop("spec") == "${spec}"
    return dict(values)


def hifigan(name: str, spec: Any = MEL, **changes: Any) -> HifiGan:
    model = load("model", name, spec=spec, **changes)
    assert isinstance(model, HifiGan)
    return model.eval()
