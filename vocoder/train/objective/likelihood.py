"""Learning what comes next: the likelihood of the true sound, each sample given those before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.model.wavenet.generation import Speaker
from vocoder.model.wavenet.network import WaveNet
from vocoder.spec import SpectrogramSpec
from vocoder.train.objective.base import Batch, Objective, Task, require_kind


class Likelihood(Objective):
    """The negative log-likelihood of recordings, given their damaged pictures.

    Parameters
    ----------
    model : WaveNet
    spec : SpectrogramSpec
    temperature, seed
        Of what is spoken at validation; see `vocoder.model.wavenet.generation.Stream`.

    Raises
    ------
    BadInput
        The spec isn't centred: examples begin where the model does only when a frame's centre is
        their first sample.
    """

    def __init__(
        self, model: WaveNet, spec: SpectrogramSpec, temperature: float, seed: int
    ) -> None:
        super().__init__(model, spec)
        if not spec.center:
            raise BadInput("train=likelihood needs a spec with center=true")
        self._temperature, self._seed = temperature, seed

    def losses(self, turn: str, batch: Batch, step: int) -> dict[str, Tensor]:
        return {"total": cast(WaveNet, self.model).loss(batch.damaged, batch.sound)}

    def render(self, model: nn.Module, values: Tensor) -> Tensor:
        speaker = Speaker(cast(WaveNet, model))
        stream = speaker.stream(values.shape[0], seed=self._seed, temperature=self._temperature)
        return torch.cat([stream.push(values), stream.finish()], dim=1)


@dataclass(frozen=True, kw_only=True)
class LikelihoodTask(Task):
    """Makes `Likelihood` objectives; parameters as there."""

    temperature: float
    seed: int

    def objective(self, model: nn.Module, spec: SpectrogramSpec) -> Objective:
        require_kind(model, WaveNet, "likelihood")
        return Likelihood(cast(WaveNet, model), spec, self.temperature, self.seed)
