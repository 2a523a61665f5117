"""The training loop, for every task: read it from top to bottom."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.data import DataLoader
from tqdm import tqdm

from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.memory import enough_memory
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.weights import BEST_NAME
from vocoder.train.board import Board
from vocoder.train.examples import Example, Mixture
from vocoder.train.machines import Machines
from vocoder.train.objective.base import MODEL, Batch, Objective
from vocoder.train.plan import Plan
from vocoder.train.state import State, checkpoints, newest_state, write_judges, write_state
from vocoder.train.validation import Validation

LAST_NAME = "last.safetensors"
JUDGES_NAME = "discriminators.pt"
SHOW_EVERY = 50  # steps between two points of the curves
LOG_EVERY_S = 60.0  # between two states of the progress bar where nobody watches: in a log


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    steps : int
        Done in all.
    best_estoi : float
        Of the weights in ``best.safetensors``; those that the run began with count too.
    stopped_early : bool
        No better validation for as long as the plan's patience.
    """

    steps: int
    best_estoi: float
    stopped_early: bool


def fit(
    objective: Objective,
    examples: Mixture,
    validation: Validation,
    plan: Plan,
    run: Path,
    *,
    device: torch.device,
    machines: Machines,
    seed: int,
    resume: bool,
    card: Mapping[str, Any],
) -> Outcome:
    """Train until the plan's last step, or until validation stops getting better.

    Parameters
    ----------
    objective : Objective
        Its networks are trained in place.
    examples : Mixture
    validation : Validation
    plan : Plan
    run : Path
        Folder for checkpoints, curves, ``best.safetensors`` and ``last.safetensors``.
    device : torch.device
    machines : Machines
    seed : int
        Of what the networks draw; examples have their own.
    resume : bool
        Go on from the newest checkpoint in ``run``, as if the run had never stopped.
    card : mapping
        What is known beforehand of what the weights were made from; written beside them.

    Raises
    ------
    BadInput
        A loss or gradient is no number (the batch is saved), the disk is full, or there is nothing
        to resume.
    """
    torch.manual_seed(seed + machines.rank)
    networks = {name: network.to(device) for name, network in objective.networks().items()}
    optimisers = {name: _optimiser(network, plan) for name, network in networks.items()}
    machines.agree(networks.values())
    ema = {name: tensor.clone() for name, tensor in networks[MODEL].state_dict().items()}
    done, best, since_best = 0, -1.0, 0
    if resume:
        state = _restore(run, networks, optimisers)
        ema = {name: tensor.to(device) for name, tensor in state.ema.items()}
        done, best, since_best = state.step, state.best, state.since_best

    with (
        enough_memory("lower train.plan.batch_size or train.plan.frames"),
        Board(run / "curves", done + 1) if machines.leads else nullcontext() as board,
        _progress(plan.steps, done, machines.leads) as progress,
    ):

        def judge() -> None:
            """Validate the moving average, and keep it if none was better."""
            nonlocal best, since_best
            verdict = validation(objective, _averaged(networks[MODEL], ema), device, done, board)
            progress.write(
                f"step {done}: ESTOI {verdict.estoi:.4f}, mel {verdict.mel_distance_db:.3f} dB"
            )
            since_best = 0 if verdict.estoi > best else since_best + 1
            if verdict.estoi > best:
                best = verdict.estoi
                _write_model(run / BEST_NAME, objective, ema, {**card, "steps": done})

        if done == 0 and machines.leads:
            judge()  # what a fine-tuning begins with may be better than all that follows
        batches = _batches(examples, plan, machines, done)
        stop = since_best >= plan.patience
        while done < plan.steps and not stop:
            batch = next(batches).to(device)
            figures: dict[str, float] = {}
            for turn in objective.turns(done):
                with torch.autocast(
                    device.type, torch.bfloat16, enabled=plan.precision == "bfloat16"
                ):
                    losses = objective.losses(turn, batch, done)
                seen = machines.average(losses)
                seen["gradient"] = _gradient(networks[turn], losses["total"], plan, machines)
                _require_numbers(seen, turn, done, batch, run, machines)
                figures |= {f"{turn}/{name}": value for name, value in seen.items()}
                _step(optimisers[turn], turn, done, plan)
            _follow(ema, networks[MODEL], plan.ema_weight(done))
            done += 1
            progress.update()
            if board is not None and done % SHOW_EVERY == 0:
                progress.set_postfix_str(f"loss {figures[f'{MODEL}/total']:.3f}", refresh=False)
                for name, value in figures.items():
                    board.add_scalar(name, value, done)

            if done % plan.validate_every == 0 or done == plan.steps:
                if machines.leads:
                    judge()
                stop = machines.decide(since_best >= plan.patience)
            at_end = done == plan.steps or stop
            if machines.leads and (done % plan.checkpoint_every == 0 or at_end):
                _write_model(run / LAST_NAME, objective, ema, {**card, "steps": done})
                _write_judges(run / JUDGES_NAME, networks)
                # Last: what is resumed from here has nothing before it left to write.
                state = _state(done, networks, optimisers, ema, best, since_best)
                write_state(state, run, plan.keep_checkpoints)
    return Outcome(done, best, stop)


