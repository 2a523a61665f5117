"""The loop: goes on as if nothing had happened, keeps what is good, and stops when it must."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.train import tiny
from tests.train.tiny import SPEC, judged, plan, repair_net, repairing, train, vocoding
from vocoder.errors import BadInput
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.weights import find_weights
from vocoder.train import loop
from vocoder.train.examples import Example
from vocoder.train.loop import JUDGES_NAME
from vocoder.train.machines import Machines
from vocoder.train.objective.base import MODEL
from vocoder.train.plan import Plan
from vocoder.train.state import checkpoints, read_judges, read_state, write_state
from vocoder.train.validation import Verdict

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("board")


def equal(a, b):
    """Bit for bit, through nested values."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def last(run):
    return vars(read_state(checkpoints(run)[-1]))


def same_results(one, other):
    assert equal(last(one), last(other))
    for name in ("best.safetensors", "last.safetensors"):
        ours, theirs = (load_file(run / name) for run in (one, other))
        assert equal(ours, theirs)
    assert (one / JUDGES_NAME).exists() == (other / JUDGES_NAME).exists()
    if (one / JUDGES_NAME).exists():
        assert equal(read_judges(one / JUDGES_NAME), read_judges(other / JUDGES_NAME))


def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(tmp_path):
    """A GAN: generator, average, discriminator, both optimisers, best and patience."""
    numbers = plan(steps=5, validate_every=1, frames=12)
    scores = [0.1, 0.5, 0.4, 0.3, 0.6, 0.2]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(vocoding(), whole, numbers, validation=judged(*scores))
    found = last(whole)
    assert set(found["networks"]) == set(found["optimisers"]) == {"model", "mpd"}
    assert found["best"] == 0.6 and found["since_best"] == 1 and found["step"] == 5
    moments = found["optimisers"]["mpd"]["state"][0]
    assert float(moments["step"]) == 4 and moments["exp_avg"].any()

    class Killed(Exception):
        pass

    def dies(step):
        calls = iter(scores[: step + 1])

        def validation(*_):
            score = next(calls, None)
            if score is None:
                raise Killed
            return Verdict(score, 1.0)

        return validation

    with pytest.raises(Killed):
        train(vocoding(), parts, numbers, validation=dies(2))
    assert last(parts)["step"] == 2
    torch.manual_seed(1234)  # another process has other random numbers
    train(vocoding(), parts, numbers, resume=True, validation=judged(*scores[3:]))
    same_results(whole, parts)


def test_a_training_that_has_ended_is_resumed_to_the_same_end(tmp_path):
    numbers = plan(steps=3)
    train(repairing(), tmp_path, numbers)
    before = last(tmp_path)
    outcome = train(repairing(), tmp_path, numbers, resume=True)
    assert outcome.steps == 3 and equal(last(tmp_path), before)
    # More steps than planned at first: it goes on.
    assert train(repairing(), tmp_path, plan(steps=4), resume=True).steps == 4


KILLED = """
import sys, pathlib, time
import torch
from tests.train import tiny
from vocoder.train import loop
class Board:
    add_scalar = __enter__ = __exit__ = lambda *_: None
loop.Board = lambda *_: Board()
torch.set_num_threads(1)
run = pathlib.Path(sys.argv[1])
write = loop.write_state
def slow(*given):
    path = write(*given)
    time.sleep(0.2)
    return path
loop.write_state = slow
tiny.train(tiny.repairing(), run, tiny.plan(steps=300, workers=1))
"""


def test_after_a_kill_it_goes_on_bit_for_bit(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(killed)], cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(checkpoints(killed)) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = last(killed)["step"]
    assert 2 <= done < 290
    numbers = plan(steps=300)

    def until(run, steps, resume):
        """The same plan, left two steps later."""

        def stop(state, *rest):
            write_state(state, *rest)
            if state.step == steps:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "write_state", stop)
            with pytest.raises(KeyboardInterrupt):
                train(repairing(), run, numbers, resume=resume)

    until(killed, done + 2, True)
    until(whole, done + 2, False)
    assert equal(last(killed), last(whole))


def test_the_newest_checkpoints_and_the_best_weights_are_kept(tmp_path, board):
    numbers = plan(steps=6, validate_every=2, keep_checkpoints=3)
    outcome = train(repairing(), tmp_path, numbers, validation=judged(0.2, 0.3, 0.7, 0.5))
    assert [path.name for path in checkpoints(tmp_path)] == [
        f"step_0000000{step}.pt" for step in (4, 5, 6)
    ]
    assert outcome.best_estoi == 0.7 and not outcome.stopped_early
    best = read_checkpoint(find_weights(str(tmp_path)))
    assert best.card == {"data": "speech", "steps": 4}
    assert read_checkpoint(tmp_path / "last.safetensors").card["steps"] == 6
    assert best.spec == SPEC and equal(best.build().settings, repair_net().settings)
    assert not equal(best.tensors, load_file(tmp_path / "last.safetensors"))
    assert equal(last(tmp_path)["ema"], load_file(tmp_path / "last.safetensors"))
    assert board.closed and not list(tmp_path.rglob(".*step*"))
    assert not (tmp_path / JUDGES_NAME).exists()


