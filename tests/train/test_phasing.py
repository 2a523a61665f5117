"""Learning how phases go on."""

import pytest
import torch
from torch import Tensor

from tests.refusals import refused
from tests.train.tiny import learnt_from, piece_of
from vocoder.config import load
from vocoder.inverter.differences import gradient_differences, log_above_floor
from vocoder.inverter.magnitude import Target
from vocoder.inverter.phase_network import PhaseNet
from vocoder.repair.network import RepairNet
from vocoder.spectrogram import Spectrogram, stft
from vocoder.train.examples import Batch
from vocoder.train.tasks.base import MODEL
from vocoder.train.tasks.phasing import Phasing

SPEC, BANDS = load("spec", "mel256"), load("spec", "tacotron2")
FRAMES = 40


class Right(PhaseNet):
    """Says what it is given."""

    answer: Tensor

    def forward(self, decibels: Tensor) -> Tensor:
        return self.answer


class Watching(PhaseNet):
    """Keeps what it sees."""

    def forward(self, decibels: Tensor) -> Tensor:
        self.seen = decibels
        return super().forward(decibels)


def task(model, *, bands=None, mels=None, share=0.5):
    made = Phasing(bands=bands, mels=mels, bands_share=share)
    made.setup(model, SPEC)
    return made


@pytest.fixture(scope="module")
def batch(speech):
    return piece_of(speech, SPEC, 40, FRAMES)


def true_corrections(batch, speech):
    """From the STFT of the whole recording, though the task sees a piece."""
    transform = stft(torch.from_numpy(speech)[None], SPEC)[:, :, 40 : 41 + FRAMES]
    magnitude = Target(Spectrogram(batch.degraded, SPEC)).start
    gradient = gradient_differences(log_above_floor(magnitude[0].mT), SPEC)
    to_frame = (transform[:, :, 1:] * transform[:, :, :-1].conj()).angle()
    now = transform[:, :, :-1]
    to_bin = (now.roll(-1, 1) * now.conj()).angle()
    pairs = zip((to_frame, to_bin), gradient, strict=True)
    angles = [one - expected.mT for one, expected in pairs]
    return torch.cat([f(one)[None] for one in angles for f in (torch.cos, torch.sin)], 1)


def test_true_differences_are_right(batch, speech):
    model = Right(SPEC, channels=2)
    model.answer = true_corrections(batch, speech)
    assert float(task(model).losses(MODEL, batch, 0)["total"]) < 0.01
    model.answer = -model.answer
    assert float(task(model).losses(MODEL, batch, 0)["total"]) == pytest.approx(4, abs=0.05)
    model.answer = torch.zeros_like(model.answer)
    assert float(task(model).losses(MODEL, batch, 0)["total"]) == pytest.approx(1, abs=0.01)


def test_it_learns(batch):
    torch.manual_seed(0)
    model = PhaseNet(SPEC, channels=8)
    learning = task(model)
    totals = learnt_from(learning, batch, 30)
    assert totals[-1] < 0.95 * totals[0]
    with torch.inference_mode():
        rendered = learning.render(model, batch.degraded)
    assert rendered.shape == (1, SPEC.n_samples(FRAMES))


@pytest.mark.parametrize("mels", [None, "mels"])
def test_a_part_of_the_examples_is_seen_through_other_bands(batch, mels):
    two = Batch(*(torch.cat([one, one]) for one in vars(batch).values()))
    model = Watching(SPEC, channels=2)
    task(model).losses(MODEL, two, 0)
    alone = model.seen
    task(model, bands=BANDS, mels=mels).losses(MODEL, two, 0)["total"].backward()
    assert torch.equal(model.seen[1], alone[1])
    above = round(1.05 * BANDS.fmax / SPEC.sample_rate * SPEC.n_fft)
    assert float(model.seen[0, above:].max()) < float(alone[0, above:].max()) - 20
    inner = slice(4, -4)  # a whole recording goes on at the edges
    below = model.seen[0, 4:above, inner] - alone[0, 4:above, inner]
    loud = alone[0, 4:above, inner] > alone.max() - 30
    assert float(below[loud].abs().median()) < 3


def test_other_bands_are_of_the_same_stft():
    with refused("train.task.bands.conflict"):
        task(PhaseNet(SPEC, channels=2), bands=load("spec", "vocos"))
    with refused("train.task.bands_share.range"):
        task(PhaseNet(SPEC, channels=2), share=1.5)


def test_it_trains_no_other_network():
    with refused("train.task.conflict"):
        task(RepairNet(SPEC, channels=4, context=8, context_blocks=1))
