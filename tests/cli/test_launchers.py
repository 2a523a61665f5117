"""Who runs the jobs of a sweep: Hydra's launchers."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from tests.cli.inverting import CHEAP, IMAGES, RATE
from tests.corpora import make_corpus
from tests.processes import python
from vocoder.cli import main
from vocoder.cli.sweep import Job, Unfinished

BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def _no_ray_yet(monkeypatch):
    """What we set for the whole process."""
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_DEDUP_LOGS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def cluster():
    """The environment of a Ray cluster of one machine, which knows no folder of ours."""
    with tempfile.TemporaryDirectory() as folder:  # short: names of sockets have an end
        environment = {
            **os.environ,
            "RAY_TMPDIR": folder,
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        words = ["--head", "--block", "--port=0", "--num-cpus=2", "--include-dashboard=false"]
        with subprocess.Popen(
            [BIN / "ray", "start", *words],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as ray:
            assert any("--block" in line for line in ray.stdout or ())
            yield environment
            ray.terminate()


def run(environment, folder, *words):
    return python(BIN / "vocoder", *words, env=environment, cwd=folder)


def test_a_cluster_makes_the_same_sounds(cluster, generated, tmp_path, monkeypatch):
    shutil.copytree(generated, tmp_path / "set")
    words = ["input=set/results", "manifest=set/manifest.csv", *CHEAP]
    both = ["inverter=griffin_lim,admm", "output=ray"]
    done = run(cluster, tmp_path, "invert", "-m", "hydra/launcher=ray", *words, *both)
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.chdir(tmp_path)
    assert main.run(["invert", *words, "inverter=admm", "output=alone"]) == 0
    expected = sorted((tmp_path / "alone").glob("*.wav"))
    assert len(expected) == 3
    for path in expected:
        same = tmp_path / "ray/inverter=admm" / path.name
        other = tmp_path / "ray/inverter=griffin_lim" / path.name
        assert same.read_bytes() == path.read_bytes() != other.read_bytes()
    assert {path.name for path in (tmp_path / "ray").iterdir()} == {
        "inverter=admm",
        "inverter=griffin_lim",
    }


def test_what_is_wrong_on_a_cluster_is_said(cluster, generated, tmp_path):
    gone = tmp_path / "gone"
    words = [f"input={gone},{generated / IMAGES}", "output=out", *CHEAP]
    done = run(cluster, tmp_path, "invert", "-m", "hydra/launcher=ray", *words)
    assert done.returncode == 2
    assert f"{gone} does not exist" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert len(list((tmp_path / "out").rglob("*.wav"))) == 3
    # A folder a job, though their names are paths.
    assert all(path.name.startswith("input=") for path in (tmp_path / "out").iterdir())
    assert len(list((tmp_path / "out").glob("input=*/*.wav"))) == 3


def test_a_folder_that_a_machine_does_not_have(monkeypatch, tmp_path, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    job = Job("invert", lambda *_: 0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").rmdir()
    monkeypatch.setattr(
        HydraConfig,
        "get",
        lambda: OmegaConf.create(
            {"job": {"override_dirname": ""}, "runtime": {"output_dir": "out"}}
        ),
    )
    with pytest.raises(Unfinished):
        job(OmegaConf.create())
    assert f"cannot enter {tmp_path / 'here'}" in capsys.readouterr().err


def test_jobs_start_processes_of_their_own(generated, speech, tmp_path):
    """Which joblib's workers would start as they themselves are."""
    clips = {"a.flac": (speech[:RATE], "train"), "b.flac": (speech[-RATE:], "val")}
    make_corpus(tmp_path / "corpus", clips)
    words = ["experiment=jpeg", "data.root=corpus", "seed=0,1", "output=runs"]
    few = ["train.plan.steps=1", "train.plan.workers=1", "train.validation_utterances=1"]
    many = ["-m", "hydra/launcher=joblib"]
    (tmp_path / "runs/seed=0").mkdir(parents=True)  # as if it had been killed before it began
    (tmp_path / "runs/seed=0/.lock").touch()
    done = run(os.environ, tmp_path, "train", *many, *words, *few, "resume=true")
    assert done.returncode == 0, done.stdout + done.stderr
    weights = [tmp_path / f"runs/seed={seed}/last.safetensors" for seed in (0, 1)]
    assert weights[0].read_bytes() != weights[1].read_bytes()

    for name in ("one", "two"):
        shutil.copytree(generated / "reference", tmp_path / name)
    words = ["systems=one,two", f"reference={generated / 'reference'}", "measures=[estoi]"]
    done = run(os.environ, tmp_path, "evaluate", *many, *words, "output=measured", "workers=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("measured/systems=*/evaluation.json"))) == 2


def test_ray_is_asked_for_no_more_than_jobs(tmp_path, monkeypatch, capsys):
    """Neither to tell its makers of its use, nor for memory, which a running cluster refuses."""
    seen = []

    def no_cluster(**settings):
        seen.append((settings, os.environ.get("RAY_USAGE_STATS_ENABLED")))
        raise ConnectionError("no cluster there")

    monkeypatch.setattr("ray.init", no_cluster)
    words = ["hydra/launcher=ray", "input=a,b", f"output={tmp_path}"]
    assert main.run(["invert", "-m", *words]) == 2
    assert "vocoder: no cluster there" in capsys.readouterr().err
    words += ["+hydra.launcher.ray.init.object_store_memory=80000000"]
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    assert main.run(["invert", "-m", *words, "hydra.launcher.ray.init.address=here"]) == 2
    assert seen == [
        ({"address": None, "object_store_memory": None}, "0"),
        ({"address": "here", "object_store_memory": 80_000_000}, "1"),
    ]


@pytest.mark.parametrize("launcher, extra", [("joblib", "cluster"), ("ray", "ray")])
def test_the_extra_is_named(launcher, extra, monkeypatch, capsys):
    monkeypatch.setattr(ConfigLoaderImpl, "get_group_options", lambda *_: ["basic"])
    words = [f"hydra/launcher={launcher}", "input=a,b", "output=c"]
    assert main.run(["invert", "-m", *words]) == 2
    said = capsys.readouterr().err
    assert f"hydra/launcher={launcher} needs more packages" in said
    assert f"pip install 'vocoder[{extra}]'" in said


def test_jobs_whose_values_are_paths_share_no_folder(generated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a/b", "a_b", "a%2Fb"):
        shutil.copytree(generated / "results", folder)
    words = [f"manifest={generated / 'manifest.csv'}", *CHEAP, "input=a/b,a_b,a%2Fb", "output=[x]"]
    assert main.run(["invert", "-m", *words]) == 0
    folders = sorted(path.name for path in Path("[x]").iterdir())
    assert folders == ["input=a%252Fb", "input=a%2Fb", "input=a_b"]
    assert all(len(list(path.glob("*.wav"))) == 3 for path in Path("[x]").iterdir())
