"""Checkpoints of a run on disk: whole or not at all, and nothing in them is executed."""

import os
import pickle
import resource
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tests.refusals import refused
from tests.train.tiny import equal, last, plan, repair_net, repairing, train, vocoding
from vocoder.errors import BadInput
from vocoder.model.checkpoint import read_checkpoint as read_model
from vocoder.train import loop, state
from vocoder.train.logging import Curves
from vocoder.train.loop import DISCRIMINATORS_NAME, LAST_NAME
from vocoder.train.state import checkpoints, load_tensors, read_checkpoint, save_tensors

pytestmark = pytest.mark.usefixtures("curves")


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    """The kernel refuses to write beyond a size, as a full disk would."""
    train(repairing(), tmp_path, plan(steps=2))
    before = {path.name: path.read_bytes() for path in checkpoints(tmp_path)}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = checkpoints(tmp_path)[-1].stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
    try:
        with pytest.raises(BadInput, match=r"step_00000003.pt.* goes on from step_00000002.pt"):
            train(repairing(), tmp_path, plan(), resume=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with refused("output.unwritable"):
            train(repairing(), tmp_path / "other", plan())
        with refused("output.unwritable"):
            save_tensors({"mpd": {"w": torch.zeros(4000)}}, tmp_path / DISCRIMINATORS_NAME)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in checkpoints(tmp_path)} == before
    assert not list(tmp_path.rglob(".*.pt")) and (tmp_path / "best.safetensors").is_file()
    assert train(repairing(), tmp_path, plan(), resume=True).steps == 4


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("failed")])
def test_writers_errors_are_told(error, tmp_path, monkeypatch):
    def save(values, file):
        file.write(b"half")
        raise error

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(BadInput, match=r"step_00000001.*there is no checkpoint yet"):
        train(repairing(), tmp_path, plan())
    assert checkpoints(tmp_path) == [] and not list(tmp_path.rglob(".*.pt"))


