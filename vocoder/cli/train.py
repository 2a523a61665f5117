"""``vocoder train``: recordings and generated images to weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocoder.cli.codes import DONE, INTERRUPTED

if TYPE_CHECKING:
    from torch import nn

    from vocoder.spec import SpectrogramSpec
    from vocoder.train.data import Data
    from vocoder.train.degradation import Degradation
    from vocoder.train.training import Training


def run(
    *,
    output: str,
    spec: SpectrogramSpec,
    data: Data,
    degradation: Degradation,
    model: nn.Module,
    train: Training,
    resume: bool,
    device: str,
    seed: int,
    composed: dict[str, Any],
) -> int:
    """Train a model; the keys are those of ``conf/train.yaml``.

    ``composed`` are the same settings as plain values, for the run's record.
    """
    from vocoder.device import torch_device

    outcome = train.run(
        spec=spec,
        data=data,
        degradation=degradation,
        model=model,
        folder=Path(output),
        device=torch_device(device),
        seed=seed,
        resume=resume,
        record=composed,
    )
    if outcome is None:  # another process tells
        return DONE
    print(outcome.describe(Path(output), fine_tuned=train.init is not None))
    return INTERRUPTED if outcome.interrupted else DONE
