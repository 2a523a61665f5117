"""Learning to repair pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter
from vocoder.model.features import FLOOR_DB
from vocoder.repair.network import RepairNet
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram
from vocoder.train.objective.base import (
    Batch,
    Objective,
    Task,
    require_kind,
    require_weights,
    weighing,
    weighted,
)
from vocoder.train.picture_losses import picture_losses


@dataclass(frozen=True, kw_only=True)
class PictureWeights:
    """Weights of `vocoder.train.picture_losses.picture_losses`.

    Parameters
    ----------
    decibels, loudness, intelligibility, pitch : float
        Not negative, and not all 0.

    Raises
    ------
    BadInput
        They are.
    """

    decibels: float
    loudness: float
    intelligibility: float
    pitch: float

    def __post_init__(self) -> None:
        require_weights(vars(self), list(vars(self)))


class Repairing(Objective):
    """The damaged picture in, the true one as target.

    Parameters
    ----------
    model : RepairNet
    spec : SpectrogramSpec
    weights : PictureWeights
    quantile : float
        See `vocoder.train.picture_losses.picture_losses`.
    inverter : Inverter
        What makes repaired pictures audible, for validation.

    Raises
    ------
    BadInput
        The quantile is out of range.
    """

    def __init__(
        self,
        model: RepairNet,
        spec: SpectrogramSpec,
        weights: PictureWeights,
        quantile: float,
        inverter: Inverter,
    ) -> None:
        super().__init__(model, spec)
        if not 0 < quantile < 1:
            raise BadInput(f"train.task.quantile is {quantile}; expected between 0 and 1")
        self._weights, self._quantile, self._inverter = vars(weights), quantile, inverter

    def losses(self, turn: str, batch: Batch, step: int) -> dict[str, Tensor]:
        repaired = self.model(batch.damaged)
        true = batch.true.clamp(min=FLOOR_DB)
        wanted = weighing(self._weights)
        losses = picture_losses(repaired, true, self.spec, self._quantile, wanted)
        return weighted(losses, self._weights)

    def render(self, model: nn.Module, values: Tensor) -> Tensor:
        repaired = model(values)
        audible = torch.where(repaired > FLOOR_DB, repaired, SILENCE_DB)
        return self._inverter(Spectrogram(audible.cpu(), self.spec))


@dataclass(frozen=True, kw_only=True)
class RepairingTask(Task):
    """Makes `Repairing` objectives; parameters as there."""

    weights: PictureWeights
    quantile: float
    inverter: Inverter

    def objective(self, model: nn.Module, spec: SpectrogramSpec) -> Objective:
        require_kind(model, RepairNet, "repairing")
        return Repairing(cast(RepairNet, model), spec, self.weights, self.quantile, self.inverter)
