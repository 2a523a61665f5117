"""The numbers of a training run that are the same for every task."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vocoder.errors import expect

PRECISIONS = ("float32", "bfloat16")
# AdamW moves a weight by about the learning rate in a step, and weights are below one.
MAX_LEARNING_RATE = 1.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long, how fast and how carefully; ``conf/train/_base.yaml`` describes every number."""

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
    threads: int

    def __post_init__(self) -> None:
        for name, minimum in (
            ("steps", 1),
            ("batch_size", 1),
            ("frames", 8),
            ("warmup_steps", 0),
            ("validate_every", 1),
            ("checkpoint_every", 1),
            ("keep_checkpoints", 1),
            ("patience", 1),
            ("workers", 0),
            ("threads", 1),
        ):
            self._require(getattr(self, name) >= minimum, name, f"at least {minimum}")
        for name in ("learning_rate", "discriminator_learning_rate"):
            self._require(
                0 < getattr(self, name) <= MAX_LEARNING_RATE,
                name,
                f"above 0 and at most {MAX_LEARNING_RATE:g}, usually 1e-4 to 2e-3",
            )
        self._require(self.clip_norm > 0, "clip_norm", "above 0")
        self._require(0 <= self.weight_decay <= 1, "weight_decay", "0 to 1")
        self._require(0 <= self.ema_decay < 1, "ema_decay", "0 to below 1")
        self._require(
            len(self.betas) == 2
            and all(isinstance(beta, int | float) and 0 <= beta < 1 for beta in self.betas),
            "betas",
            "two numbers from 0 to below 1",
        )
        self._require(self.precision in PRECISIONS, "precision", f"one of {PRECISIONS}")

    def _require(self, ok: bool, name: str, expected: str) -> None:
        expect(ok, f"train.plan.{name}", getattr(self, name), expected)

    def rate_factor(self, step: int) -> float:
        """What learning rates are multiplied by in a step: a rise, then a half cosine.

        A function of the step alone. Torch's `LambdaLR` keeps the rates it began with in its state,
        so that a resumed run could not be given another, and counts the steps of discriminators
        that have not begun.
        """
        rise = min(1.0, (step + 1) / (self.warmup_steps + 1))
        return rise * 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
