"""What the training loop needs of a task: its networks, whose turn it is, and the losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.spec import SpectrogramSpec
from vocoder.train.examples import Example

MODEL = "model"  # the network that ships; others only serve to train it


@dataclass(frozen=True)
class Batch:
    """Examples side by side.

    Parameters
    ----------
    damaged, true : Tensor
        ``(batch, bins, frames)``, float32, in the spec's units.
    sound : Tensor
        ``(batch, frames * hop_length)``.
    """

    damaged: Tensor
    true: Tensor
    sound: Tensor

    @classmethod
    def of(cls, examples: list[Example]) -> Batch:
        """Join examples of equal length."""
        damaged, true, sound = (
            torch.from_numpy(np.stack([getattr(example, name) for example in examples]))
            for name in ("damaged", "true", "sound")
        )
        return cls(damaged, true, sound)

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(tensor.to(device) for tensor in self.tensors().values()))

    def tensors(self) -> dict[str, Tensor]:
        """All, by name."""
        return {"damaged": self.damaged, "true": self.true, "sound": self.sound}


class Objective(ABC):
    """A task for the loop: `losses` in turns, each of which improves some networks.

    Parameters
    ----------
    model : Module
        What is trained.
    spec : SpectrogramSpec
    """

    def __init__(self, model: nn.Module, spec: SpectrogramSpec) -> None:
        self.model, self.spec = model, spec

    def networks(self) -> Mapping[str, nn.Module]:
        """The model, and whatever serves to train it; each has an optimiser of its own."""
        return {MODEL: self.model}

    def turns(self, step: int) -> list[str]:
        """Whose losses are followed in this step, in order."""
        return [MODEL]

    @abstractmethod
    def losses(self, turn: str, batch: Batch, step: int) -> dict[str, Tensor]:
        """The losses for one network; ``total`` is the one to follow, the others are shown."""

    @abstractmethod
    def render(self, model: nn.Module, values: Tensor) -> Tensor:
        """What a trained model makes of whole spectrograms, for validation.

        Parameters
        ----------
        model : Module
            Of the class of `model`; its moving average.
        values : Tensor
            ``(1, bins, frames)``.

        Returns
        -------
        Tensor
            ``(1, samples)``.
        """


class Task(ABC):
    """An option of ``train.task``: makes the objective once the model is there."""

    @abstractmethod
    def objective(self, model: nn.Module, spec: SpectrogramSpec) -> Objective:
        """The objective for a model.

        Raises
        ------
        BadInput
            The model is not of the kind that this task trains.
        """


def require_kind(
    model: nn.Module, kind: type[nn.Module] | tuple[type[nn.Module], ...], task: str
) -> None:
    """Refuse a model that a task cannot train.

    Raises
    ------
    BadInput
    """
    if not isinstance(model, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        named = " or ".join(one.__name__ for one in kinds)
        raise BadInput(
            f"train={task} trains a {named}, and the model is a {type(model).__name__}; "
            "choose another model= or train="
        )


def require_weights(weights: Mapping[str, float], needed: Sequence[str]) -> None:
    """Refuse negative weights, and ones that leave nothing to learn from.

    Raises
    ------
    BadInput
        A weight is negative, or all of those called ``needed`` are 0.
    """
    for name, weight in weights.items():
        if not weight >= 0:
            raise BadInput(f"train.task.weights.{name} is {weight}; expected at least 0")
    if not any(weights[name] > 0 for name in needed):
        raise BadInput(f"train.task.weights: one of {', '.join(needed)} must be above 0")


def weighing(weights: Mapping[str, float]) -> list[str]:
    """Names of the losses that weigh anything."""
    return [name for name, weight in weights.items() if weight > 0]


def weighted(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Losses with their weighted sum as ``total``; those that weigh nothing are left out."""
    used = {name: losses[name] for name in weighing(weights)}
    total = torch.stack([weights[name] * loss for name, loss in used.items()]).sum()
    return {**used, "total": total}
