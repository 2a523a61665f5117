"""``vocoder evaluate``: from folders of sound to tables, files and pictures."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.processes import program
from tests.refusals import refused
from vocoder.cli import main

LINES = ("nl_m__m-obdivovat", "nl_v__jes-v-kamen", "nl_v__poh-v-forma")
QUICK = ("measures=[estoi,lsd]", "workers=1")
RATE = 22_050


def evaluate(*words: str) -> int:
    return main.run(["evaluate", *words])


def compare(home: Path, systems: str, *words: str) -> int:
    """Some of the systems in ``home`` with the recordings there."""
    given = [f"reference={home}/true", f"systems={systems}", f"output={home}/out"]
    return evaluate(*given, *QUICK, *words)


def report(output: Path) -> dict:
    found: dict = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def home(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s of each true recording, and a sweep of two systems: one with a little noise, late and
    upside down, and one with more noise."""
    home = tmp_path_factory.mktemp("home")
    draw = np.random.default_rng(0)
    for name in LINES:
        samples, _ = soundfile.read(generated / f"reference/{name}.flac", dtype="float64")
        samples = samples[: 2 * RATE]
        hiss = samples.std() * draw.standard_normal(len(samples))
        late = np.concatenate([np.zeros(200), -(samples + 0.01 * hiss)])
        for place, sound in (
            ("true", samples),
            ("sweep/snr=40", late),
            ("sweep/snr=10", samples + 0.3 * hiss),
        ):
            (home / place).mkdir(parents=True, exist_ok=True)
            soundfile.write(home / place / f"{name}.wav", sound, RATE)
    return home


@pytest.fixture
def copy(home: Path, tmp_path: Path) -> Path:
    """The same, to spoil."""
    return Path(shutil.copytree(home, tmp_path / "copy"))


@pytest.fixture(scope="module")
def whole(home: Path) -> Path:
    """Every metric that is not slow."""
    output = home / "whole"
    words = [f"reference={home}/true", f"systems={home}/sweep", f"output={output}"]
    names = "measures=[estoi,visqol,mcd,f0,voicing,lsd,mel,loudness]"
    assert evaluate(*words, "baseline=snr=40", names, "workers=1") == 0
    return output


def test_the_better_system_is_better_in_every_measure(whole: Path) -> None:
    found = report(whole)
    assert found["baseline"] == "snr=40" and found["problems"] == {}
    good, bad = found["systems"]["snr=40"], found["systems"]["snr=10"]
    assert len(good) == 8
    for name, measure in found["measures"].items():
        if name == "loudness_difference_lu":
            continue
        better, worse = good[name]["mean"], bad[name]["mean"]
        assert (better > worse) == (measure["better"] == "higher"), name
        assert good[name]["low"] <= better <= good[name]["high"] and good[name]["n"] == 3
    compared = found["comparisons"]["snr=10"]["estoi"]
    assert compared["mean"] == pytest.approx(bad["estoi"]["mean"] - good["estoi"]["mean"])
    assert compared["p"] == pytest.approx(2 / 8)  # of three utterances
    assert found["versions"]["pystoi"]


def test_rows_tell_how_files_were_aligned(whole: Path) -> None:
    with (whole / "evaluation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["system"], row["utterance"]) for row in rows] == [
        (system, name) for system in ("snr=10", "snr=40") for name in LINES
    ]
    for row in rows:
        late = row["system"] == "snr=40"
        assert float(row["delay_ms"]) == pytest.approx(200 / 22.05 * late, abs=0.01)
        assert row["polarity_inverted"] == str(late).lower()
        assert float(row["length_difference_s"]) == pytest.approx(200 / RATE * late, abs=1e-3)
        assert (float(row["estoi"]) > 0.9) == late
    (note,) = report(whole)["notes"]  # no offset is seen in real recordings
    assert note.startswith("3 of 6 files have the opposite polarity")