def test_checkpoints_of_other_models_are_refused(tmp_path):
    train(repairing(), tmp_path, plan(steps=1))
    for other in (vocoding(), repairing(repair_net(channels=8))):
        with refused("checkpoint.conflict"):
            train(other, tmp_path, plan(), resume=True)


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.system, (f"touch {self.mark}",))


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_a_malicious_pickle_is_refused_before_it_runs(protocol, tmp_path):
    path, mark = tmp_path / "step_00000001.pt", tmp_path / "mark"
    for content in (Evil(mark), {"step": Evil(mark)}, {"mpd": {"w": Evil(mark)}}):
        if protocol == "torch":
            torch.save(content, path)
        else:
            path.write_bytes(pickle.dumps(content, protocol=2))
        with refused("checkpoint.damaged") as caught:
            load_tensors(path)
        assert not mark.exists() and "weights_only" not in str(caught.value)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    train(repairing(), tmp_path, plan(steps=1))
    path = checkpoints(tmp_path)[0]
    good, whole, rng = last(tmp_path), path.read_bytes(), np.random.default_rng(0)
    contents = [b"", b"\x80", b"PK\x03\x04", whole[:-1], whole[: len(whole) // 2], whole[:100]]
    contents += [rng.bytes(length) for length in (1, 10, 1000)]
    contents += [b"\x80\x02" + rng.bytes(200) for _ in range(40)]
    for content in contents:
        path.write_bytes(content)
        with refused("checkpoint.damaged"):
            read_checkpoint(path)
    values: list[Any] = [{}, [1], 3, torch.zeros(3), {"step": 1}, {1: 2}]
    for value in (*values, {**good, "format": "other"}):
        torch.save(value, path)
        with refused("checkpoint.format"):
            read_checkpoint(path)
    for name in good.keys() - {"format"}:
        for value in ({**good, name: "x"}, {k: v for k, v in good.items() if k != name}):
            torch.save(value, path)
            with refused("checkpoint.damaged"):
                read_checkpoint(path)
    deep: dict[str, Any] = {
        "networks": {"model": 3},
        "optimisers": {"model": {"state": 1}},
        "average": {"x": 1},
        "random": torch.zeros(3),
        "first": {"estoi": 1, "other": 2},
        "best": {},
    }
    for name, value in deep.items():
        torch.save({**good, name: value}, path)
        with refused("checkpoint.conflict"):
            train(repairing(), tmp_path, plan(), resume=True)
    with refused("checkpoint.missing"):
        read_checkpoint(tmp_path / "gone.pt")


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(tmp_path):
    train(repairing(), tmp_path, plan(steps=3))
    two, three = checkpoints(tmp_path)
    three.write_bytes(three.read_bytes()[:-100])
    with refused("checkpoint.damaged") as caught:
        train(repairing(), tmp_path, plan(), resume=True)
    said = str(caught.value)
    assert three.name in said and two.name in said and f"train.init={tmp_path}" in said
    three.unlink()
    whole = two.read_bytes()
    two.write_bytes(whole[:-100])
    with refused("checkpoint.damaged") as caught:  # with none before it, nothing is to be deleted
        train(repairing(), tmp_path, plan(), resume=True)
    assert "delete" not in str(caught.value)
    two.write_bytes(whole)
    assert train(repairing(), tmp_path, plan(), resume=True).steps == 4


def test_other_files_among_checkpoints_are_left_alone(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    strange = [folder / name for name in ("step_1.pt", ".77-step_00000009.pt", "notes.txt")]
    for path in strange:
        path.write_text("mine")
    train(repairing(), tmp_path, plan(steps=3, keep_checkpoints=1))
    assert [path.name for path in checkpoints(tmp_path)] == ["step_00000003.pt"]
    assert all(path.read_text() == "mine" for path in strange)


@pytest.fixture
def full(monkeypatch):
    """A TensorBoard whose disk fills up when its file is closed."""

    class Writer:
        def __init__(self, folder, **_):
            self.folder = folder

        def add_scalar(self, *_):
            pass

        def close(self):
            raise OSError(28, "No space left on device")

    tensorboard: Any = ModuleType("torch.utils.tensorboard")
    tensorboard.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", tensorboard)
    monkeypatch.setattr(loop, "Curves", Curves)
    return tensorboard


def test_curves_that_cannot_be_written_are_told_and_hide_nothing(full, tmp_path, monkeypatch):
    """TensorBoard's thread keeps its error, and raises it again when it is closed."""
    with pytest.raises(BadInput, match=r"curves in .*curves: .*No space"):
        train(repairing(), tmp_path / "closed", plan(steps=1))
    assert last(tmp_path / "closed")["step"] == 1
    (tmp_path / "file").write_text("a file")
    with monkeypatch.context() as patch:
        patch.setattr(state.State, "save", lambda *_: save_tensors({}, tmp_path / "file/b"))
        with refused("output.unwritable"):
            train(repairing(), tmp_path / "state", plan(steps=1))

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    task = repairing()
    monkeypatch.setattr(task, "losses", fails)
    with pytest.raises(OSError, match="No space"):  # which says nothing of curves
        train(task, tmp_path / "losses", plan(steps=1))
    full.SummaryWriter = fails
    with pytest.raises(BadInput, match=r"curves in .*curves: .*No space"):
        train(repairing(), tmp_path / "opened", plan(steps=1))


def test_what_tensorboards_thread_fails_with_is_told_once(tmp_path, monkeypatch):
    printed: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with refused("output.unwritable"), Curves(tmp_path, 1) as curves:
        foreign = threading.Thread(target=lambda: 1 / 0)
        foreign.start()
        foreign.join()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        try:
            for step in range(10_000):
                curves.add_scalar("loss", 1.0, step)
            curves._writer.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [failure.exc_type for failure in printed] == [ZeroDivisionError]
    assert threading.excepthook == printed.append


def test_a_run_that_failed_at_its_very_end_is_finished_when_resumed(tmp_path, monkeypatch):
    write = loop.write_model

    def fails(path, task, state, card):
        if path.name == LAST_NAME and state.step == 4:
            raise BadInput("the disk is full", key="output.write")
        write(path, task, state, card)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_model", fails)
        with refused("output.write"):
            train(vocoding(), tmp_path, plan(steps=4))
    assert train(vocoding(), tmp_path, plan(steps=4), resume=True).steps == 4
    end = last(tmp_path)
    assert end["step"] == 4 and read_model(tmp_path / LAST_NAME).card["steps"] == 4
    beside = load_tensors(tmp_path / DISCRIMINATORS_NAME)
    assert equal(dict(end["networks"]["mpd"]), dict(beside["mpd"]))


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError()]
)
def test_too_little_memory_is_told_with_what_needs_less(error, tmp_path, monkeypatch):
    task = repairing()

    def losses(*_):
        raise error

    monkeypatch.setattr(task, "losses", losses)
    with pytest.raises(BadInput, match=r"not enough memory .*train\.plan\.batch_size"):
        train(task, tmp_path, plan())
    monkeypatch.setattr(task, "losses", lambda *_: torch.empty(1 << 60, dtype=torch.uint8))
    with pytest.raises(BadInput, match=r"not enough memory .*train\.plan\.batch_size"):
        train(task, tmp_path / "cpu", plan())
