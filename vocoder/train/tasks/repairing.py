"""Learning to repair spectrograms: the degraded one in, the true one as target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter
from vocoder.model.features import FLOOR_DB
from vocoder.repair.network import RepairNet
from vocoder.spectrogram import Spectrogram
from vocoder.train.examples import Batch
from vocoder.train.spectrogram_losses import LOSSES, spectrogram_losses
from vocoder.train.tasks.base import Task, require_weights, weighted


@dataclass(kw_only=True)
class Repairing(Task):
    """Trains a repair."""

    model_type = RepairNet

    # Of `vocoder.train.spectrogram_losses.spectrogram_losses`; 0 leaves one out.
    weights: Mapping[str, float]
    tau: float  # see there
    inverter: Inverter  # makes repaired spectrograms audible, for validation

    def __post_init__(self) -> None:
        require_weights(self.weights, LOSSES, LOSSES)
        if not 0 < self.tau < 1:
            raise BadInput(
                f"train.task.tau is {self.tau}; expected between 0 and 1",
                key="train.task.tau.range",
            )

    def losses(self, name: str, batch: Batch, step: int) -> dict[str, Tensor]:
        used = [name for name, weight in self.weights.items() if weight > 0]
        true = batch.true.clamp(min=FLOOR_DB)
        losses = spectrogram_losses(self.model(batch.degraded), true, self.spec, self.tau, used)
        return weighted(losses, self.weights)

    def render(self, model: nn.Module, decibels: Tensor) -> Tensor:
        repaired = model(decibels)
        audible = torch.where(repaired > FLOOR_DB, repaired, SILENCE_DB)
        return self.inverter(Spectrogram(audible.cpu(), self.spec))
