"""``vocoder train``: from a corpus or generated images to weights for ``vocoder invert``."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from filelock import FileLock
from hydra import compose
from omegaconf import OmegaConf

from tests.cli.results import report
from tests.corpora import make_corpus
from tests.refusals import refused
from vocoder.cli import main
from vocoder.config import build, conf_dir, hydra_conf, missing_settings, options
from vocoder.model.checkpoint import read_checkpoint as read_model
from vocoder.train.state import checkpoints, read_checkpoint

RATE = 22_050
LINES = ("nl_m__m-obdivovat", "nl_v__jes-v-kamen", "nl_v__poh-v-forma")
TINY = {
    "repair": ("model=repair", "model.channels=4", "model.context=8", "model.context_blocks=1",
               "train=repairing", "train.task.inverter.n_iter=1", "train.plan.frames=40"),
    "hifigan": ("model=hifigan_v2", "model.channels=16", "model.kernels=[3]",
                "model.dilations=[[1]]", "train=adversarial", "train.plan.frames=32",
                "train.task.adversarial_from=1", "train.task.discriminators.mpd.width=0.03",
                "train.task.discriminators.mrd.width=0.1"),
    "wavenet": ("model=wavenet", "model.layers=2", "model.cycle=2", "model.channels=8",
                "train=likelihood", "train.plan.frames=12"),
}  # fmt: skip
SHORT = (
    "train.plan.steps=2",
    "train.plan.batch_size=2",
    "train.plan.validate_every=2",
    "train.plan.checkpoint_every=1",
    "train.plan.workers=0",
    "train.validation_utterances=1",
)
GAIN = "data.reference_gain_db=0.0"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three clips of about a second, one of them to validate on, and one too short to analyse."""
    folder = tmp_path_factory.mktemp("corpus")
    path = Path(__file__).parents[1] / f"data/pix2pix/reference/{LINES[0]}.flac"
    samples, _ = soundfile.read(path, dtype="float32")
    clips = {
        "one.flac": (samples[8_000:30_000], "train"),
        "two.flac": (samples[31_000:53_000], "train"),
        "three.flac": (samples[54_000:76_000], "val"),
        "blip.flac": (samples[20_000:20_400], "train"),
    }
    make_corpus(folder, clips)
    return folder


def train(output, *words):
    return main.run(["train", f"output={output}", *words])


def on_corpus(corpus, output, *words, model="repair"):
    return train(output, f"data.root={corpus}", *TINY[model], *SHORT, *words)


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """A repair that was trained for two steps."""
    output = tmp_path_factory.mktemp("runs") / "repair"
    assert on_corpus(corpus, output, "degradation=generated", "data.speakers=[anna]") == 0
    return output


def test_a_run_writes_down_what_it_was_made_of(run, corpus):
    record = json.loads((run / "run.json").read_text())
    config = record["config"]
    assert config["spec"]["n_mels"] == 256 and config["train"]["plan"]["steps"] == 2
    assert config["model"]["channels"] == 4 and config["data"]["root"] == str(corpus)
    assert config["degradation"]["degradations"][0]["_target_"].endswith("degradation.Chain")
    assert record["seed"] == config["seed"] == 0 and record["processes"] == 1
    assert {"vocoder", "torch", "numpy"} <= set(record["versions"])
    data = record["data"]["recordings"]
    assert data["utterances"] == 2 and data["speakers"] == ["anna"] and len(data["sha256"]) == 64
    assert data["minutes"] == pytest.approx(2 / 60, abs=0.02)
    best = read_model(run / "best.safetensors")
    assert best.card["data"] == record["data"] and best.card["seed"] == 0
    assert (
        best.model["_target_"] == "vocoder.repair.network.RepairNet" and best.card["init"] is None
    )
    assert [path.name for path in checkpoints(run)] == ["step_00000001.pt", "step_00000002.pt"]
    assert list((run / "curves").glob("events.*"))


def test_curves_hold_losses_sounds_and_pictures(run):
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(
        str(run / "curves"), {"audio": 0, "images": 0, "scalars": 0}
    )
    events.Reload()
    tags = events.Tags()
    assert {"validation/estoi", "validation/mel_distance_db"} <= set(tags["scalars"])
    assert [point.step for point in events.Scalars("validation/estoi")] == [0, 2]
    assert set(tags["audio"]) == {"utterance00/made", "utterance00/true"}
    assert tags["images"] == ["utterance00/given_made_true"]
    assert [image.height for image in events.Images("utterance00/given_made_true")] == [768, 768]
    assert 0.5 < events.Scalars("validation/estoi")[0].value < 1


def test_what_was_trained_inverts_pictures(run, generated, tmp_path):
    words = ["invert", f"input={generated}", f"repair.weights={run}",
             "inverter.n_iter_estimated=1", "inverter.init=zero"]  # fmt: skip
    assert main.run([*words, f"output={tmp_path}"]) == 0
    for name in LINES:
        sound, rate = soundfile.read(tmp_path / f"{name}.wav")
        assert rate == RATE and np.abs(sound).max() > 0.05
    assert str(run) in json.dumps(report(tmp_path))


