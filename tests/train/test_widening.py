"""Learning what lies between mel bands."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.refusals import refused
from tests.train.tiny import griffin_lim, learnt_from, piece_of
from vocoder.config import load
from vocoder.inverter.mels import MelNet
from vocoder.spectrogram import analyse
from vocoder.train.tasks.base import MODEL
from vocoder.train.tasks.repairing import Widening

SPEC = load("spec", "tacotron2")
FRAMES = 48


class Right(MelNet):
    """Says what it is given."""

    answer: Tensor

    def forward(self, decibels: Tensor) -> Tensor:
        return self.answer


def task(model):
    weights = {"envelope": 0.0, "intelligibility": 0.0, "pitch": 0.0}
    made = Widening(
        weights={"decibels": 1.0, "loudness": 1.0, **weights}, tau=0.5, inverter=griffin_lim()
    )
    made.setup(model, SPEC)
    return made


@pytest.fixture(scope="module")
def batch(speech):
    return piece_of(speech, SPEC, 40, FRAMES)


def test_the_bins_of_the_recording_are_right(batch, speech):
    """As the analysis of all of it has them, though the task sees a piece."""
    model = Right(SPEC, channels=4, context=8, context_blocks=1)
    whole = analyse(torch.from_numpy(speech)[None], SPEC.without_bands()).decibels
    model.answer = whole[:, :, 40 : 40 + FRAMES].clamp(min=-90)
    losses = task(model).losses(MODEL, batch, 0)
    assert set(losses) == {"decibels", "loudness", "total"}
    assert float(losses["total"]) < 1e-4
    model.answer = model.answer + 3
    assert float(task(model).losses(MODEL, batch, 0)["total"]) > 0.05


def test_it_learns(batch):
    torch.manual_seed(0)
    model = MelNet(SPEC, channels=4, context=8, context_blocks=1)
    learning = task(model)
    totals = learnt_from(learning, batch, 30)
    assert totals[-1] < 0.9 * totals[0]
    with torch.inference_mode():
        rendered = learning.render(model, batch.degraded)
    assert rendered.shape == (1, SPEC.n_samples(FRAMES))


def test_the_first_sample_must_lie_in_a_frames_centre():
    spec = replace(SPEC, center=False)
    with refused("spec.center.range"):
        task(MelNet(SPEC, channels=4, context=8, context_blocks=1)).setup(
            MelNet(spec, channels=4, context=8, context_blocks=1), spec
        )
