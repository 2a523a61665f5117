"""The state of a run on disk: all that is needed to go on as if nothing had happened."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vocoder.errors import BadInput
from vocoder.files import atomic_path

FOLDER = "checkpoints"
_NAME = re.compile(r"step_(\d{8})\.pt")


@dataclass
class State:
    """Where a run stands.

    Parameters
    ----------
    step : int
        Steps done. Examples are numbered, so this is the position in the data too.
    networks : dict of str to dict
        State of each network, the discriminators included.
    optimisers : dict of str to dict
    ema : dict of str to Tensor
        Moving average of the model.
    random : Tensor
        State of torch's generator.
    best : float
        The best ESTOI of a validation so far.
    since_best : int
        Validations since then.
    """

    step: int
    networks: dict[str, dict[str, Any]]
    optimisers: dict[str, dict[str, Any]]
    ema: dict[str, torch.Tensor]
    random: torch.Tensor
    best: float
    since_best: int


def write_state(state: State, run: Path, keep: int) -> Path:
    """Write a checkpoint whole or not at all, and delete all but the newest ``keep``.

    Raises
    ------
    BadInput
        The disk is full or the folder cannot be written; older checkpoints are untouched.
    """
    folder = run / FOLDER
    path = folder / f"step_{state.step:08d}.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, overwrite=True) as temporary:
            torch.save(vars(state), temporary)
    except (OSError, RuntimeError) as error:  # torch's writer raises the latter for a full disk
        kept = [old.name for old in checkpoints(run)]
        raise BadInput(
            f"{path} could not be written ({error}); "
            + (f"{kept[-1]} is intact, go on from it with resume=true" if kept else "none is there")
        ) from error
    for old in checkpoints(run)[:-keep]:
        old.unlink()
    return path


def checkpoints(run: Path) -> list[Path]:
    """A run's checkpoints, the newest last."""
    return sorted(path for path in (run / FOLDER).glob("step_*.pt") if _NAME.fullmatch(path.name))


def read_state(path: Path) -> State:
    """Read a checkpoint; nothing in it is executed.

    Raises
    ------
    BadInput
        It is no checkpoint, damaged, or holds more than tensors and plain values.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        return State(**values)
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path} is no checkpoint of a training run ({reason})") from error


def read_judges(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Weights of discriminators, by name; nothing in the file is executed.

    Raises
    ------
    BadInput
        It is not there, damaged, or holds anything else.
    """
    if not path.is_file():
        raise BadInput(
            f"{path} is missing; fine-tuning needs the discriminators' weights beside the model's. "
            "Without them train with the adversarial weights at 0"
        )
    try:
        states: dict[str, dict[str, torch.Tensor]] = torch.load(
            path, map_location="cpu", weights_only=True
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise BadInput(f"{path} cannot be read ({str(error).splitlines()[0]})") from error
    return states
