"""``vocoder train``: recordings and painted pictures to weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from vocoder.spec import SpectrogramSpec
    from vocoder.train.channel.base import Channel
    from vocoder.train.data import Data
    from vocoder.train.training import Training


def run(
    *,
    output: str,
    spec: SpectrogramSpec,
    data: Data,
    channel: Channel,
    model: nn.Module,
    train: Training,
    resume: bool,
    device: str,
    seed: int,
    composed: dict[str, Any],
) -> int:
    """Train a model; the keys are those of ``conf/train.yaml``.

    ``composed`` are the same settings as plain values, for the run's record.

    Raises
    ------
    BadInput
        Anything does not fit, found before the first step; or the training cannot go on.
    """
    from vocoder.device import torch_device

    outcome = train.run(
        spec=spec,
        data=data,
        channel=channel,
        model=model,
        folder=Path(output),
        device=torch_device(device),
        seed=seed,
        resume=resume,
        record=composed,
    )
    if outcome is None:  # another process tells
        return 0
    early = ", since validation got no better" if outcome.stopped_early else ""
    print(f"{outcome.steps} steps{early}; best ESTOI of a validation: {outcome.best_estoi:.4f}")
    print(f"Weights, curves and record in {output}")
    return 0