@pytest.mark.parametrize("model", ["hifigan", "wavenet"])
def test_a_vocoder_is_trained_and_inverts_pictures(model, corpus, generated, tmp_path):
    assert on_corpus(corpus, tmp_path / "run", "degradation=stored", model=model) == 0
    words = ["invert", f"input={generated}", f"inverter={model}", f"output={tmp_path / 'sound'}"]
    assert main.run([*words, f"inverter.weights={tmp_path / 'run'}"]) == 0
    assert len(list((tmp_path / "sound").glob("*.wav"))) == 3


def test_generated_images_are_trained_on_in_one_command(training, tmp_path, run):
    """The artist's command, but for the size of the network."""
    words = ("experiment=generated", f"data.input={training / 'results'}",
             f"data.reference={training / 'reference'}", GAIN)  # fmt: skip
    small = (*TINY["repair"][1:4], *TINY["repair"][5:], *SHORT)
    assert train(tmp_path / "run", *words, *small, f"train.init={run}") == 0
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["data"]["generated"]["utterances"] == 2
    assert record["config"]["train"]["plan"]["learning_rate"] == 5e-4  # the experiment's
    assert read_model(tmp_path / "run/last.safetensors").card["init"] == str(run)


def test_an_existing_run_is_kept_or_gone_on_with(corpus, run, tmp_path, capsys):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert on_corpus(corpus, run, "degradation=generated") == 2
    assert f"{run} holds a run already; choose another" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    given = ("degradation=generated", "data.speakers=[anna]", "resume=true")
    assert on_corpus(corpus, copy, *given, "train.plan.steps=3") == 0
    assert checkpoints(copy)[-1].name == "step_00000003.pt"
    for words, message in (
        (("seed=1",), "seed is 1 and was 0"),
        (("spec.fmax=8000",), "spec.fmax is 8000 and was 11025.0"),
        (("model.channels=8",), "model.channels is 8 and was 4"),
    ):
        assert on_corpus(corpus, copy, *given, *words) == 2
        assert f"resume=true, but {message} in" in capsys.readouterr().err
    (copy / "run.json").write_text("{}")  # for people; what counts is in the checkpoints
    assert on_corpus(corpus, copy, *given, "train.plan.steps=4") == 0
    assert json.loads((copy / "run.json").read_text())["config"]["train"]["plan"]["steps"] == 4
    assert on_corpus(corpus, tmp_path / "none", "resume=true") == 2
    assert "none holds no run; leave resume out" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    (tmp_path / "killed/generators").mkdir(parents=True)  # while it read or made its data
    assert on_corpus(corpus, tmp_path / "killed", *given, "train.plan.steps=1") == 0


def test_a_run_that_came_to_no_checkpoint_begins_anew(corpus, run, tmp_path):
    """All that a kill then leaves are the weights that it began with."""
    killed = tmp_path / "killed"
    killed.mkdir()
    began = read_model(run / "best.safetensors")
    replace(began, card={**began.card, "steps": 0}).write(
        killed / "best.safetensors", overwrite=False
    )
    words = ("degradation=generated", "data.speakers=[anna]", "resume=true")
    assert on_corpus(corpus, killed, *words) == 0
    ours, theirs = (read_checkpoint(checkpoints(folder)[-1]) for folder in (killed, run))
    for name, tensor in ours["networks"]["model"].items():
        assert torch.equal(tensor, theirs["networks"]["model"][name])


@pytest.mark.parametrize(
    ("lost", "key"),
    [
        (["checkpoints"], "checkpoint.missing"),
        (["checkpoints", "run.json", "last.safetensors"], "checkpoint.missing"),
        (["best.safetensors"], "weights.missing"),
    ],
)
def test_a_run_of_which_something_is_lost_is_left_alone(lost, key, corpus, run, tmp_path):
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    for name in lost:
        shutil.rmtree(copy / name) if (copy / name).is_dir() else (copy / name).unlink()
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    words = ["degradation=generated", "data.speakers=[anna]", "resume=true"]
    with refused(key):
        main.dispatch(
            ["train", f"output={copy}", f"data.root={corpus}", *TINY["repair"], *SHORT, *words]
        )
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("resume", ["false", "true"])
def test_a_start_that_failed_is_no_run(resume, corpus, tmp_path, capsys):
    """The next one may have the settings that its error asks for."""
    output = tmp_path / "run"
    assert on_corpus(corpus, output, "train.plan.frames=32") == 2
    assert "the intelligibility loss needs at least" in capsys.readouterr().err
    assert not output.exists()
    (output / "curves").mkdir(parents=True)  # of a start that was killed
    words = (f"resume={resume}", "data.speakers=[anna]", "model.channels=8")
    assert on_corpus(corpus, output, *words) == 0
    assert read_model(output / "best.safetensors").model["channels"] == 8


