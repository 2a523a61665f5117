"""Learning spectrograms: the degraded one in, the true one as target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from vocoder.decibels import SILENCE_DB
from vocoder.errors import expect
from vocoder.inverter.base import Inverter
from vocoder.inverter.mels import MelNet
from vocoder.model.features import FLOOR_DB
from vocoder.repair.network import RepairNet
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse
from vocoder.train.examples import Batch
from vocoder.train.spectrogram_losses import LOSSES, spectrogram_losses
from vocoder.train.tasks.base import Task, require_centred, require_weights, weighted


@dataclass(kw_only=True)
class Repairing(Task):
    """Trains a repair."""

    model_type: ClassVar[type[nn.Module]] = RepairNet

    # Of `vocoder.train.spectrogram_losses.spectrogram_losses`; 0 leaves one out.
    weights: Mapping[str, float]
    tau: float  # see there
    inverter: Inverter  # makes repaired spectrograms audible, for validation

    def __post_init__(self) -> None:
        require_weights(self.weights, LOSSES, LOSSES)
        expect(0 < self.tau < 1, "train.task.tau", self.tau, "between 0 and 1")

    def losses(self, name: str, batch: Batch, step: int) -> dict[str, Tensor]:
        used = [name for name, weight in self.weights.items() if weight > 0]
        made, true, specs = self.compared(batch)
        analyses = zip(
            made.chunk(len(specs), 1),
            true.clamp(min=FLOOR_DB).chunk(len(specs), 1),
            specs,
            strict=True,
        )
        found = [spectrogram_losses(*one, self.tau, used) for one in analyses]
        losses = {name: torch.stack([one[name] for one in found]).mean() for name in used}
        return weighted(losses, self.weights)

    def compared(self, batch: Batch) -> tuple[Tensor, Tensor, tuple[SpectrogramSpec, ...]]:
        """What the model makes and what it should be, in dB, and the specs of their analyses."""
        model = cast(RepairNet, self.model)
        return model(batch.degraded), batch.true, model.specs

    def render(self, model: nn.Module, decibels: Tensor) -> Tensor:
        return self.heard(model(decibels), cast(RepairNet, self.model).specs)

    def heard(self, decibels: Tensor, specs: tuple[SpectrogramSpec, ...]) -> Tensor:
        """The analyses of a spectrogram, one below the other, inverted."""
        audible = torch.where(decibels > FLOOR_DB, decibels, SILENCE_DB).cpu()
        pairs = zip(audible.chunk(len(specs), 1), specs, strict=True)
        first, *others = (Spectrogram(plane, spec) for plane, spec in pairs)
        return self.inverter(replace(first, others=tuple(others)))


@dataclass(kw_only=True)
class Widening(Repairing):
    """Trains what finds the bins of the STFT between mel bands."""

    model_type = MelNet

    def setup(self, model: nn.Module, spec: SpectrogramSpec) -> None:
        super().setup(model, spec)
        require_centred(spec)
        self._linear = spec.without_bands()
        self._edge = -(-spec.n_fft // (2 * spec.hop_length))  # frames that see beyond the piece

    def compared(self, batch: Batch) -> tuple[Tensor, Tensor, tuple[SpectrogramSpec, ...]]:
        made, true = self.model(batch.degraded), analyse(batch.waveform, self._linear).decibels
        inner = slice(self._edge, made.shape[2] - self._edge)
        return made[:, :, inner], true[:, :, inner], (self._linear,)

    def render(self, model: nn.Module, decibels: Tensor) -> Tensor:
        return self.heard(model(decibels), (self._linear,))
