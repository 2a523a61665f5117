"""The training loop, for every task: read it from top to bottom."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vocoder.errors import BadInput
from vocoder.evaluate.inference import ALPHA, paired_p
from vocoder.files import atomic_path, write_text
from vocoder.memory import enough_memory
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.weights import BEST_NAME
from vocoder.train import distributed
from vocoder.train.examples import Batch, Example, Mixture
from vocoder.train.interruption import ignore_interruptions, interruptible
from vocoder.train.logging import Curves, Progress
from vocoder.train.plan import Plan
from vocoder.train.record import RECORD_NAME
from vocoder.train.state import State, new_state, save_tensors, what_is_left
from vocoder.train.tasks.base import MODEL, Task
from vocoder.train.validation import Scores, Validation

LAST_NAME = "last.safetensors"
DISCRIMINATORS_NAME = "discriminators.pt"
CURVES_NAME = "curves"
LOG_EVERY = 10  # steps between two points of the curves


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    steps: int  # done in all
    first: Scores | None  # of the weights that it began with; `None` if interrupted before
    best: Scores | None  # of those in ``best.safetensors``, which may be the same
    best_step: int
    stopped_early: bool  # no better validation for as long as the plan's patience
    interrupted: bool  # by Ctrl+C, or by the system that ends processes (SIGTERM)

    def describe(self, run: Path, *, fine_tuned: bool) -> str:
        """What became of the run in ``run``, in sentences for whoever started it."""
        if self.first is None or self.best is None or (self.interrupted and not self.steps):
            return "Interrupted before the first step; nothing was saved."
        n = len(self.first.estoi)
        held_back = f"{n} held-back {'utterance' if n == 1 else 'utterances'}"
        said = [f"{self.steps} steps" + (", then no better for long enough" * self.stopped_early)]
        if self.best_step:
            gains = [b - a for a, b in zip(self.first.estoi, self.best.estoi, strict=True)]
            higher, p = sum(gain > 0 for gain in gains), paired_p(gains)
            chance = f"; that may be chance (p {p:.2f})" if p >= ALPHA else ""
            said.append(
                f"Best at step {self.best_step}: on {held_back} ESTOI went from "
                f"{self.first.mean_estoi:.3f} to {self.best.mean_estoi:.3f} (higher in {higher}), "
                f"the mel distance from {self.first.mean_mel_distance_db:.2f} to "
                f"{self.best.mean_mel_distance_db:.2f} dB{chance}"
            )
        elif not self.interrupted:
            began = "the weights it began with" if fine_tuned else "the untrained weights"
            said.append(
                f"Nothing was gained: no validation on {held_back} was better than "
                f"{began} (ESTOI {self.first.mean_estoi:.3f}), which {BEST_NAME} holds; try a "
                "lower train.plan.learning_rate, "
                + ("more or other data" if fine_tuned else "or more steps")
            )
        said.append(f"Weights, curves and record in {run}")
        if self.interrupted:
            said.append(f"Interrupted; resume=true goes on from step {self.steps}")
        return "\n".join(said)


def fit(
    task: Task,
    examples: Mixture,
    validation: Validation,
    plan: Plan,
    run: Path,
    *,
    device: torch.device,
    seed: int,
    record: dict[str, Any],
    checkpoint: tuple[Path, Mapping[str, Any]] | None,
    card: Mapping[str, Any],
) -> Outcome:
    """Train until the plan's last step, or until validation stops getting better.

    Parameters
    ----------
    task : Task
        Its networks are trained in place.
    run : Path
        Folder for checkpoints, curves, ``run.json``, ``best.safetensors`` and ``last.safetensors``.
    seed : int
        Of what the networks draw; examples have their own.
    record : dict
        What the run is made from, for ``run.json``; see `vocoder.train.record`.
    checkpoint : (Path, mapping) or None
        To go on from, as if the run had never stopped.
    card : mapping
        What is known beforehand of what the weights were made from; written beside them.
    """
    torch.manual_seed(seed + distributed.rank())
    networks = {name: network.to(device) for name, network in task.networks().items()}
    distributed.broadcast(networks.values())
    state = new_state(networks, plan, record)
    if checkpoint is not None:
        path, content = checkpoint
        state.load(content, path, plan)
    saved = None if checkpoint is None else state.step
    main = distributed.is_main()

    def validate() -> None:
        """Measure the model as it would ship, and keep it if none was better."""
        scores = validation(task, state.shipped(), device, state.step, curves, interrupted)
        if scores is None:  # interrupted: it is done when the run goes on
            return
        state.validated = state.step
        state.first = state.first or scores
        diverged = scores.has_diverged(state.first)
        progress.write(
            f"step {state.step}: ESTOI {scores.mean_estoi:.4f}, mel distance "
            f"{scores.mean_mel_distance_db:.2f} dB" + (", diverged" if diverged else "")
        )
        if state.best is None or (scores.is_better(state.best) and not diverged):
            state.best, state.best_step, state.since_best = scores, state.step, 0
            write_model(run / BEST_NAME, task, state, card)
        else:
            state.since_best += 1

    def save_all() -> None:
        """Write whatever is needed to use the weights, and to go on."""
        write_model(run / LAST_NAME, task, state, card)
        write_discriminators(run / DISCRIMINATORS_NAME, networks)
        # Last: what is resumed from here has nothing before it left to write.
        state.save(run, plan.keep_checkpoints)
        record_text = json.dumps(state.record, indent=2, ensure_ascii=False)
        write_text(run / RECORD_NAME, record_text, overwrite=True)

    try:
        with (
            enough_memory("lower train.plan.batch_size or train.plan.frames"),
            Curves(run / CURVES_NAME, state.step + 1) if main else nullcontext() as curves,
            Progress(plan.steps, state.step, enabled=main) as progress,
            interruptible(progress.write) as interrupted,
        ):
            batches = _batches(examples, plan, state.step)
            while True:
                at_end = state.step >= plan.steps
                due = at_end or state.step % plan.validate_every == 0
                if main and due and state.validated < state.step:
                    with progress.pause("validating"):
                        validate()
                out_of_patience = state.since_best >= plan.patience
                stop = distributed.any_process(at_end or out_of_patience or interrupted())
                # After the first step too, so that a full disk is found at once.
                due = stop or state.step == 1 or state.step % plan.checkpoint_every == 0
                if main and due and state.step not in (0, saved):
                    with progress.pause("saving"):
                        save_all()
                    saved = state.step
                if stop:
                    break
                figures = _step(state, task, next(batches).to(device), plan, run)
                progress.step(figures[f"{MODEL}/total"])
                if curves is not None and state.step % LOG_EVERY == 0:
                    figures["steps_per_second"] = progress.steps_per_second()
                    for name, value in figures.items():
                        curves.add_scalar(name, value, state.step)
    finally:
        if main and saved is None:
            (run / BEST_NAME).unlink(missing_ok=True)  # a start that failed leaves no run
    return Outcome(
        steps=state.step,
        first=state.first,
        best=state.best,
        best_step=state.best_step,
        stopped_early=out_of_patience and not at_end,
        interrupted=not (at_end or out_of_patience),
    )


def _step(state: State, task: Task, batch: Batch, plan: Plan, run: Path) -> dict[str, float]:
    """One step of every network down its gradient; what there is to show of it."""
    figures: dict[str, float] = {}
    for name in task.order(state.step):
        network, optimiser = state.networks[name], state.optimisers[name]
        with torch.autocast(
            batch.waveform.device.type, torch.bfloat16, enabled=plan.precision == "bfloat16"
        ):
            losses = task.losses(name, batch, state.step)
        seen = distributed.means(losses)
        seen["gradient"] = _gradient(network, losses["total"], plan)
        _require_finite(seen, name, state.step, batch, run)
        rate = plan.learning_rate if name == MODEL else plan.discriminator_learning_rate
        seen["learning_rate"] = rate * plan.rate_factor(state.step)
        for group in optimiser.param_groups:
            group["lr"] = seen["learning_rate"]
        optimiser.step()
        figures |= {f"{name}/{key}": value for key, value in seen.items()}
    state.average.update_parameters(state.networks[MODEL])
    state.step += 1
    return figures


def _gradient(network: nn.Module, loss: Tensor, plan: Plan) -> float:
    """Find one network's gradient, of all processes and clipped; its length before that."""
    network.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    distributed.average_gradients(network)
    return float(nn.utils.clip_grad_norm_(network.parameters(), plan.clip_norm))


