"""Learning what comes next: the likelihood of the true sound, each sample given those before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.inverter.wavenet.network import WaveNet
from vocoder.inverter.wavenet.sampler import Sampler
from vocoder.spec import SpectrogramSpec
from vocoder.train.objective.base import Batch, Objective, Task, require_kind


class Likelihood(Objective):
    """The negative log-likelihood of recordings, given their damaged pictures.

    Parameters
    ----------
    model : WaveNet
    spec : SpectrogramSpec
    temperature, n_iter, seed
        Of what is drawn at validation; see `vocoder.inverter.wavenet.sampler.Sampler`.

    Raises
    ------
    BadInput
        The spec isn't centred: examples begin where the model does only when a frame's centre is
        their first sample.
    """

    def __init__(
        self, model: WaveNet, spec: SpectrogramSpec, temperature: float, n_iter: int, seed: int
    ) -> None:
        super().__init__(model, spec)
        if not spec.center:
            raise BadInput("train=likelihood needs a spec with center=true")
        self._temperature, self._n_iter, self._seed = temperature, n_iter, seed
        # Examples are cut out of words. Windows at their ends lack what was before and after, and
        # what overlaps with these is given an estimate's phases badly.
        self._edge_frames = -(-spec.n_fft // spec.hop_length)

    def losses(self, turn: str, batch: Batch, step: int) -> dict[str, Tensor]:
        frames = batch.damaged.shape[2]
        if frames <= 2 * self._edge_frames:
            raise BadInput(
                f"train.plan.frames is {frames}; expected more than {2 * self._edge_frames}, of "
                "which nothing is learnt"
            )
        loss = cast(WaveNet, self.model).loss(batch.damaged, batch.sound, self._edge_frames)
        return {"total": loss}

    def render(self, model: nn.Module, values: Tensor) -> Tensor:
        pieces = Sampler(cast(WaveNet, model))(
            values, seed=self._seed, temperature=self._temperature, n_iter=self._n_iter
        )
        return torch.cat(list(pieces), dim=1)


@dataclass(frozen=True, kw_only=True)
class LikelihoodTask(Task):
    """Makes `Likelihood` objectives; parameters as there."""

    temperature: float
    n_iter: int
    seed: int

    def objective(self, model: nn.Module, spec: SpectrogramSpec) -> Objective:
        require_kind(model, WaveNet, "likelihood")
        return Likelihood(cast(WaveNet, model), spec, self.temperature, self.n_iter, self.seed)