def _progress(steps: int, done: int, leads: bool) -> tqdm:
    """A bar for whoever watches, and now and then a line for a log."""
    least, most = (0.1, 10.0) if sys.stderr.isatty() else (LOG_EVERY_S, LOG_EVERY_S)
    return tqdm(
        total=steps,
        initial=done,
        unit="step",
        disable=not leads,
        mininterval=least,
        maxinterval=most,
    )


def _optimiser(network: nn.Module, plan: Plan) -> AdamW:
    beta1, beta2 = plan.betas
    return AdamW(network.parameters(), 1.0, (beta1, beta2), weight_decay=plan.weight_decay)


def _gradient(network: nn.Module, loss: Tensor, plan: Plan, machines: Machines) -> float:
    """Find one network's gradient, of all processes and clipped; its length before that."""
    network.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    machines.average_gradients(network)
    return float(nn.utils.clip_grad_norm_(network.parameters(), plan.clip_norm))


def _step(optimiser: AdamW, turn: str, step: int, plan: Plan) -> None:
    """One step of one network down its gradient."""
    rate = plan.learning_rate if turn == MODEL else plan.discriminator_learning_rate
    for group in optimiser.param_groups:
        group["lr"] = rate * plan.rate_factor(step)
    optimiser.step()


def _batches(examples: Mixture, plan: Plan, machines: Machines, done: int) -> Iterator[Batch]:
    """This process's share of every batch from step ``done`` on."""
    share = machines.share(plan.batch_size)

    def indices() -> Iterator[list[int]]:
        for step in range(done, plan.steps):
            first = step * plan.batch_size + machines.rank * share
            yield list(range(first, first + share))

    loader: DataLoader[Example] = DataLoader(
        examples,
        batch_sampler=indices(),
        num_workers=plan.workers,
        collate_fn=Batch.of,
        prefetch_factor=4 if plan.workers else None,
        generator=torch.Generator(),  # or else it draws from the common one, resumed or not
    )
    return iter(loader)


def _require_numbers(
    figures: Mapping[str, float],
    turn: str,
    step: int,
    batch: Batch,
    run: Path,
    machines: Machines,
) -> None:
    """Stop at a loss or gradient that is infinite or no number, and keep what led to it."""
    if bad := [name for name, value in figures.items() if not abs(value) < float("inf")]:
        share = "" if machines.world == 1 else f"_{machines.rank}"
        path = run / f"bad_batch_{step}{share}.safetensors"
        kept = f"the batch is in {path}"
        tensors = {name: tensor.cpu().contiguous() for name, tensor in batch.tensors().items()}
        try:
            with atomic_path(path, overwrite=True) as temporary:
                temporary.write_bytes(save(tensors))
        except BadInput as error:  # the disk is full
            kept = f"the batch could not be kept ({error})"
        there = checkpoints(run)
        left = f"{there[-1].name} is intact" if there else "there is no checkpoint yet"
        raise BadInput(
            f"{turn}/{bad[0]} became {figures[bad[0]]} in step {step}; {kept}, and {left}. "
            "A lower train.plan.learning_rate helps, unless the batch itself holds what it "
            "should not"
        )


def _follow(ema: dict[str, Tensor], network: nn.Module, keep: float) -> None:
    """Move the average a little towards the weights."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                ema[name].lerp_(tensor, 1 - keep)
            else:
                ema[name].copy_(tensor)


def _averaged(network: nn.Module, ema: dict[str, Tensor]) -> nn.Module:
    model = copy.deepcopy(network)
    model.load_state_dict(ema)
    return model.eval()


def _state(
    done: int,
    networks: Mapping[str, nn.Module],
    optimisers: Mapping[str, AdamW],
    ema: dict[str, Tensor],
    best: float,
    since_best: int,
) -> State:
    return State(
        step=done,
        networks={name: network.state_dict() for name, network in networks.items()},
        optimisers={name: optimiser.state_dict() for name, optimiser in optimisers.items()},
        ema=ema,
        random=torch.get_rng_state(),
        best=best,
        since_best=since_best,
    )


def _restore(
    run: Path, networks: Mapping[str, nn.Module], optimisers: Mapping[str, AdamW]
) -> State:
    state = newest_state(run)
    path = checkpoints(run)[-1]
    if state.networks.keys() != networks.keys():
        raise BadInput(
            f"{path} was written by a run with {', '.join(state.networks)}; this one has "
            f"{', '.join(networks)}; resume with the settings that the run was begun with"
        )
    try:
        for name, network in networks.items():
            network.load_state_dict(state.networks[name])
            optimisers[name].load_state_dict(state.optimisers[name])
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"{path} is of another model than this run's ({reason})") from error
    torch.set_rng_state(state.random)
    return state


def _write_model(
    path: Path, objective: Objective, ema: dict[str, Tensor], card: dict[str, Any]
) -> None:
    checkpoint = Checkpoint(settings_of(objective.model), objective.spec, ema, card)
    checkpoint.write(path, overwrite=True)


def _write_judges(path: Path, networks: Mapping[str, nn.Module]) -> None:
    """The discriminators, which a fine-tuning needs as much as the model."""
    judges = {name: network.state_dict() for name, network in networks.items() if name != MODEL}
    if judges:
        write_judges(judges, path)
