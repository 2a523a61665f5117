"""The loop: goes on as if nothing had happened, keeps what is good, and stops when it must."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.refusals import refused
from tests.train import tiny
from tests.train.tiny import (
    SPEC,
    equal,
    interrupts,
    last,
    plan,
    repair_net,
    repairing,
    same_results,
    scored,
    train,
    vocoding,
)
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.weights import BEST_NAME, find_weights
from vocoder.train.examples import Example
from vocoder.train.loop import DISCRIMINATORS_NAME, LAST_NAME
from vocoder.train.state import checkpoints
from vocoder.train.validation import Scores

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("curves")


def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(tmp_path):
    """A GAN: generator, average, discriminator, both optimisers, best and patience."""
    numbers = plan(steps=5, validate_every=1, frames=12)
    scores = [0.1, 0.5, 0.4, 0.3, 0.6, 0.2]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(vocoding(), whole, numbers, validation=scored(*scores))
    found = last(whole)
    assert set(found["networks"]) == set(found["optimisers"]) == {"model", "mpd"}
    assert found["best"]["estoi"] == [0.6] and found["best_step"] == 4
    assert found["since_best"] == 1 and found["step"] == 5
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
            return Scores([score], [1.0])

        return validation

    with pytest.raises(Killed):
        train(vocoding(), parts, numbers, validation=dies(2))
    assert last(parts)["step"] == 2
    torch.manual_seed(1234)  # another process has other random numbers
    train(vocoding(), parts, numbers, resume=True, validation=scored(*scores[3:]))
    same_results(whole, parts)


def test_a_training_that_has_ended_is_resumed_to_the_same_end(tmp_path):
    train(repairing(), tmp_path, plan(steps=3))
    before = last(tmp_path)
    outcome = train(repairing(), tmp_path, plan(steps=3), resume=True)
    assert outcome.steps == 3 and equal(last(tmp_path), before)
    # More steps than planned at first: it goes on, as fast and with what it is told now.
    assert train(repairing(), tmp_path, plan(steps=4, betas=[0.7, 0.9]), resume=True).steps == 4
    (group,) = last(tmp_path)["optimisers"]["model"]["param_groups"]
    assert group["betas"] == (0.7, 0.9)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_saves_its_steps_and_goes_on_bit_for_bit(number, tmp_path):
    numbers = plan(steps=5, checkpoint_every=100, validate_every=100)
    handler = signal.getsignal(number)
    outcome = train(interrupts(repairing(), 2, number), tmp_path / "parts", numbers)
    assert outcome.interrupted and outcome.steps == 3 and not outcome.stopped_early
    assert "resume=true goes on from step 3" in outcome.describe(tmp_path, fine_tuned=False)
    assert signal.getsignal(number) is handler
    outcome = train(repairing(), tmp_path / "parts", numbers, resume=True)
    assert outcome.steps == 5 and not outcome.interrupted
    train(repairing(), tmp_path / "whole", numbers)
    same_results(tmp_path / "whole", tmp_path / "parts")


def test_a_validation_that_was_interrupted_is_done_when_the_run_goes_on(tmp_path):
    """Nothing of it counts, and no step is lost."""
    numbers = plan(steps=4, checkpoint_every=100, validate_every=2)
    validation = tiny.real_validation()
    calls = []

    def interrupted(*given):
        calls.append(given[3])
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return validation(*given)

    outcome = train(repairing(), tmp_path / "parts", numbers, validation=interrupted)
    assert outcome.steps == 2 and calls == [0, 2] and last(tmp_path / "parts")["validated"] == 0
    train(repairing(), tmp_path / "parts", numbers, validation=validation, resume=True)
    train(repairing(), tmp_path / "whole", numbers, validation=validation)
    same_results(tmp_path / "whole", tmp_path / "parts")


def test_a_second_interruption_ends_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("vocoder.train.interruption.AGAIN_S", -1.0)
    task = interrupts(interrupts(repairing(), 2), 2)
    with pytest.raises(KeyboardInterrupt):
        train(task, tmp_path, plan(steps=5, checkpoint_every=100))
    assert last(tmp_path)["step"] == 1


KILLED = """
import sys, pathlib, time
import torch
from tests.train import tiny
from vocoder.train import loop
class Curves:
    add_scalar = __enter__ = __exit__ = lambda *_: None
loop.Curves = lambda *_: Curves()
torch.set_num_threads(1)
save = loop.State.save
def slow(*given):
    save(*given)
    time.sleep(0.2)
