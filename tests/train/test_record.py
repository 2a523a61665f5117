"""A run goes on with what it was begun with; its record says what has changed on the way."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.corpora import write_clip
from tests.train.tiny import NOISE, RATE, REFERENCE, SPEC, plan, repair_net
from vocoder.config import load
from vocoder.corpus.manifest import write_corpus
from vocoder.errors import BadInput
from vocoder.train.loop import Outcome
from vocoder.train.record import require_same_data, require_same_settings, write_record
from vocoder.train.state import checkpoints
from vocoder.train.training import RECORD_NAME, Training

pytestmark = pytest.mark.usefixtures("board")
CONFIG: dict[str, Any] = {
    "spec": {"n_mels": 256},
    "model": {"channels": 4, "spec": {"n_mels": 256}},
    "seed": 0,
    "data": {"root": "corpus", "speakers": None, "cache": None},
    "channel": {"max_db": 6.0},
    "train": {
        "init": None,
        "validation_lines": 1,
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


@pytest.fixture
def path(tmp_path):
    """The record of a run with `CONFIG`."""
    write_record(tmp_path / RECORD_NAME, CONFIG, {}, seed=0, world=1, step=0)
    return tmp_path / RECORD_NAME


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spec.n_mels", 80),
        ("model.channels", 8),
        ("seed", 1),
        ("data.speakers", ["anna"]),
        ("channel.max_db", 3.0),
        ("channel", {"_target_": "Clean"}),
        ("train.init", "generated"),
        ("train.validation_lines", 2),
        ("train.task.weights.decibels", 0.5),
    ],
)
def test_what_a_run_is_made_of_stays(name, value, path):
    with pytest.raises(BadInput, match=rf"^resume=true, but {name}.* is .* and was .*train\.init="):
        require_same_settings(path, changed(name, value))


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
def test_how_long_how_fast_and_where_may_change(name, value, path):
    require_same_settings(path, changed(name, value))


def test_the_record_keeps_what_it_was_before(path):
    def steps_and_rates() -> list[tuple[int, float]]:
        record = json.loads(path.read_text())
        return [
            (entry["from_step"], entry["config"]["train"]["plan"]["learning_rate"])
            for entry in (*record["earlier"], record)
        ]

    def goes_on(step: int, rate: float) -> list[tuple[int, float]]:
        config = changed("train.plan.learning_rate", rate) | {"resume": True}
        write_record(path, config, {}, seed=0, world=1, step=step)
        return steps_and_rates()

    assert steps_and_rates() == [(0, 1e-3)]
    assert goes_on(2, 1e-3) == [(0, 1e-3)]
    assert goes_on(3, 1e-4) == [(0, 1e-3), (3, 1e-4)]
    assert goes_on(5, 1e-5) == [(0, 1e-3), (3, 1e-4), (5, 1e-5)]
    # From an earlier checkpoint again: what came after it does not count.
    assert goes_on(4, 1e-5) == [(0, 1e-3), (3, 1e-4), (4, 1e-5)]
    assert goes_on(3, 1e-3) == [(0, 1e-3)]
    write_record(path, CONFIG, {}, seed=0, world=2, step=4)
    record = json.loads(path.read_text())
    assert [record["earlier"][0]["processes"], record["processes"]] == [1, 2]


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
    return replace(training, plan=plan(steps=steps, frames=40), validation_lines=1).run(
        spec=SPEC,
        data=load("data", "corpus", root=str(root)),
        channel=NOISE,
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
    with pytest.raises(
        BadInput, match=r"the data's recordings\.sha256 is '\w{64}' and was '\w{64}'"
    ):
        run(output, corpus(tmp_path / "other", one=500), 2, resume=True)
    with pytest.raises(BadInput, match=r"but the data's recordings\.validation_sha256 is '\w{64}'"):
        run(output, corpus(tmp_path / "third", val=500), 2, resume=True)
    assert json.loads((output / RECORD_NAME).read_text())["config"]["data"]["root"] == str(root)
    assert [path.name for path in checkpoints(output)] == ["step_00000001.pt"]
    moved = Path(shutil.move(root, tmp_path / "moved"))
    outcome = run(output, moved, 2, resume=True)
    assert outcome is not None and outcome.steps == 2
    record = json.loads((output / RECORD_NAME).read_text())
    places = [entry["config"]["data"]["root"] for entry in (*record["earlier"], record)]
    assert places == [str(root), str(moved)] and record["from_step"] == 1


def test_a_record_of_an_earlier_version_noted_fewer_hashes(path):
    before = {"recordings": {"sha256": "aa", "clips": 2}}
    write_record(path, CONFIG, before, seed=0, world=1, step=0)
    require_same_data(path, {"recordings": {"sha256": "aa", "validation_sha256": "bb"}})
    with pytest.raises(BadInput, match=r"the data's recordings\.sha256 is 'cc' and was 'aa'"):
        require_same_data(path, {"recordings": {"sha256": "cc", "validation_sha256": "bb"}})


def test_no_line_to_validate_on_is_refused():
    with pytest.raises(BadInput, match=r"^train\.validation_lines is 0; expected at least 1$"):
        replace(load("train", "repairing"), validation_lines=0)
