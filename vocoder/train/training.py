"""A training from its settings to its weights: checks, records, and then the loop."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import nn
from tqdm import tqdm

from vocoder.config import build
from vocoder.cpu import torch_threads, usable_cores
from vocoder.errors import BadInput, differences, expect, expect_ranges, some_of
from vocoder.model.checkpoint import load_weights, read_checkpoint, settings_of
from vocoder.model.interchange.reading import is_state
from vocoder.model.weights import BEST_NAME, find_weights
from vocoder.repair.network import RepairNet
from vocoder.spec import SpectrogramSpec
from vocoder.train import distributed
from vocoder.train.data import Data
from vocoder.train.degradation import Degradation
from vocoder.train.examples import Mixture
from vocoder.train.logging import summary_writer
from vocoder.train.loop import CURVES_NAME, DISCRIMINATORS_NAME, LAST_NAME, Outcome, fit
from vocoder.train.plan import Plan
from vocoder.train.record import (
    RECORD_NAME,
    continued,
    new_record,
    require_same_data,
    require_same_settings,
)
from vocoder.train.state import checkpoints, load_tensors, newest_checkpoint
from vocoder.train.tasks.base import MODEL, Task
from vocoder.train.validation import Validation

LOCK_NAME = ".lock"
# Examples are made louder or quieter by up to this: images come at all levels.
GAIN_DB = 8.0


@dataclass(frozen=True, kw_only=True)
class Training:
    """The options of ``train=``; ``conf/train/_base.yaml`` describes the settings."""

    init: str | None
    validation_utterances: int
    plan: Plan
    task: Task

    def __post_init__(self) -> None:
        expect_ranges(self, "train", validation_utterances=(1, math.inf))
        expect(
            self.init is not None or not self.plan.init_share,
            "train.plan.init_share",
            self.plan.init_share,
            "0 without train.init, whose weights it is a share of",
        )

    def run(
        self,
        *,
        spec: SpectrogramSpec,
        data: Data,
        degradation: Degradation,
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
        folder : Path
            For the run; must not hold another.
        resume : bool
            Go on with the run in ``folder``, from its beginning where it came to no checkpoint.
        record : mapping
            The composed configuration as plain values.

        Returns
        -------
        Outcome or None
            ``None`` in all processes but the main one.
        """
        cores, workers = len(usable_cores()), self.plan.workers
        expected = f"at most the {cores} cores of this machine"
        expect(workers <= cores, "train.plan.workers", workers, expected)
        summary_writer()  # before hours of work, or of waiting for other processes
        self.task.setup(model, spec)
        with (
            distributed.process_group(device),
            _own_folder(folder, resume=resume),
            torch_threads(self.plan.threads),
        ):
            distributed.share_of(self.plan.batch_size)
            checkpoint = newest_checkpoint(folder) if resume else None
            before = None if checkpoint is None else checkpoint[1]["record"]
            if before is not None:
                require_same_settings(before, record, folder)
            elif self.init is not None:
                initialise(self.task, self.init)
            specs = model.specs if isinstance(model, RepairNet) else (spec,)
            sources = data.open(specs, degradation, seed)
            now = new_record(record, sources.record, seed, distributed.world_size())
            if checkpoint is not None and before is not None:
                require_same_data(before, now["data"], folder)
                now = continued(before, now, checkpoint[1]["step"])
            if distributed.is_main():
                for note in sources.notes:
                    tqdm.write(note)
            outcome = fit(
                self.task,
                Mixture(
                    sources.train,
                    sources.weights,
                    frames=self.plan.frames,
                    gain_db=GAIN_DB,
                    seed=seed,
                ),
                Validation(sources.validation, spec, self.validation_utterances, seed),
                self.plan,
                folder,
                device=distributed.local_device(device),
                seed=seed,
                record=now,
                checkpoint=checkpoint,
                card={"data": sources.record, "init": self.init, "seed": seed},
            )
            return outcome if distributed.is_main() else None


