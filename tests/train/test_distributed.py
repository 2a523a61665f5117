"""Several processes, each with its share, do what one does."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.refusals import refused
from tests.train import tiny
from tests.train.tiny import hifigan_net, last, plan, repairing, train, vocoding
from vocoder.train import distributed
from vocoder.train.distributed import local_device
from vocoder.train.state import checkpoints
from vocoder.train.tasks.base import MODEL

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("curves")

TWO = """
import json, pathlib, sys
import torch
from tests.train import tiny
from vocoder.train import distributed, loop
torch.set_num_threads(1)
seen = []
class Curves:
    add_scalar = lambda self, name, value, step: seen.append((name, value, step))
    __enter__ = lambda self: self
    __exit__ = lambda *_: None
loop.Curves = lambda *_: Curves()
loop.LOG_EVERY = 1
run = pathlib.Path(sys.argv[1])
with distributed.process_group(torch.device("cpu")):
    if distributed.rank():  # what it begins with is the main one's
        torch.manual_seed(99)
    vocoding = tiny.vocoding(net=tiny.hifigan_net())
    for name, task in (("repairing", tiny.repairing()), ("vocoding", vocoding)):
        if distributed.rank():
            tiny.shaken(task.model)
        tiny.train(task, run / name, tiny.plan(**json.loads(sys.argv[2])))
    if distributed.is_main():
        (run / "seen.json").write_text(json.dumps([distributed.world_size(), seen]))
"""


def test_two_processes_do_what_one_does(tmp_path, curves):
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
    # Integrated phases, as of the istft net, jump where two bins are as loud but for rounding.
    smooth = vocoding(net=hifigan_net())
    for name, task in (("repairing", repairing()), ("vocoding", smooth)):
        train(task, tmp_path / "one" / name, plan(**numbers))
    assert world == 2 and len(seen) == len(curves.scalars) > 20
    for (ours, value, step), (theirs, expected, when) in zip(seen, curves.scalars, strict=True):
        assert (ours, step) == (theirs, when)
        # Later a discriminator's gradient is the small difference of what true and made waveforms
        # pull at.
        if ours != "steps_per_second" and (
            step == 1 or not ours.endswith("/gradient") or ours.startswith(MODEL)
        ):
            assert value == pytest.approx(expected, rel=1e-4, abs=1e-5), (ours, step)
    for name in ("repairing", "vocoding"):
        one, two = (last(tmp_path / folder / name) for folder in ("one", "two"))
        for network, tensors in one["networks"].items():
            for key, tensor in tensors.items():
                assert torch.allclose(two["networks"][network][key], tensor, atol=2e-3), key


@pytest.fixture
def second(monkeypatch):
    """The second of two processes, whose main one is not there."""
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    for name in ("broadcast", "average_gradients"):
        monkeypatch.setattr(distributed, name, lambda *_: None)
    monkeypatch.setattr(distributed, "any_process", lambda flag: flag)


def test_a_process_of_two_saves_its_own_share_of_a_bad_batch(second, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "means", lambda losses: dict.fromkeys(losses, math.nan))
    with refused("train.diverged"):
        train(repairing(), tmp_path, plan())
    saved = load_file(tmp_path / "bad_batch_0_1.safetensors")
    assert torch.equal(saved["waveform"][0], torch.from_numpy(tiny.mixture()[1].waveform))
    assert checkpoints(tmp_path) == []


def test_a_batch_is_shared_out_evenly(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    assert distributed.share_of(6) == 2
    with refused("train.plan.batch_size.conflict"):
        distributed.share_of(4)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_processes_that_would_share_a_gpu_are_refused(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for key, value in {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(key, value)
    with refused("device.conflict"):
        local_device(torch.device(device))
    assert local_device(torch.device("cpu")) == torch.device("cpu") and not chosen
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert local_device(torch.device("cuda")) == torch.device("cuda:1") == chosen[0]
