"""The numbers of a training run that are the same for every task."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vocoder.errors import BadInput

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long, how fast and how carefully.

    Parameters
    ----------
    steps : int
        Of the optimiser, in all: a resumed run goes on up to the same number.
    batch_size : int
        Examples a step, over all machines together.
    frames : int
        Length of an example.
    learning_rate : float
        The highest; it rises over ``warmup_steps`` and falls along a half cosine to the end.
    discriminator_learning_rate : float
        Likewise, of every other network than the model.
    betas : list of float
        Of AdamW (Loshchilov and Hutter 2019).
    weight_decay : float
    warmup_steps : int
    clip_norm : float
        Gradients longer than this are shortened to it.
    ema_decay : float
        Of the moving average of the weights, which is what ships; shorter at the beginning.
    precision : {"float32", "bfloat16"}
        Of forward passes; bfloat16 pays on GPUs.
    validate_every, checkpoint_every : int
        In steps.
    keep_checkpoints : int
        The newest that are kept.
    patience : int
        Validations without a better ESTOI before the run ends.
    workers : int
        Processes that prepare examples; 0 prepares them in the loop itself.

    Raises
    ------
    BadInput
        A number is out of range.
    """

    steps: int
    batch_size: int
    frames: int
    learning_rate: float
    discriminator_learning_rate: float
    betas: list[float]
    weight_decay: float
    warmup_steps: int
    clip_norm: float
    ema_decay: float
    precision: str
    validate_every: int
    checkpoint_every: int
    keep_checkpoints: int
    patience: int
    workers: int

    def __post_init__(self) -> None:
        for name, least in (
            ("steps", 1),
            ("batch_size", 1),
            ("frames", 8),
            ("warmup_steps", 0),
            ("validate_every", 1),
            ("checkpoint_every", 1),
            ("keep_checkpoints", 1),
            ("patience", 1),
            ("workers", 0),
        ):
            self._require(getattr(self, name) >= least, name, f"at least {least}")
        for name in ("learning_rate", "discriminator_learning_rate", "clip_norm"):
            self._require(getattr(self, name) > 0, name, "above 0")
        self._require(self.weight_decay >= 0, "weight_decay", "at least 0")
        self._require(0 <= self.ema_decay < 1, "ema_decay", "0 to below 1")
        self._require(
            len(self.betas) == 2
            and all(isinstance(beta, int | float) and 0 <= beta < 1 for beta in self.betas),
            "betas",
            "two numbers from 0 to below 1",
        )
        self._require(self.precision in PRECISIONS, "precision", f"one of {PRECISIONS}")

    def _require(self, ok: bool, name: str, expected: str) -> None:
        if not ok:
            raise BadInput(f"train.plan.{name} is {getattr(self, name)!r}; expected {expected}")

    def rate_factor(self, step: int) -> float:
        """What learning rates are multiplied by in a step: a rise, then a half cosine."""
        rise = min(1.0, (step + 1) / (self.warmup_steps + 1))
        return rise * 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))

    def ema_weight(self, step: int) -> float:
        """How much of the moving average is kept in a step; little at first."""
        return min(self.ema_decay, (step + 1) / (step + 10))