def _require_finite(
    figures: Mapping[str, float], name: str, step: int, batch: Batch, run: Path
) -> None:
    """Stop at a loss or gradient that is infinite or no number, and keep what led to it."""
    bad = [key for key, value in figures.items() if not math.isfinite(value)]
    if not bad:
        return
    share = "" if distributed.world_size() == 1 else f"_{distributed.rank()}"
    path = run / f"bad_batch_{step}{share}.safetensors"
    kept = f"the batch is in {path}"
    tensors = {key: tensor.cpu().contiguous() for key, tensor in vars(batch).items()}
    try:
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_bytes(save(tensors))
    except BadInput as error:  # the disk is full
        kept = f"the batch could not be kept ({error})"
    raise BadInput(
        f"{name}/{bad[0]} became {figures[bad[0]]} in step {step}; {kept}; {what_is_left(run)}. A "
        "lower train.plan.learning_rate helps, unless the batch itself holds what it should not",
        key="train.diverged",
    )


def _batches(examples: Mixture, plan: Plan, done: int) -> Iterator[Batch]:
    """This process's share of every batch from step ``done`` on."""
    share = distributed.share_of(plan.batch_size)

    def indices() -> Iterator[list[int]]:
        for step in range(done, plan.steps):
            first = step * plan.batch_size + distributed.rank() * share
            yield list(range(first, first + share))

    loader: DataLoader[Example] = DataLoader(
        examples,
        batch_sampler=indices(),
        num_workers=plan.workers,
        collate_fn=Batch.of,
        prefetch_factor=4 if plan.workers else None,
        generator=torch.Generator(),  # or else it draws from the common one, resumed or not
        worker_init_fn=ignore_interruptions,
    )
    return iter(loader)


def write_model(path: Path, task: Task, state: State, card: Mapping[str, Any]) -> None:
    """Write the model as it ships, as `vocoder.model.checkpoint.read_checkpoint` reads it."""
    tensors = state.shipped().state_dict()
    settings = settings_of(task.model)
    checkpoint = Checkpoint(settings, task.spec, tensors, {**card, "steps": state.step})
    checkpoint.write(path, overwrite=True)


def write_discriminators(path: Path, networks: Mapping[str, nn.Module]) -> None:
    """Write what a fine-tuning needs as much as the model."""
    states = {name: network.state_dict() for name, network in networks.items() if name != MODEL}
    if states:
        save_tensors(states, path)
