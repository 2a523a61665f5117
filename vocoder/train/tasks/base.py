"""What the training loop needs of a task: its networks, the order of their steps, the losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.spec import SpectrogramSpec
from vocoder.train.examples import Batch

MODEL = "model"  # the network that ships; others only serve to train it


class Task(ABC):
    """An option of ``train.task``, for one model, which `setup` gives it.

    Attributes
    ----------
    model_type : type
        Of the models that it trains.
    model : Module
    spec : SpectrogramSpec
        The model's.
    """

    model_type: ClassVar[type[nn.Module]]
    model: nn.Module
    spec: SpectrogramSpec

    def setup(self, model: nn.Module, spec: SpectrogramSpec) -> None:
        """Take the model, and refuse one that cannot be trained so."""
        if not isinstance(model, self.model_type):
            raise BadInput(
                f"{type(self).__name__} trains a {self.model_type.__name__}, and the model is a "
                f"{type(model).__name__}; choose another model= or train=",
                key="train.task.conflict",
            )
        self.model, self.spec = model, spec

    def networks(self) -> Mapping[str, nn.Module]:
        """The model, and whatever serves to train it; each has an optimiser of its own."""
        return {MODEL: self.model}

    def order(self, step: int) -> list[str]:
        """The networks that learn in this step, in order."""
        return [MODEL]

    @abstractmethod
    def losses(self, name: str, batch: Batch, step: int) -> dict[str, Tensor]:
        """The losses of one network; ``total`` is the one to follow, the others are shown."""

    @abstractmethod
    def render(self, model: nn.Module, decibels: Tensor) -> Tensor:
        """What a trained model makes of a whole spectrogram, for validation.

        Parameters
        ----------
        model : Module
            As `model`; its moving average.
        decibels : Tensor
            ``(1, bins, frames)``.

        Returns
        -------
        Tensor
            ``(1, samples)``.
        """


def require_centred(spec: SpectrogramSpec) -> None:
    """Refuse specs whose frames do not have their first sample in their centre, as models do."""
    if 2 * spec.padding != spec.n_fft:
        raise BadInput(
            "training a vocoder needs a spec with center=true and pad_mode=reflect or constant",
            key="spec.center.range",
        )


def require_weights(
    weights: Mapping[str, float], names: Collection[str], needed: Collection[str]
) -> None:
    """Refuse weights of other losses than ``names``, negative ones, and none of ``needed``."""
    if weights.keys() != set(names) or not all(
        isinstance(weight, int | float) and weight >= 0 for weight in weights.values()
    ):
        raise BadInput(
            f"train.task.weights is {dict(weights)}; expected at least 0 for each of "
            f"{', '.join(names)}",
            key="train.task.weights.range",
        )
    if not any(weights[name] > 0 for name in needed):
        raise BadInput(
            f"train.task.weights: one of {', '.join(needed)} must be above 0",
            key="train.task.weights.range",
        )


def weighted(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Losses with their weighted sum as ``total``; those that weigh nothing are left out."""
    used = {name: losses[name] for name, weight in weights.items() if weight > 0}
    total = torch.stack([weights[name] * loss for name, loss in used.items()]).sum()
    return {**used, "total": total}
