"""Learning what comes next: the likelihood of the recording, each sample given those before."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from vocoder.errors import expect
from vocoder.inverter.wavenet.inverter import sample
from vocoder.inverter.wavenet.network import WaveNet
from vocoder.spec import SpectrogramSpec
from vocoder.train.examples import Batch
from vocoder.train.tasks.base import Task, require_centred

TEMPERATURE = 0.5  # at validation, as of inverter=wavenet


class Likelihood(Task):
    """Trains a WaveNet: the negative log-likelihood, given degraded spectrograms."""

    model_type = WaveNet

    def setup(self, model: nn.Module, spec: SpectrogramSpec) -> None:
        super().setup(model, spec)
        require_centred(spec)

    def losses(self, name: str, batch: Batch, step: int) -> dict[str, Tensor]:
        # Examples are cut out of words. Windows at their ends lack what was before and after, and
        # the initial estimate's phases are bad in what overlaps with these.
        edge_frames = -(-self.spec.n_fft // self.spec.hop_length)
        frames = batch.degraded.shape[2]
        expected = f"more than {2 * edge_frames}, of which nothing is learnt"
        expect(frames > 2 * edge_frames, "train.plan.frames", frames, expected)
        model = cast(WaveNet, self.model)
        return {"total": model.loss(batch.degraded, batch.waveform, edge_frames)}

    def render(self, model: nn.Module, decibels: Tensor) -> Tensor:
        return sample(cast(WaveNet, model), decibels, seed=0, temperature=TEMPERATURE, n_iter=1)