def initialise(task: Task, source: str) -> None:
    """Give the networks the weights of an earlier training, the discriminators included.

    Fine-tuning against fresh discriminators makes a vocoder worse, so theirs must be there, in
    ``discriminators.pt`` beside a ``.safetensors`` file.
    """
    path = find_weights(source)
    checkpoint = read_checkpoint(path)
    task.spec.require_same(checkpoint.spec, "this training", str(path))
    # Of a built model: one network's settings can be written in several ways.
    model = build({**checkpoint.model, "spec": checkpoint.spec}, str(path))
    if wrong := list(differences(settings_of(task.model), settings_of(model), "model")):
        named = some_of([f"{name}: {ours} != {theirs}" for name, ours, theirs in wrong])
        raise BadInput(f"{path} holds another model ({named})", key="train.init.conflict")
    load_weights(task.model, checkpoint.tensors, str(path))
    discriminators = {name: net for name, net in task.networks().items() if name != MODEL}
    if not discriminators:
        return
    beside = path.parent / DISCRIMINATORS_NAME
    if not beside.is_file():
        raise BadInput(
            f"{beside} is missing; fine-tuning needs the discriminators' weights beside the "
            "model's. Without them train with the adversarial weights at 0",
            key="train.init.discriminators.missing",
        )
    states = load_tensors(beside)
    for name, network in discriminators.items():
        weights = states.get(name) if isinstance(states, dict) else None
        if not is_state(weights):
            raise BadInput(
                f"{beside} holds no weights of a discriminator {name}, but the model's training "
                "needs them",
                key="train.init.discriminators.missing",
            )
        load_weights(network, weights, f"{beside}, {name}")


def _learnt(path: Path) -> bool:
    """Whether there are weights, and not those that a start which was killed began with."""
    return path.exists() and read_checkpoint(path).card.get("steps") != 0


@contextmanager
def _own_folder(folder: Path, *, resume: bool) -> Iterator[None]:
    """The folder of a run, for as long as it lasts; no other training may write there."""
    if not distributed.is_main():
        yield
        return
    names = (RECORD_NAME, BEST_NAME, LAST_NAME, CURVES_NAME)
    there = [name for name in names if (folder / name).exists()]
    if resume and not (folder.is_dir() and any(folder.iterdir())):
        raise BadInput(
            f"resume=true, but {folder} holds no run; leave resume out", key="resume.missing"
        )
    if resume and not checkpoints(folder) and (RECORD_NAME in there or _learnt(folder / BEST_NAME)):
        raise BadInput(
            f"resume=true, but the run in {folder} has no checkpoint any more; go on from its "
            f"weights in another output, with train.init={folder}",
            key="checkpoint.missing",
        )
    if resume and checkpoints(folder) and BEST_NAME not in there:
        raise BadInput(
            f"resume=true, but {folder} has no {BEST_NAME} any more, the best weights so far; put "
            "it back, or choose another output",
            key="weights.missing",
        )
    if not resume and (checkpoints(folder) or there not in ([], [CURVES_NAME])):
        raise BadInput(
            f"{folder} holds a run already; choose another output, or resume=true to go on with it",
            key="output.exists",
        )
    lock, is_new = FileLock(folder / LOCK_NAME), not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BadInput(
            f"another training is writing to {folder}; choose another output", key="output.locked"
        ) from error
    except OSError as error:
        raise BadInput(
            f"output={folder} cannot be written to: {error.strerror}", key="output.unwritable"
        ) from error
    try:
        yield
    finally:
        if not checkpoints(folder):  # a start that failed leaves nothing
            if not there:
                shutil.rmtree(folder / CURVES_NAME, ignore_errors=True)
            (folder / LOCK_NAME).unlink(missing_ok=True)
            if is_new:
                with suppress(OSError):  # a batch that was no number is kept there
                    folder.rmdir()
        lock.release()
