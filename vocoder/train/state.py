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
# What torch raises for files that are no pickles, or damaged or hostile ones.
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)
_NAME = re.compile(r"step_(\d{8})\.pt")
_FOREIGN = "it holds other things than tensors and plain values, or is damaged; it was not read"


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
        _save(vars(state), path)
    except BadInput as error:
        kept = [old.name for old in checkpoints(run)]
        raise BadInput(
            f"{error}; "
            + (
                f"{kept[-1]} is intact, go on from it with resume=true once there is room"
                if kept
                else "there is no earlier checkpoint"
            )
        ) from error
    for old in checkpoints(run)[:-keep]:
        old.unlink()
    return path


def write_judges(judges: dict[str, dict[str, torch.Tensor]], path: Path) -> None:
    """Write weights of discriminators, by name, for `read_judges`.

    Raises
    ------
    BadInput
        They cannot be written.
    """
    _save(judges, path)


def _save(values: dict[str, Any], path: Path) -> None:
    with atomic_path(path, overwrite=True) as temporary:
        try:
            with temporary.open("wb") as file:
                torch.save(values, file)
        except RuntimeError as error:
            # That torch's archive is not whole; what the disk said came before.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            first, _, _ = str(error).partition("\n")
            raise BadInput(f"cannot write {path}: {first}") from error


def _reason(error: BaseException) -> str:
    """Why a file could not be read. Never torch's words, which advise to run what it holds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, pickle.UnpicklingError):
        return _FOREIGN
    return "it is damaged, or something else"


def checkpoints(run: Path) -> list[Path]:
    """A run's checkpoints, the newest last."""
    return sorted(path for path in (run / FOLDER).glob("step_*.pt") if _NAME.fullmatch(path.name))


def step_of(path: Path) -> int:
    """Steps done at a checkpoint, as its name says."""
    return int(path.stem.removeprefix("step_"))


def newest_state(run: Path) -> State:
    """Where a run stands.

    Raises
    ------
    BadInput
        There is no checkpoint, or the newest cannot be read: the message says which one can.
    """
    there = checkpoints(run)
    if not there:
        raise BadInput(f"resume=true, but {run} holds no checkpoint; start with resume=false")
    try:
        return read_state(there[-1])
    except BadInput as error:
        intact = next(filter(_is_readable, reversed(there[:-1])), None)
        if intact is None:
            raise BadInput(
                f"{error}; there is no other checkpoint that is intact; begin anew in another "
                f"output, from the best weights so far with train.init={run}"
            ) from error
        newer = ", ".join(path.name for path in there[there.index(intact) + 1 :])
        raise BadInput(
            f"{error}; {intact.name} is intact: delete {newer}, and resume=true goes on from it"
        ) from error


def _is_readable(path: Path) -> bool:
    try:
        read_state(path)
    except BadInput:
        return False
    return True


def read_state(path: Path) -> State:
    """Read a checkpoint; nothing in it is executed.

    Raises
    ------
    BadInput
        It is no checkpoint, damaged, or holds more than tensors and plain values.
    """
    try:
        return State(**torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except _UNREADABLE as error:
        raise BadInput(f"{path} is no checkpoint of a training run ({_reason(error)})") from error


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
        tensors = [tensor for state in states.values() for tensor in state.values()]
    except _UNREADABLE as error:
        raise BadInput(f"{path} cannot be read ({_reason(error)})") from error
    if not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        raise BadInput(f"{path} holds other things than weights of discriminators")
    return states
