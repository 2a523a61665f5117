"""Models as the command line composes them, with changes."""

from dataclasses import replace
from typing import Any

from vocoder.config import load
from vocoder.model.hifigan import HifiGan

MEL = load("spec", "tacotron2")
# Powers, no mel bands, 16 kHz, and a hop that halves only twice: 6 * 5 * 5 * 2.
ODD = replace(
    load("spec", "linear256"), sample_rate=16_000, n_fft=1200, win_length=1000, hop_length=300,
    power=2.0,
)  # fmt: skip


def hifigan(name: str, spec: Any = MEL, **changes: Any) -> HifiGan:
    model = load("model", name, spec=spec, **changes)
    assert isinstance(model, HifiGan)
    return model.eval()