loop.State.save = slow
tiny.train(tiny.repairing(), pathlib.Path(sys.argv[1]), tiny.plan(steps=300, workers=1))
"""


def test_after_a_kill_it_goes_on_bit_for_bit(tmp_path, monkeypatch):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(killed)], cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(checkpoints(killed)) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    done = last(killed)["step"]
    assert 2 <= done < 290
    # The same plan, left two steps later.
    for run, resume in ((killed, True), (whole, False)):
        train(interrupts(repairing(), done + 1), run, plan(steps=300), resume=resume)
        assert last(run)["step"] == done + 2
    assert equal(last(killed), last(whole))


def test_the_newest_checkpoints_and_the_best_weights_are_kept(tmp_path, curves):
    numbers = plan(steps=6, validate_every=2, keep_checkpoints=3)
    outcome = train(repairing(), tmp_path, numbers, validation=scored(0.2, 0.3, 0.7, 0.5))
    names = [path.name for path in checkpoints(tmp_path)]
    assert names == [f"step_0000000{step}.pt" for step in (4, 5, 6)]
    assert outcome.best == Scores([0.7], [1.0]) and outcome.best_step == 4
    assert not outcome.stopped_early
    best = read_checkpoint(find_weights(str(tmp_path)))
    assert best.card == {"data": "speech", "steps": 4}
    assert read_checkpoint(tmp_path / LAST_NAME).card["steps"] == 6
    assert best.spec == SPEC and equal(best.build().settings, repair_net().settings)
    weights = load_file(tmp_path / LAST_NAME)
    assert not equal(best.tensors, weights)
    average = last(tmp_path)["average"]
    assert all(equal(average[f"module.{name}"], weights[name]) for name in weights)
    assert curves.closed and not list(tmp_path.rglob(".*step*"))
    assert not (tmp_path / DISCRIMINATORS_NAME).exists()
    seen = {name for name, _, _ in curves.scalars}
    assert {"model/total", "model/gradient", "model/learning_rate", "steps_per_second"} <= seen


def test_weights_that_only_get_worse_leave_those_it_began_with(tmp_path):
    model = repair_net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    outcome = train(repairing(model), tmp_path, plan(), validation=scored(0.8, 0.3, 0.2))
    best = read_checkpoint(tmp_path / BEST_NAME)
    assert outcome.best_step == 0 and best.card["steps"] == 0 and equal(best.tensors, before)
    assert "Nothing was gained" in outcome.describe(tmp_path, fine_tuned=True)


def test_what_was_gained_is_said(tmp_path):
    scores = iter([Scores([0.6, 0.8], [5, 6]), Scores([0.7, 0.8], [4, 5]), Scores([0, 0], [9, 9])])
    outcome = train(repairing(), tmp_path, plan(), validation=lambda *_: next(scores))
    said = outcome.describe(tmp_path, fine_tuned=True)
    assert "step 2" in said and "0.700 to 0.750 (higher in 1)" in said and "5.50 to 4.50" in said
    assert "chance" in said  # one of two
    many = iter([Scores([0.6] * 8, [5] * 8), Scores([0.7] * 8, [4] * 8), Scores([0] * 8, [9] * 8)])
    outcome = train(repairing(), tmp_path / "many", plan(), validation=lambda *_: next(many))
    assert "chance" not in outcome.describe(tmp_path, fine_tuned=True)


def test_a_run_that_has_diverged_is_not_the_best(tmp_path):
    """Noise is a little like any speech."""
    scores = iter([Scores([0.01], [20.0]), Scores([0.03], [45.0]), Scores([0.02], [19.0])])
    outcome = train(repairing(), tmp_path, plan(), validation=lambda *_: next(scores))
    assert outcome.best_step == 4


def test_it_stops_early_and_stays_stopped(tmp_path):
    numbers = plan(steps=50, validate_every=1, patience=3, checkpoint_every=50)
    outcome = train(repairing(), tmp_path, numbers, validation=scored(0.1, 0.9, 0.5))
    assert outcome.stopped_early and outcome.steps == 4 and last(tmp_path)["step"] == 4
    again = train(repairing(), tmp_path, numbers, resume=True)
    assert again.stopped_early and again.steps == 4
    patient = plan(steps=6, validate_every=1, patience=100)
    assert train(repairing(), tmp_path, patient, resume=True).steps == 6


def test_the_average_follows_the_weights_from_the_start(tmp_path, monkeypatch):
    """As written out; little is kept at first."""
    model, name, weights = repair_net(), "leave.bias", []
    task = repairing(model)
    losses = task.losses

    def watched(*given):
        weights.append(model.state_dict()[name].clone())
        return losses(*given)

    monkeypatch.setattr(task, "losses", watched)
    train(task, tmp_path, plan(steps=8, ema_decay=0.5))
    weights.append(model.state_dict()[name])
    expected = weights[0]
    for step, weight in enumerate(weights[1:]):
        keep = min(0.5, (step + 1) / (step + 10))
        expected = keep * expected + (1 - keep) * weight
    assert torch.allclose(last(tmp_path)["average"][f"module.{name}"], expected, rtol=1e-4)


def broken(examples, number):
    class Broken:
        def __getitem__(self, index):
            example = examples[index]
            if index < number:
                return example
            return Example(example.degraded, example.true * np.float32(np.nan), example.waveform)

    return Broken()


def test_a_loss_that_is_no_number_stops_it_with_the_batch_saved(tmp_path, curves):
    task = repairing()
    with refused("train.diverged"):
        train(task, tmp_path, plan(), examples=broken(tiny.mixture(), 4))
    saved = load_file(tmp_path / "bad_batch_2.safetensors")
    assert set(saved) == {"degraded", "true", "waveform"} and saved["true"].isnan().all()
    assert torch.equal(saved["waveform"][0], torch.from_numpy(tiny.mixture()[4].waveform))
    kept = last(tmp_path)
    assert kept["step"] == 2
    assert all(t.isfinite().all() for t in kept["networks"]["model"].values())
    assert all(p.isfinite().all() for p in task.model.parameters())
    assert curves.closed
    assert train(repairing(), tmp_path, plan(), resume=True).steps == 4  # good ones now


def test_a_gradient_that_is_no_number_stops_it_before_the_step(tmp_path, monkeypatch):
    class Root(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x.clone()

        @staticmethod
        def backward(_, gradient):
            return gradient * math.nan

    task = repairing()
    losses = task.losses

    def spoilt(name, batch, step):
        found = losses(name, batch, step)
        return {**found, "total": Root.apply(found["total"])} if step == 1 else found

    monkeypatch.setattr(task, "losses", spoilt)
    with refused("train.diverged"):
        train(task, tmp_path, plan())
    assert all(p.isfinite().all() for p in task.model.parameters())
    assert last(tmp_path)["step"] == 1


def test_a_start_that_failed_leaves_no_run(tmp_path):
    with refused("train.diverged"):
        train(repairing(), tmp_path, plan(), examples=broken(tiny.mixture(), 0))
    assert [path.name for path in tmp_path.iterdir()] == ["bad_batch_0.safetensors"]


def test_rates_rise_and_fall(tmp_path, curves):
    numbers = plan(steps=100, warmup_steps=9)
    factors = [numbers.rate_factor(step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[4] == pytest.approx(0.5, abs=0.01)
    assert max(factors) == pytest.approx(factors[9]) and factors[9] == pytest.approx(1, abs=0.03)
    assert factors[9:] == sorted(factors[9:], reverse=True) and 0 < factors[-1] < 0.01
    assert factors[50] == pytest.approx(0.5, abs=1e-6)
    assert plan(warmup_steps=0).rate_factor(0) == 1
    train(repairing(), tmp_path, plan(learning_rate=1e-2))
    rates = [value for name, value, _ in curves.scalars if name == "model/learning_rate"]
    assert rates == [1e-2 * plan().rate_factor(step) for step in range(4)]


def test_each_network_learns_at_its_own_rate(tmp_path):
    numbers = plan(steps=3, frames=12, learning_rate=1e-3, discriminator_learning_rate=1e-9)
    task = vocoding(adversarial_from=0)
    before = {n: {k: v.clone() for k, v in m.state_dict().items()}
              for n, m in task.networks().items()}  # fmt: skip
    train(task, tmp_path, numbers)
    moved = {
        name: max(float((net.state_dict()[k] - v).abs().max()) for k, v in before[name].items())
        for name, net in task.networks().items()
    }
    assert moved["model"] > 1e-4 and 0 < moved["mpd"] < 1e-6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 0) for name in ("steps", "batch_size", "keep_checkpoints", "patience", "threads")),
        *(("learning_rate", value) for value in (0, math.nan, 1e38)),
        ("discriminator_learning_rate", -1.0),
        ("frames", 7),
        ("workers", -1),
        ("clip_norm", -1.0),
        ("ema_decay", 1.0),
        ("init_share", 1.0),
        ("weight_decay", -0.1),
        *(("betas", value) for value in ([0.9], [0.9, 1.0])),
        ("precision", "float16"),
    ],
)
def test_numbers_out_of_range_are_named(name, value):
    with refused(f"train.plan.{name}.range"):
        plan(**{name: value})


def test_bfloat16_trains_too(tmp_path):
    train(repairing(), tmp_path, plan(steps=2, precision="bfloat16"))
    assert last(tmp_path)["networks"]["model"]["leave.weight"].dtype == torch.float32


@pytest.mark.parametrize("watched", [True, False])
def test_a_log_is_not_flooded_with_the_progress_bar(watched, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched)
    task = repairing()
    losses = task.losses
    now = time.time()  # by a clock that runs as told, however busy the machine is
    clock = SimpleNamespace(time=lambda: now, perf_counter=lambda: now)
    monkeypatch.setattr("vocoder.train.logging.time", clock)
    monkeypatch.setattr("tqdm.std.time", clock.time)

    def slow(*given):
        nonlocal now
        now += 0.11
        return losses(*given)

    def validation(*_):
        nonlocal now
        now += 2.0  # which is not the time of a step
        return Scores([0.5], [1.0])

    monkeypatch.setattr(task, "losses", slow)
    numbers = plan(steps=10, validate_every=10, checkpoint_every=10)
    train(task, tmp_path, numbers, validation=validation)
    shown = [line for line in capsys.readouterr().err.split("\r") if "step" in line]
    assert len(shown) >= 10 if watched else len(shown) <= 6  # beginning, two validations, end
    rates = [float(line.partition("step/s")[0].rpartition(" ")[2]) for line in shown
             if "step/s" in line and "?" not in line]  # fmt: skip
    assert rates == pytest.approx([1 / 0.11] * len(rates), abs=0.02) and rates
    if watched:
        assert any("validating" in line for line in shown)
        assert len({line.partition("loss ")[2][:5] for line in shown}) >= 8