def test_table_and_pictures_are_there(whole: Path) -> None:
    text = (whole / "evaluation.md").read_text(encoding="utf-8")
    assert "| `snr=40` | 3 | " in text and "Baseline `snr=40`" in text
    for name in ("distributions.png", "spectrograms/snr=10.png", "spectrograms/snr=40.png"):
        picture = np.asarray(Image.open(whole / name).convert("L"))
        assert picture.std() > 20 and min(picture.shape) > 300


def test_results_are_not_replaced(whole: Path, home: Path, capsys: pytest.CaptureFixture) -> None:
    words = [f"reference={home}/true", f"systems={home}/sweep", f"output={whole}", *QUICK]
    assert evaluate(*words) == 2
    assert "evaluation.csv exists" in capsys.readouterr().err


def test_processes_find_the_same(home: Path, whole: Path, tmp_path: Path) -> None:
    words = [f"reference={home}/true", f"systems=[{home}/sweep/snr\\=10]", f"output={tmp_path}"]
    done = program("evaluate", *words, "measures=lsd", "workers=2")
    assert done.returncode == 0, done.stderr
    here, there = (report(path)["systems"]["snr=10"] for path in (whole, tmp_path))
    name = "log_spectral_distance_db"
    assert there == {name: pytest.approx(here[name], rel=1e-5)}


def test_what_is_missing_or_broken_is_listed_and_the_rest_done(
    copy: Path, capsys: pytest.CaptureFixture
) -> None:
    first, second, third = LINES
    (copy / f"sweep/snr=10/{first}.wav").unlink()
    soundfile.write(copy / f"sweep/snr=10/{second}.wav", np.zeros(RATE), RATE)
    soundfile.write(copy / f"sweep/snr=40/{second}.wav", np.full(RATE, 0.1), 16_000)
    soundfile.write(copy / "sweep/snr=40/extra.wav", np.full(RATE, 0.1), RATE)
    (copy / f"sweep/snr=40/{first}.wav").write_bytes(b"no sound")
    output = copy / "out"
    assert compare(copy, f"{copy}/sweep") == 2
    problems = report(output)["problems"]
    assert problems[f"snr=10: {first}"] == "missing; another system has it"
    assert "silent" in problems[f"snr=10: {second}"]
    assert "16000 Hz, its reference 22050 Hz; give sample_rate=" in problems[f"snr=40: {second}"]
    assert "cannot be read as audio" in problems[f"snr=40: {first}"]
    assert problems["reference: extra"] == "missing; snr=40 cannot be compared"
    assert report(output)["systems"]["snr=10"]["estoi"]["n"] == 1
    printed = capsys.readouterr().out
    assert f"snr=10: {first}: missing; another system has it" in printed
    with (output / "evaluation.csv").open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["utterance"] == third)
    assert float(row["estoi"]) > 0


def test_other_rates_are_converted_when_told(copy: Path) -> None:
    for path in (copy / "sweep/snr=40").glob("*.wav"):
        samples, _ = soundfile.read(path)
        places = np.arange(len(samples))
        twice = np.interp(np.arange(0, len(samples), 0.5), places, samples)
        soundfile.write(path, twice, 2 * RATE)
    assert compare(copy, f"[{copy}/sweep/snr\\=40]", "sample_rate=16000") == 0
    assert report(copy / "out")["systems"]["snr=40"]["estoi"]["mean"] > 0.95


def test_without_a_reference_sounds_are_rated_alone_and_against_their_pictures(
    generated: Path, tmp_path: Path
) -> None:
    name = LINES[1]
    words = [f"input={generated}", f"output={tmp_path}/sweep", "inverter.init=zero"]
    assert main.run(["invert", "-m", *words, "repair=none", "inverter.n_iter=0,20"]) == 0
    for path in (tmp_path / "sweep").rglob("*.wav"):
        if path.stem != name:
            path.unlink()
    output = tmp_path / "out"
    words = [f"systems={tmp_path}/sweep", f"output={output}", f"pictures={generated}", "workers=1"]
    assert evaluate(*words) == 0
    found = report(output)
    (note,) = found["notes"]
    assert all(other in note for other in LINES if other != name)
    assert list(found["measures"]) == ["dnsmos", "image_distance_db"]
    none, twenty = found["systems"].values()
    assert none["image_distance_db"]["mean"] > 1.5 * twenty["image_distance_db"]["mean"]
    assert 1 < twenty["dnsmos"]["mean"] < 5
    assert (output / "spectrograms/inverter.n_iter=20.png").is_file()


