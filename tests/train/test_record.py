"""A run goes on with what it was begun with; its record says what has changed on the way."""

import copy
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.corpora import write_clip
from tests.refusals import refused
from tests.train.tiny import NOISE, RATE, REFERENCE, SPEC, plan, repair_net
from vocoder.config import load
from vocoder.corpus.manifest import write_corpus
from vocoder.train.loop import Outcome
from vocoder.train.record import RECORD_NAME, continued, new_record, require_same_settings
from vocoder.train.state import checkpoints
from vocoder.train.training import Training

pytestmark = pytest.mark.usefixtures("curves")
CONFIG: dict[str, Any] = {
    "spec": {"n_mels": 256},
    "model": {"channels": 4, "spec": {"n_mels": 256}},
    "seed": 0,
    "data": {"root": "corpus", "speakers": None, "cache": None},
    "degradation": {"max_db": 6.0},
    "train": {
        "init": None,
        "validation_utterances": 1,
        "task": {"weights": {"decibels": 1.0}, "inverter": {"device": "cpu"}},
        "plan": {"steps": 9, "batch_size": 2, "frames": 40, "learning_rate": 1e-3, "workers": 0},
    },
    "resume": False,
    "device": "cpu",
}


def changed(name: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    *parents, last = name.split(".")
    place = config
    for key in parents:
        place = place[key]
    place[last] = value
    return config


RECORD = new_record(CONFIG, {}, seed=0, processes=1)
HERE = Path("runs/me")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spec.n_mels", 80),
        ("model.channels", 8),
        ("seed", 1),
        ("data.speakers", ["anna"]),
        ("degradation.max_db", 3.0),
        ("degradation", {"_target_": "Clean"}),
        ("train.init", "generated"),
        ("train.validation_utterances", 2),
        ("train.task.weights.decibels", 0.5),
    ],
)
def test_what_a_run_is_made_of_stays(name, value):
    with refused("resume.conflict") as caught:
        require_same_settings(RECORD, changed(name, value), HERE)
    assert name in str(caught.value)


def test_only_what_differs_is_told():
    """Of two kinds of data or of a list of degradations not all that they hold."""
    noise = [{"_target_": "vocoder.Noise", "max_db": 6.0}, {"_target_": "vocoder.Blur", "max": 1.0}]
    before = {"config": {**CONFIG, "degradation": {"_target_": "Chain", "degradations": noise}}}
    now = copy.deepcopy(before["config"])
    now["degradation"]["degradations"][1]["max"] = 2.0
    now["data"] = {**now["data"], "_target_": "vocoder.train.data.Generated", "input": "results"}
    with refused("resume.conflict") as caught:
        require_same_settings(before, now, HERE)
    told = str(caught.value)
    assert "data is 'Generated' and was 'None'; degradation.degradations[1].max is 2.0" in told
    assert "6.0" not in told and "results" not in told and "Noise" not in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train.plan.steps", 20),
        ("train.plan.learning_rate", 1e-4),
        ("train.plan.workers", 2),
        ("train.plan.batch_size", 4),
        ("train.plan.frames", 80),
        ("train.task.inverter.device", "cuda"),
        ("device", "cuda"),
        ("resume", True),
        ("data.root", "/moved/corpus"),
        ("data.cache", "/tmp"),
    ],
)
def test_how_long_how_fast_and_where_may_change(name, value):
    require_same_settings(RECORD, changed(name, value), HERE)


