"""A training from its settings to its weights: checks, records, and then the loop."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from vocoder.config import build
from vocoder.cpu import usable_cores
from vocoder.errors import BadInput
from vocoder.model.checkpoint import load_weights, read_checkpoint, settings_of
from vocoder.model.weights import find_weights
from vocoder.spec import SpectrogramSpec
from vocoder.train.channel.base import Channel
from vocoder.train.data import Data
from vocoder.train.examples import Mixture
from vocoder.train.loop import JUDGES_NAME, Outcome, fit
from vocoder.train.machines import joined, local_device
from vocoder.train.objective.base import MODEL, Objective, Task
from vocoder.train.plan import Plan
from vocoder.train.record import require_same_data, require_same_settings, write_record
from vocoder.train.state import checkpoints, read_judges, step_of
from vocoder.train.validation import Validation

RECORD_NAME = "run.json"
LOCK_NAME = ".lock"
# Examples are made louder or quieter by up to this: pictures come at all levels.
GAIN_DB = 8.0


@dataclass(frozen=True, kw_only=True)
class Training:
    """The options of ``train=``.

    Parameters
    ----------
    init : str or None
        Weights to go on from, with a fresh schedule: a run's folder, a ``.safetensors`` file, or
        the name of shipped ones, such as ``repair``.
    validation_lines : int
        Lines that are rendered and measured at every validation.
    plan : Plan
    task : Task

    Raises
    ------
    BadInput
        Nothing to validate on.
    """

    init: str | None
    validation_lines: int
    plan: Plan
    task: Task

    def __post_init__(self) -> None:
        if self.validation_lines < 1:
            raise BadInput(
                f"train.validation_lines is {self.validation_lines}; expected at least 1"
            )

    def run(
        self,
        *,
        spec: SpectrogramSpec,
        data: Data,
        channel: Channel,
        model: nn.Module,
        folder: Path,
        device: torch.device,
        seed: int,
        resume: bool,
        record: Mapping[str, Any],
    ) -> Outcome | None:
        """Check everything, write down the settings, and train.

        Parameters
        ----------
        spec, data, channel, model
            What the command line composes.
        folder : Path
            For the run; must not hold another.
        device : torch.device
        seed : int
        resume : bool
            Go on with the run in ``folder``, from its beginning where it came to no checkpoint.
        record : mapping
            The composed configuration as plain values.

        Returns
        -------
        Outcome or None
            ``None`` in a process that doesn't lead.

        Raises
        ------
        BadInput
            Anything does not fit, before the first step; or what `fit` raises.
        """
        if seed < 0:
            raise BadInput(f"seed is {seed}; expected at least 0")
        if self.plan.workers > (cores := len(usable_cores())):
            raise BadInput(
                f"train.plan.workers is {self.plan.workers}; expected at most the {cores} cores of "
                "this machine"
            )
        objective = self.task.objective(model, spec)
        with joined(device) as machines, _own_folder(folder, resume, record, machines.leads):
            machines.share(self.plan.batch_size)
            there = checkpoints(folder) if resume else []
            if self.init is not None and not there:
                initialise(objective, self.init)
            materials = data.materials(spec, channel, seed)
            if there and machines.leads:
                require_same_data(folder / RECORD_NAME, materials.record)
            examples = Mixture(
                materials.train,
                materials.weights,
                frames=self.plan.frames,
                gain_db=GAIN_DB,
                seed=seed,
            )
            validation = Validation(materials.validation, spec, self.validation_lines, seed)
            if machines.leads:
                for note in materials.notes:
                    tqdm.write(note)
                write_record(
                    folder / RECORD_NAME,
                    record,
                    materials.record,
                    seed,
                    machines.world,
                    step_of(there[-1]) if there else 0,
                )
            outcome = fit(
                objective,
                examples,
                validation,
                self.plan,
                folder,
                device=local_device(device),
                machines=machines,
                seed=seed,
                resume=bool(there),
                card={"data": materials.record, "init": self.init, "seed": seed},
            )
            return outcome if machines.leads else None


def initialise(objective: Objective, source: str) -> None:
    """Give the networks the weights of an earlier training, the discriminators included.

    Parameters
    ----------
    objective : Objective
    source : str
        A run's folder, a ``.safetensors`` file with ``discriminators.pt`` beside it if the
        objective has any, or the name of shipped weights.

    Raises
    ------
    BadInput
        Another model or spec (the fields are named), or no weights for the discriminators:
        fine-tuning against fresh ones makes a vocoder worse.
    """
    path = find_weights(source)
    checkpoint = read_checkpoint(path)
    objective.spec.require_same(checkpoint.spec, "this training", str(path))
    # Of a built model: one network's settings can be written in several ways.
    model = build({**checkpoint.model, "spec": checkpoint.spec}, str(path))
    ours, theirs = settings_of(objective.model), settings_of(model)
    if ours != theirs:
        named = "; ".join(
            f"{key}: {ours.get(key)} != {theirs.get(key)}"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        )
        raise BadInput(f"{path} holds another model than model= says ({named})")
    load_weights(objective.model, checkpoint.tensors, str(path))
    judges = {name: net for name, net in objective.networks().items() if name != MODEL}
    if not judges:
        return
    states = read_judges(path.parent / JUDGES_NAME)
    for name, network in judges.items():
        if name not in states:
            raise BadInput(
                f"{path.parent / JUDGES_NAME} has no discriminator {name}; it has "
                f"{', '.join(states)}"
            )
        load_weights(network, states[name], f"{path.parent / JUDGES_NAME}, {name}")


@contextmanager
def _own_folder(
    folder: Path, resume: bool, record: Mapping[str, Any], leads: bool
) -> Iterator[None]:
    """The folder of a run, for as long as it lasts; no other training may write there."""
    if not leads:
        yield
        return
    path, there = folder / RECORD_NAME, checkpoints(folder)
    if resume and there:
        require_same_settings(path, record)
    elif resume and not path.exists():
        raise BadInput(f"resume=true, but {folder} holds no run; leave resume out")
    elif not resume and (there or path.exists()):
        raise BadInput(
            f"{folder} holds a run already; choose another output, or resume=true to go on with it"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_NAME).open("w")
    except OSError as error:
        raise BadInput(f"output={folder} cannot be written to: {error.strerror}") from error
    with lock:
        try:
            # Unlike flock, not inherited by the workers, which may outlive a kill by seconds.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInput(
                f"another training is writing to {folder}; choose another output"
            ) from error
        yield