def test_weights_that_lie_in_the_folder_are_not_replaced(corpus, tmp_path, capsys):
    (tmp_path / "best.safetensors").write_text("mine")
    assert on_corpus(corpus, tmp_path) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert (tmp_path / "best.safetensors").read_text() == "mine"


def test_two_trainings_do_not_write_to_one_folder(corpus, tmp_path, capsys):
    """The other one has only just begun: no record, no checkpoint."""
    with FileLock(tmp_path / ".lock"):
        assert on_corpus(corpus, tmp_path) == 2
    assert "another training is writing to" in capsys.readouterr().err
    assert on_corpus(corpus, tmp_path, "train.plan.steps=1") == 0
    with FileLock(tmp_path / ".lock", timeout=0):  # given back
        pass


def test_ctrl_c_loses_no_step(corpus, tmp_path):
    """In a process of its own, with a worker, as from a terminal."""
    words = [f"output={tmp_path / 'run'}", f"data.root={corpus}", *TINY["repair"], *SHORT,
             "train.plan.steps=100000", "train.plan.checkpoint_every=100000",
             "train.plan.validate_every=100000", "train.plan.workers=1"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "vocoder.cli.main", "train", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not checkpoints(tmp_path / "run"):  # the first step's
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    step = read_checkpoint(checkpoints(tmp_path / "run")[-1])["step"]
    assert process.returncode == 130 and step > 1, err
    assert f"resume=true goes on from step {step}" in out and "Traceback" not in err
    words += ["resume=true", f"train.plan.steps={step + 1}"]
    assert main.run(["train", *words]) == 0
    assert read_checkpoint(checkpoints(tmp_path / "run")[-1])["step"] == step + 1


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/run"])
def test_an_output_that_cannot_be_is_refused_before_the_data_is_read(place, tmp_path):
    (tmp_path / "file").write_text("mine")
    words = ["data.root=nowhere", "train.plan.workers=0"]
    with refused("output.unwritable"):
        main.dispatch(["train", f"output={tmp_path / place}", *words])
    assert (tmp_path / "file").read_text() == "mine"


def composed(*words: str) -> dict[str, Any]:
    with hydra_conf():
        config = compose("train", [*words, "output=o"])
        for key in missing_settings(OmegaConf.to_container(config)):
            OmegaConf.update(config, key, "given")
    values: Any = OmegaConf.to_container(config, resolve=True)
    return {key: build(value, key) for key, value in values.items()}


@pytest.mark.parametrize(
    ("words", "key", "named"),
    [
        ("experiment=generatd", "experiment.unknown", "did you mean generated?"),
        ("experiment=generated data.inputs=x", "data.inputs.unknown", "did you mean data.input?"),
        (
            "experiment=repair_simulated train.task.weights.mel=1",
            "train.task.weights.mel.unknown",
            "",
        ),
        ("model=repair train=vocoding", "train.task.conflict", "RepairNet"),
        ("model=wavenet", "train.task.conflict", "WaveNet"),
        ("train.plan.steps=many", "train.plan.steps.type", "'many'"),
        ("train.plan.steps=0", "train.plan.steps.range", "0"),
        ("train.plan.workers=1000", "train.plan.workers.range", "1000"),
        ("train.plan.init_share=0.5", "train.plan.init_share.range", "0 without train.init"),
        ("train.init=nothing train.plan.workers=0", "weights.unknown", "'nothing'"),
        ("train.plan.workers=0", "corpus.missing", "corpus.csv"),
        ("data.speakers=anna", "data.speakers.type", "'anna'"),
        ("degradation=generated degradation.weights=[1]", "degradation.weights.range", "[1]"),
    ],
)
def test_slips_are_named(words, key, named, tmp_path):
    given = words.split()
    if ("data" not in words and "experiment" not in words) or "speakers" in words:
        given.append("data.root=nowhere")
    with refused(key) as caught:
        main.dispatch(["train", *given, f"output={tmp_path / 'run'}"])
    assert named in str(caught.value)


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_is_composed_and_its_parts_fit(name):
    made = composed(f"experiment={name}")
    assert "experiment" not in made
    made["train"].task.setup(made["model"], made["spec"])
    text = (conf_dir() / f"experiment/{name}.yaml").read_text().splitlines()
    assert text[0] == "# @package _global_" and text[1].startswith("# ")


def test_words_of_the_command_line_win_over_an_experiment():
    made = composed("experiment=generated", "train.plan.steps=7", "degradation=clean")
    assert made["train"].plan.steps == 7 and made["train"].plan.learning_rate == 5e-4
    assert type(made["degradation"]).__name__ == "Clean" and made["train"].init == "generated"


def test_a_missing_key_of_an_option_is_explained(tmp_path):
    with refused("data.root.missing") as caught:
        main.dispatch(["train", "data=corpus", f"output={tmp_path}"])
    assert str(caught.value) == "data.root= must be given: the folder"