def test_the_record_keeps_what_it_was_before():
    def goes_on(before: dict[str, Any], step: int, rate: float, **more: int) -> dict[str, Any]:
        config = changed("train.plan.learning_rate", rate) | {"resume": True}
        now = new_record(config, {}, seed=0, processes=more.get("processes", 1))
        return continued(before, now, step)

    def steps_and_rates(record: dict[str, Any]) -> list[tuple[int, float]]:
        return [
            (entry["from_step"], entry["config"]["train"]["plan"]["learning_rate"])
            for entry in (*record["earlier"], record)
        ]

    assert steps_and_rates(goes_on(RECORD, 2, 1e-3)) == [(0, 1e-3)]
    later = goes_on(RECORD, 3, 1e-4)
    assert steps_and_rates(later) == [(0, 1e-3), (3, 1e-4)]
    assert steps_and_rates(goes_on(later, 5, 1e-5)) == [(0, 1e-3), (3, 1e-4), (5, 1e-5)]
    two = goes_on(RECORD, 4, 1e-3, processes=2)
    assert [two["earlier"][0]["processes"], two["processes"]] == [1, 2]


def corpus(folder: Path, **offsets: int) -> Path:
    """Two clips to learn from and one to validate on, cut elsewhere if asked."""
    samples, _ = soundfile.read(REFERENCE / "nl_m__m-obdivovat.flac", dtype="float32")
    begins = {"one": 8_000, "two": 31_000, "val": 54_000}
    clips = []
    for name, begin in begins.items():
        begin += offsets.get(name, 0)
        split = "val" if name == "val" else "train"
        sound = np.asarray(samples[begin : begin + 20_000])
        clips.append(write_clip(folder, f"{name}.flac", sound, RATE, split))
    write_corpus(folder, clips, overwrite=False)
    return folder


def run(output: Path, root: Path, steps: int, *, resume: bool) -> Outcome | None:
    training: Training = load("train", "repairing")
    config = changed("data.root", str(root))
    config["train"]["plan"]["steps"] = steps
    return replace(training, plan=plan(steps=steps, frames=40), validation_utterances=1).run(
        spec=SPEC,
        data=load("data", "corpus", root=str(root)),
        degradation=NOISE,
        model=repair_net(),
        folder=output,
        device=torch.device("cpu"),
        seed=0,
        resume=resume,
        record=config,
    )


def test_a_run_goes_on_with_the_same_recordings_wherever_they_lie(tmp_path):
    output, root = tmp_path / "run", corpus(tmp_path / "corpus")
    run(output, root, 1, resume=False)
    for offsets in ({"one": 500}, {"val": 500}):
        with refused("resume.conflict"):
            run(output, corpus(tmp_path / str(offsets), **offsets), 2, resume=True)
    assert json.loads((output / RECORD_NAME).read_text())["config"]["data"]["root"] == str(root)
    assert [path.name for path in checkpoints(output)] == ["step_00000001.pt"]
    moved = Path(shutil.move(root, tmp_path / "moved"))
    outcome = run(output, moved, 2, resume=True)
    assert outcome is not None and outcome.steps == 2
    record = json.loads((output / RECORD_NAME).read_text())
    places = [entry["config"]["data"]["root"] for entry in (*record["earlier"], record)]
    assert places == [str(root), str(moved)] and record["from_step"] == 1
    # From an earlier checkpoint again: what came after it does not count.
    checkpoints(output)[-1].unlink()
    run(output, moved, 3, resume=True)
    record = json.loads((output / RECORD_NAME).read_text())
    assert [entry["from_step"] for entry in record["earlier"]] == [0]


def test_the_threads_of_a_training_are_its_own(tmp_path, monkeypatch):
    seen = []

    def fit(*_: Any, **__: Any) -> None:
        seen.append(torch.get_num_threads())

    monkeypatch.setattr("vocoder.train.training.fit", fit)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    run(tmp_path / "run", corpus(tmp_path / "corpus"), 1, resume=False)
    assert seen == [1] and torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_a_package_that_is_missing_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    root = corpus(tmp_path / "corpus")
    with refused("train.extra"):
        run(tmp_path / "run", root, 1, resume=False)
    assert not (tmp_path / "run").exists()


def test_no_utterance_to_validate_on_is_refused():
    with refused("train.validation_utterances.range"):
        replace(load("train", "repairing"), validation_utterances=0)
