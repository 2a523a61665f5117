"""All that a run is, saved whole, so that it goes on as if nothing had happened."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel

from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.train.plan import Plan
from vocoder.train.validation import Scores

FORMAT = "vocoder-training-2"
FOLDER = "checkpoints"
_NAME = re.compile(r"step_(\d{8})\.pt")
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
_FOREIGN = "it holds other things than tensors and plain values, or is damaged; it was not read"


@dataclass
class State:
    """Where a run stands."""

    networks: dict[str, nn.Module]  # the model, and the discriminators by their names
    optimisers: dict[str, AdamW]  # one for each network
    average: AveragedModel  # moving average of the model
    began: dict[str, Tensor]  # the weights it began with, where a share of them ships
    init_share: float
    record: dict[str, Any]  # what the run is made from; see `vocoder.train.record`
    step: int = 0  # done; examples are numbered, so this is the position in the data too
    validated: int = -1  # the step of the last validation
    first: Scores | None = None  # of the first validation
    best: Scores | None = None
    best_step: int = 0
    since_best: int = 0  # validations since then

    def shipped(self) -> nn.Module:
        """The model that is validated and written: the average, and a share of the beginning.

        A mean of a network's weights before and after fine-tuning keeps what it knew of other data
        and most of the gain (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
        """
        if not self.began:
            return self.average.module
        mixed = copy.deepcopy(self.average.module)
        with torch.no_grad():
            for name, weight in mixed.named_parameters():
                weight.lerp_(self.began[name], self.init_share)
        return mixed

    def save(self, run: Path, keep: int) -> None:
        """Write a checkpoint whole or not at all, and delete all but the newest ``keep``."""
        content = {
            "format": FORMAT,
            "networks": {name: one.state_dict() for name, one in self.networks.items()},
            "optimisers": {name: one.state_dict() for name, one in self.optimisers.items()},
            "average": self.average.state_dict(),
            "began": self.began,
            "random": torch.get_rng_state(),
            "record": self.record,
            "step": self.step,
            "validated": self.validated,
            "first": None if self.first is None else asdict(self.first),
            "best": None if self.best is None else asdict(self.best),
            "best_step": self.best_step,
            "since_best": self.since_best,
        }
        try:
            save_tensors(content, run / FOLDER / f"step_{self.step:08d}.pt")
        except BadInput as error:
            raise BadInput(f"{error}; {what_is_left(run)}", key=error.key) from error
        for old in checkpoints(run)[:-keep]:
            old.unlink()

    def load(self, content: Mapping[str, Any], path: Path, plan: Plan) -> None:
        """Go on from what `read_checkpoint` read from ``path``, at the rates of ``plan``."""
        theirs = content["networks"]
        if theirs.keys() != self.networks.keys():
            raise BadInput(
                f"{path} was written by a run with {', '.join(theirs)}; this one has "
                f"{', '.join(self.networks)}; resume with the settings that the run was begun with",
                key="checkpoint.conflict",
            )
        try:
            for name, network in self.networks.items():
                network.load_state_dict(theirs[name])
                optimiser = self.optimisers[name]
                settings = optimiser.defaults
                optimiser.load_state_dict(content["optimisers"][name])
                for group in optimiser.param_groups:
                    group.update({key: settings[key] for key in ("betas", "weight_decay")})
            self.average.load_state_dict(content["average"])
            for name, weight in self.began.items():
                weight.copy_(content["began"][name])
            torch.set_rng_state(content["random"])
            self.first, self.best = (
                None if content[name] is None else Scores(**content[name])
                for name in ("first", "best")
            )
        except _UNREADABLE as error:
            reason = " ".join(str(error).split())[:300]
            raise BadInput(
                f"{path} is of another model than this run's ({reason})", key="checkpoint.conflict"
            ) from error
        for name in ("step", "validated", "best_step", "since_best"):
            setattr(self, name, content[name])


def new_state(networks: Mapping[str, nn.Module], plan: Plan, record: dict[str, Any]) -> State:
    """The state of a run before its first step; ``networks`` begins with the model."""
    beta1, beta2 = plan.betas
    model = next(iter(networks.values()))

    def update(averages: Any, currents: Any, n_averaged: Any) -> None:
        # Little is kept at first, when what there is to keep is hardly trained.
        keep = min(plan.ema_decay, int(n_averaged) / (int(n_averaged) + 9))
        for average, current in zip(averages, currents, strict=True):
            average.lerp_(current, 1 - keep)

    average = AveragedModel(model, multi_avg_fn=update)
    average.module.eval()
    average.update_parameters(model)
    weights = model.named_parameters() if plan.init_share else ()
    return State(
        networks=dict(networks),
        optimisers={
            name: AdamW(network.parameters(), 1.0, (beta1, beta2), weight_decay=plan.weight_decay)
            for name, network in networks.items()
        },
        average=average,
        began={name: weight.detach().clone() for name, weight in weights},
        init_share=plan.init_share,
        record=record,
    )


def checkpoints(run: Path) -> list[Path]:
    """A run's checkpoints, the newest last."""
    return sorted(path for path in (run / FOLDER).glob("step_*.pt") if _NAME.fullmatch(path.name))


def what_is_left(run: Path) -> str:
    """What a run that has failed can go on from, for its error."""
    there = checkpoints(run)
    return f"resume=true goes on from {there[-1].name}" if there else "there is no checkpoint yet"


def newest_checkpoint(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """A run's newest checkpoint, read."""
    there = checkpoints(run)
    if not there:
        return None
    try:
        return there[-1], read_checkpoint(there[-1])
    except BadInput as error:
        earlier = f"delete it to go on from {there[-2].name}, or " if len(there) > 1 else ""
        raise BadInput(
            f"{error}; {earlier}begin anew in another output from the best weights so far, with "
            f"train.init={run}",
            key=error.key,
        ) from error


# What each entry of a checkpoint is; what lies deeper is checked where it is used.
_TYPES: dict[str, type | tuple[type, ...]] = {
    "networks": dict,
    "optimisers": dict,
    "average": dict,
    "began": dict,
    "random": Tensor,
    "record": dict,
    "step": int,
    "validated": int,
    "first": (dict, type(None)),
    "best": (dict, type(None)),
    "best_step": int,
    "since_best": int,
}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `State.save` wrote, as plain values and tensors; nothing in it is executed."""
    content = load_tensors(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BadInput(
            f"{path} is not a checkpoint of a training run, or of another version of vocoder; its "
            "weights are in best.safetensors, from which train.init= goes on in another output",
            key="checkpoint.format",
        )
    wrong = [name for name, kind in _TYPES.items() if not isinstance(content.get(name, ...), kind)]
    if wrong:
        raise BadInput(f"{path} is damaged: no valid {', '.join(wrong)}", key="checkpoint.damaged")
    return content


def save_tensors(values: Mapping[str, Any], path: Path) -> None:
    """Write tensors and plain values, for `load_tensors`, whole or not at all."""
    with atomic_path(path, overwrite=True) as temporary:
        try:
            with temporary.open("wb") as file:
                torch.save(dict(values), file)
        except RuntimeError as error:
            # That torch's archive is not whole; what the disk said came before.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            first, _, _ = str(error).partition("\n")
            raise BadInput(f"cannot write {path}: {first}", key="output.unwritable") from error


def load_tensors(path: Path) -> Any:
    """Read tensors and plain values; nothing in the file is executed."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist", key="checkpoint.missing") from error
    except _UNREADABLE as error:
        # Never torch's words, which advise to run what the file holds.
        reason = "it is damaged, or something else"
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        elif isinstance(error, pickle.UnpicklingError):
            reason = _FOREIGN
        raise BadInput(f"{path} cannot be read ({reason})", key="checkpoint.damaged") from error