def test_the_true_reason_is_named(copy: Path, capsys: pytest.CaptureFixture) -> None:
    """Another sample rate throughout, among references that no system has."""
    for path in (copy / "sweep").glob("*/*.wav"):
        soundfile.write(path, soundfile.read(path)[0], 16_000)
    soundfile.write(copy / "true/another.wav", np.full(RATE, 0.1), RATE)
    assert compare(copy, f"{copy}/sweep") == 2
    told = capsys.readouterr().err
    assert "16000 Hz" in told and "sample_rate=" in told and "no system" not in told


def test_recordings_of_the_training_set_are_no_problem(copy: Path) -> None:
    for k in range(7):
        soundfile.write(copy / f"true/train{k}.wav", np.full(RATE, 0.1), RATE)
    assert compare(copy, f"[{copy}/sweep/snr\\=10]") == 0
    assert "7 of the 10 utterances in reference=" in report(copy / "out")["notes"][0]


def test_late_files_are_measured_and_named(copy: Path) -> None:
    for path in (copy / "sweep/snr=10").glob("*.wav"):
        true, _ = soundfile.read(copy / "true" / path.name)
        soundfile.write(path, np.concatenate([np.zeros(3 * RATE // 10), true]) + 0.005, RATE)
    assert compare(copy, f"[{copy}/sweep/snr\\=10]") == 0
    found = report(copy / "out")
    assert found["systems"]["snr=10"]["estoi"]["mean"] == pytest.approx(1, abs=1e-3)
    _, delays, offsets = found["notes"]  # the first says that they are longer
    assert all(f"snr=10/{name} (+300 ms)" in delays for name in LINES)
    assert "snr=10/" in offsets and "%" in offsets


def test_a_silent_reference_costs_what_is_compared_with_it(
    generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    true = Path(shutil.copytree(generated / "reference", tmp_path / "true"))
    for name in LINES[1:]:
        soundfile.write(true / f"{name}.flac", np.zeros(RATE), RATE)
    output = tmp_path / "out"
    words = [f"systems=[{generated}/reference]", f"reference={true}", f"pictures={generated}"]
    assert evaluate(*words, "label=real_B", f"output={output}", "measures=lsd", "workers=1") == 2
    found = report(output)
    assert list(found["problems"]) == [f"reference: {name}" for name in LINES[1:]]
    assert found["systems"]["reference"]["image_distance_db"]["n"] == 3
    assert "| `reference` | 3 | " in capsys.readouterr().out
    assert (output / "spectrograms/reference.png").is_file()


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("systems=gone", "systems.missing"),
        ("systems={home}/sweep reference=gone", "recordings.missing"),
        ("systems={home}/sweep reference={home}/true baseline=snr=4", "baseline.unknown"),
        ("systems={home}/sweep reference={home}/true measures=[estio]", "measures.unknown"),
        ("systems={home}/sweep measures=[estoi]", "measures.reference"),
        ("systems={home}/sweep measures=[]", "measures.empty"),
        ("systems={home}/sweep workers=0", "workers.range"),
        ("systems={home}/sweep sample_rate=0", "sample_rate.range"),
        ("systems={home}/sweep sample_rate=1000000000000", "sample_rate.range"),
        ("systems={home}/sweep pictures={home}/true", "input.missing"),
    ],
)
def test_bad_use_writes_nothing(words: str, key: str, home: Path, tmp_path: Path) -> None:
    with refused(key):
        main.dispatch(["evaluate", *words.format(home=home).split(), f"output={tmp_path}/out"])
    assert not (tmp_path / "out").exists()
