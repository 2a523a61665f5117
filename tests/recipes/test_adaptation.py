"""What a speaker's own lines are worth: what is learnt from, what is measured, what is shown."""

import csv
import json
import shutil
from argparse import Namespace

import numpy as np
import pytest

from recipes import adaptation
from recipes.generated import RANGE_DB
from tests.corpora import make_corpus
from tests.refusals import refused
from vocoder.audio import read_audio, write_audio
from vocoder.cli.main import run
from vocoder.image.manifest import read_manifest

RATE = 22_050
SPEAKERS = {"anna": "nl_v__jes-v-kamen", "ben": "nl_m__m-obdivovat"}


@pytest.fixture(scope="module")
def home(tmp_path_factory, generated):
    """Two speakers, three lines each, and pictures of them at twice the recordings' level."""
    home = tmp_path_factory.mktemp("home")
    clips = {}
    for speaker, line in SPEAKERS.items():
        sound = read_audio(generated / f"reference/{line}.flac", RATE)[5_000:]
        for number, split in enumerate(("train", "train", "val")):
            part = np.array_split(sound, 3)[number]
            clips[f"{speaker}/line{number}.flac"] = part / 2, split
            write_audio(home / f"loud/{speaker}/line{number}.flac", part, RATE, overwrite=False)
    make_corpus(home / "recordings", clips)
    ends = [f"codec.{name}={value}" for name, value in RANGE_DB.items()]
    words = [f"input={home / 'loud'}", f"output={home / 'generated'}"]
    assert run(["encode", *words, "codec=gray8", *ends]) == 0
    shutil.copytree(home / "generated", home / "test/results")
    shutil.copy(home / "generated/manifest.csv", home / "test/manifest.csv")
    shutil.copytree(home / "loud", home / "test/reference")
    return home


def arguments(home, output):
    folders = [home / "recordings", home / "recordings", home / "generated", output]
    small = ["--minutes", "0.001", "--base-steps", "1", "--steps", "1"]
    return [*map(str, folders), "--test", str(home / "test"), *small, "--speaker"]


def test_cuts_lie_within_each_other_and_the_rest_is_unseen(home):
    tiles = read_manifest(home / "generated/manifest.csv")
    others, cuts, rest = adaptation.shortened(tiles, "ben", [0.05, 0.001])
    assert {tile.utterance[:6] for tile in others} == {"anna__"}
    lines = [{tile.utterance for tile in part} for part in (cuts[0.001], cuts[0.05], rest)]
    assert lines[0] < lines[1] and not lines[1] & lines[2]
    assert list(map(len, lines)) == [1, 2, 1]
    with refused("generated.few"):
        adaptation.shortened(tiles, "ben", [9])
    with refused("generated.few"):
        adaptation.shortened(tiles, "carl", [0.001])


def test_a_speaker_is_learnt_and_compared(home, tmp_path, capsys, monkeypatch):
    output = tmp_path / "out"
    monkeypatch.setattr(adaptation, "MEASURES", ["estoi", "mel"])
    # Two of three lines, since one of them is validated on.
    words = ["0.05" if word == "0.001" else word for word in arguments(home, output)]
    assert adaptation.main([*words, "ben"]) == 0
    assert "control" in capsys.readouterr().out
    assert (output / "curve.png").read_bytes().startswith(b"\x89PNG")
    records = {
        name: json.loads((output / name / "run.json").read_text())["data"]
        for name in ("base", "control", "0.05min")
    }
    assert records["base"]["recordings"]["recordings"]["speakers"] == ["anna"]
    assert records["base"]["generated"]["generated"] == records["control"]["generated"]
    assert records["0.05min"]["generated"]["utterances"] == 1
    heard = sorted(path.stem for path in (output / "sounds/base").iterdir())
    assert heard == [f"ben__line{n}" for n in range(3)]
    with (output / "evaluation/evaluation.csv").open(newline="") as file:
        found = {(row["system"], row["utterance"]) for row in csv.DictReader(file)}
    assert len(found) == 12 and ("0.05min_last", "ben__line0") in found
    before = (output / "base/last.safetensors").stat().st_mtime_ns
    assert adaptation.main([*words, "ben"]) == 0  # nothing is trained again
    assert (output / "base/last.safetensors").stat().st_mtime_ns == before
    shutil.copy(output / "reference/ben__line0.wav", output / "reference/another.wav")
    assert adaptation.main([*words, "ben"]) == 2
    assert "1 lines of another comparison, such as another; remove" in capsys.readouterr().err


def test_a_speaker_who_is_not_there_is_named(home, tmp_path, capsys):
    assert adaptation.main([*arguments(home, tmp_path / "out"), "carl"]) == 2
    assert "0 generated lines are carl's" in capsys.readouterr().err


def test_other_generators_have_their_own_range_and_level(home, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(adaptation, "train", lambda folder, words: told.append(words))
    given = Namespace(
        corpus=home / "recordings",
        recordings=home / "recordings",
        generated=home / "generated",
        output=tmp_path,
        speaker="ben",
        minutes=[0.001],
        unseen=1,
        gain_db=0.0,
        range_db=[-92.0, -12.0],
        base_steps=1,
        steps=1,
    )
    adaptation.train_all(given)
    with (tmp_path / "rest.csv").open(newline="") as file:
        assert {row["utterance"] for row in csv.DictReader(file)} == {"ben__line1"}
    assert len(told) == 3
    for words in told:
        ends = {word.rpartition("data.")[2].removeprefix("parts.generated.") for word in words}
        assert {"db_min=-92.0", "db_max=-12.0", "reference_gain_db=0.0"} <= ends
