"""The numbers of a training run that are the same for every task."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vocoder.errors import expect, expect_ranges

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
    init_share: float
    precision: str
    validate_every: int
    checkpoint_every: int
    keep_checkpoints: int
    patience: int
    workers: int
    threads: int

    def __post_init__(self) -> None:
        positive = ["steps", "batch_size", "validate_every", "checkpoint_every"]
        positive += ["keep_checkpoints", "patience", "threads"]
        expect_ranges(self, "train.plan", **dict.fromkeys(positive, (1, math.inf)))
        not_negative = dict.fromkeys(("warmup_steps", "workers"), (0, math.inf))
        limits = {"frames": (8, math.inf), "weight_decay": (0, 1)}
        expect_ranges(self, "train.plan", **not_negative, **limits)
        for name in ("learning_rate", "discriminator_learning_rate"):
            rate, most = getattr(self, name), MAX_LEARNING_RATE
            usual = f"above 0 and at most {most:g}, usually 1e-4 to 2e-3"
            expect(0 < rate <= most, f"train.plan.{name}", rate, usual)
        expect(self.clip_norm > 0, "train.plan.clip_norm", self.clip_norm, "above 0")
        expect(0 <= self.ema_decay < 1, "train.plan.ema_decay", self.ema_decay, "0 to below 1")
        expect(0 <= self.init_share < 1, "train.plan.init_share", self.init_share, "0 to below 1")
        fits = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        expect(fits, "train.plan.betas", self.betas, "two numbers from 0 to below 1")
        known = self.precision in PRECISIONS
        expect(known, "train.plan.precision", self.precision, f"one of {PRECISIONS}")

    def rate_factor(self, step: int) -> float:
        """What learning rates are multiplied by in a step: a rise, then a half cosine.

        A function of the step alone. Torch's `LambdaLR` keeps the rates it began with in its state,
        so that a resumed run could not be given another, and counts the steps of discriminators
        that have not begun.
        """
        rise = min(1.0, (step + 1) / (self.warmup_steps + 1))
        return rise * 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