def test_weights_that_only_get_worse_leave_those_it_began_with(tmp_path):
    model = repair_net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    outcome = train(repairing(model), tmp_path, plan(), validation=judged(0.8, 0.3, 0.2))
    best = read_checkpoint(tmp_path / "best.safetensors")
    assert outcome.best_estoi == 0.8 and best.card["steps"] == 0
    assert equal(best.tensors, before)


def test_it_stops_early_and_stays_stopped(tmp_path):
    numbers = plan(steps=50, validate_every=1, patience=3, checkpoint_every=50)
    outcome = train(repairing(), tmp_path, numbers, validation=judged(0.1, 0.9, 0.5))
    assert outcome.stopped_early and outcome.steps == 4 and last(tmp_path)["step"] == 4
    again = train(repairing(), tmp_path, numbers, resume=True)
    assert again.stopped_early and again.steps == 4
    patient = plan(steps=6, validate_every=1, patience=100)
    assert train(repairing(), tmp_path, patient, resume=True).steps == 6


def test_the_average_follows_the_weights_from_the_start(tmp_path):
    model = repair_net()
    train(repairing(model), tmp_path, plan(steps=8, ema_decay=0.5))
    ema, now = last(tmp_path)["ema"], model.state_dict()
    start = repair_net().state_dict()
    name = "leave.bias"
    near, far = ((ema[name] - other[name]).abs().max() for other in (now, start))
    assert 0 < near < far


def broken(examples, number):
    class Broken:
        def __getitem__(self, index):
            example = examples[index]
            if index < number:
                return example
            return Example(example.damaged, example.true * np.float32(np.nan), example.sound)

    return Broken()


def test_a_loss_that_is_no_number_stops_it_with_the_batch_saved(tmp_path, board):
    objective = repairing()
    with pytest.raises(BadInput, match=r"model/\w+ became nan in step 2; the batch is in .*intact"):
        train(objective, tmp_path, plan(), examples=broken(tiny.mixture(), 4))
    saved = load_file(tmp_path / "bad_batch_2.safetensors")
    assert set(saved) == {"damaged", "true", "sound"} and saved["true"].isnan().all()
    assert torch.equal(saved["sound"][0], torch.from_numpy(tiny.mixture()[4].sound))
    kept = last(tmp_path)
    assert kept["step"] == 2
    assert all(t.isfinite().all() for t in kept["networks"]["model"].values())
    assert all(p.isfinite().all() for p in objective.model.parameters())
    assert board.closed
    assert train(repairing(), tmp_path, plan(), resume=True).steps == 4  # good ones now


def test_a_gradient_that_is_no_number_stops_it_before_the_step(tmp_path, monkeypatch):
    class Root(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x.clone()

        @staticmethod
        def backward(_, gradient):
            return gradient * math.nan

    objective = repairing()
    losses = objective.losses

    def spoilt(turn, batch, step):
        found = losses(turn, batch, step)
        return {**found, "total": Root.apply(found["total"])} if step == 1 else found

    monkeypatch.setattr(objective, "losses", spoilt)
    with pytest.raises(BadInput, match="model/gradient became nan in step 1"):
        train(objective, tmp_path, plan())
    assert all(p.isfinite().all() for p in objective.model.parameters())
    assert last(tmp_path)["step"] == 1


def test_rates_rise_and_fall():
    numbers = plan(steps=100, warmup_steps=9)
    factors = [numbers.rate_factor(step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[4] == pytest.approx(0.5, abs=0.01)
    assert max(factors) == pytest.approx(factors[9]) and factors[9] == pytest.approx(1, abs=0.03)
    assert factors[9:] == sorted(factors[9:], reverse=True) and 0 < factors[-1] < 0.01
    assert factors[50] == pytest.approx(0.5, abs=1e-6)
    assert plan(warmup_steps=0).rate_factor(0) == 1
    assert plan(ema_decay=0.99).ema_weight(0) == pytest.approx(0.1)
    assert plan(ema_decay=0.99).ema_weight(10_000) == 0.99


def test_each_network_learns_at_its_own_rate(tmp_path):
    numbers = plan(steps=3, frames=12, learning_rate=1e-3, discriminator_learning_rate=1e-9)
    objective = vocoding(adversarial_from=0)
    before = {n: {k: v.clone() for k, v in m.state_dict().items()}
              for n, m in objective.networks().items()}  # fmt: skip
    train(objective, tmp_path, numbers)
    moved = {
        name: max(float((net.state_dict()[k] - v).abs().max()) for k, v in before[name].items())
        for name, net in objective.networks().items()
    }
    assert moved["model"] > 1e-4 and 0 < moved["mpd"] < 1e-6


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 0, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("frames", 7, "at least 8"),
        ("workers", -1, "at least 0"),
        ("keep_checkpoints", 0, "at least 1"),
        ("patience", 0, "at least 1"),
        ("learning_rate", 0, "above 0"),
        ("learning_rate", math.nan, "above 0"),
        ("clip_norm", -1.0, "above 0"),
        ("ema_decay", 1.0, "0 to below 1"),
        ("weight_decay", -0.1, "at least 0"),
        ("betas", [0.9], "two numbers"),
        ("betas", [0.9, 1.0], "two numbers"),
        ("betas", ["a", 0.9], "two numbers"),
        ("precision", "float16", r"one of \('float32', 'bfloat16'\)"),
    ],
)
def test_numbers_out_of_range_are_named(name, value, expected):
    with pytest.raises(BadInput, match=rf"train\.plan\.{name} is .*; expected {expected}"):
        plan(**{name: value})


def test_bfloat16_trains_too(tmp_path):
    outcome = train(repairing(), tmp_path, plan(steps=2, precision="bfloat16"))
    assert outcome.steps == 2
    assert last(tmp_path)["networks"]["model"]["leave.weight"].dtype == torch.float32


TWO = """
import json, pathlib, sys
import torch
from tests.train import tiny
from vocoder.train import loop
from vocoder.train.machines import joined
torch.set_num_threads(1)
seen = []
class Board:
    add_scalar = lambda self, name, value, step: seen.append((name, value, step))
    __enter__ = lambda self: self
    __exit__ = lambda *_: None
loop.Board = lambda *_: Board()
loop.SHOW_EVERY = 1
run = pathlib.Path(sys.argv[1])
with joined(torch.device("cpu")) as machines:
    if machines.rank:  # what it begins with is the leader's
        torch.manual_seed(99)
    for name, objective in (("repairing", tiny.repairing()), ("vocoding", tiny.vocoding())):
        if machines.rank:
            tiny.shaken(objective.model)
        tiny.train(objective, run / name, tiny.plan(**json.loads(sys.argv[2])), machines=machines)
    if machines.leads:
        (run / "seen.json").write_text(json.dumps([machines.world, seen]))
"""


def test_two_processes_do_what_one_does(tmp_path, board, monkeypatch):
    """``torchrun`` on the CPU, each with half of every batch."""
    # Slowly: Adam makes full steps of gradients that are nothing but rounding.
    numbers = {"batch_size": 4, "steps": 3, "learning_rate": 1e-4}
    numbers["discriminator_learning_rate"] = 1e-4
    script = tmp_path / "two.py"
    script.write_text(TWO)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(script), str(tmp_path / "two"), json.dumps(numbers)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    world, seen = json.loads((tmp_path / "two/seen.json").read_text())
    monkeypatch.setattr(loop, "SHOW_EVERY", 1)
    for name, objective in (("repairing", repairing()), ("vocoding", vocoding())):
        train(objective, tmp_path / "one" / name, plan(**numbers))
    assert world == 2 and len(seen) == len(board.scalars) > 20
    for (ours, value, step), (theirs, expected, when) in zip(seen, board.scalars, strict=True):
        assert (ours, step) == (theirs, when)
        # Later a judge's gradient is the small difference of what true and made sounds pull at.
        if step == 1 or not ours.endswith("/gradient") or ours.startswith(MODEL):
            assert value == pytest.approx(expected, rel=1e-4, abs=1e-5), (ours, step)
    for name in ("repairing", "vocoding"):
        one, two = (last(tmp_path / folder / name) for folder in ("one", "two"))
        for network, tensors in one["networks"].items():
            for key, tensor in tensors.items():
                assert torch.allclose(two["networks"][network][key], tensor, atol=2e-3), key


def test_a_process_of_two_saves_its_own_share_of_a_bad_batch(tmp_path):
    class Second(Machines):
        def average(self, figures):
            return dict.fromkeys(figures, math.nan)

        def agree(self, networks):
            pass

        def average_gradients(self, network):
            pass

    with pytest.raises(BadInput, match=r"became nan in step 0; .*and there is no checkp"):
        train(repairing(), tmp_path, plan(), machines=Second(1, 2))
    saved = load_file(tmp_path / "bad_batch_0_1.safetensors")
    assert torch.equal(saved["sound"][0], torch.from_numpy(tiny.mixture()[1].sound))
    assert checkpoints(tmp_path) == []


def test_a_plan_is_what_the_configuration_says():
    from vocoder.config import load

    for name in ("repairing", "vocoding"):
        assert isinstance(load("train", name).plan, Plan)
