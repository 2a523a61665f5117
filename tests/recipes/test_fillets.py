"""The corpus recipe on tiny packages of real speech: no network."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recipes.fillets import corpus, fetch
from tests.refusals import refused
from vocoder.corpus import read_corpus

SOUND = Path("usr/share/games/fillets-ng/sound")


def tree_of(folder: Path, speech: np.ndarray, lang: str) -> Path:
    """What a package holds: wanted speakers, others, music, another rate, stereo, an empty line."""
    short = speech[:11_025]
    loud = short * (1.2 / np.abs(short).max())
    files: dict[str, tuple[np.ndarray, int]] = {
        f"barrel/{lang}/bar-m-one.ogg": (short, 22_050),
        f"barrel/{lang}/bar-v-two.ogg": (np.stack([short, 0 * short], axis=1), 22_050),
        f"share/jokes/{lang}/semafor-v.ogg": (short, 44_100),
        f"barrel/{lang}/m-one.ogg": (loud, 22_050),
        f"barrel/{lang}/bar-hs-one.ogg": (short, 22_050),
        f"barrel/{lang}/bar-x-v.ogg": (short, 22_050),
        "barrel/en/bar-m-one.ogg": (short, 22_050),
        f"gems/{lang}/gem-v-empty.ogg": (short[:0], 22_050),
    }
    for name, (samples, rate) in files.items():
        path = folder / SOUND / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate)
    licence = folder / f"usr/share/doc/fillets-ng-data-{lang}/copyright"
    licence.parent.mkdir(parents=True)
    licence.write_text("GNU General Public License, version 2")
    return folder


@pytest.fixture
def debs(tmp_path: Path, speech: np.ndarray) -> Path:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    folder = tmp_path / "debs"
    folder.mkdir()
    for lang, package in fetch.PACKAGES.items():
        tree = tree_of(tmp_path / lang, speech, lang)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(
            f"Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
        )
        command = ["dpkg-deb", "--build", str(tree), str(folder / f"{package}_1_all.deb")]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(autouse=True)
def held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "test.txt"
    path.write_text("cs_m/bar-m-one\nnl_v/semafor-v\n")
    monkeypatch.setattr(fetch, "HELD_OUT", path)
    return path


def test_the_committed_split_names_twelve_lines_of_each_speaker() -> None:
    lines = Path(str(fetch.__file__)).with_name("test.txt").read_text().split()
    speakers = [line.split("/")[0] for line in lines]
    assert {name: speakers.count(name) for name in set(speakers)} == dict.fromkeys(
        ("cs_m", "cs_v", "nl_m", "nl_v"), 12
    )
    assert len(set(lines)) == 48


def test_packages_become_recordings_a_table_and_a_licence(
    debs: Path, tmp_path: Path, speech: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert fetch.main([str(output), "--debs", str(debs)]) == 0
    with (output / "lines.csv").open(newline="") as file:
        rows = {row["line"]: row for row in csv.DictReader(file)}
    wanted = ("m/bar-m-one", "m/m-one", "v/bar-v-two", "v/semafor-v")
    assert list(rows) == [f"{lang}_{line}" for lang in ("cs", "nl") for line in wanted]
    assert [line for line, row in rows.items() if row["split"] == "test"] == [
        "cs_m/bar-m-one",
        "nl_v/semafor-v",
    ]
    assert "GNU General Public License" in (output / "copyright").read_text()
    printed = capsys.readouterr().out
    assert "cs_v/gem-v-empty" in printed
    assert not (output / "cs_v/gem-v-empty.flac").exists()

    info = soundfile.info(output / "cs_v/semafor-v.flac")
    assert (info.samplerate, info.channels, info.subtype) == (22_050, 1, "PCM_16")
    assert float(rows["cs_v/semafor-v"]["seconds"]) == pytest.approx(0.25, abs=0.001)

    # Half the level; a line that goes beyond full scale keeps its peaks and is counted.
    short = speech[:11_025]
    halved, _ = soundfile.read(output / "cs_m/bar-m-one.flac")
    assert np.corrcoef(halved, short)[0, 1] > 0.99
    assert halved.std() / short.std() == pytest.approx(0.5, rel=0.02)
    assert int(rows["cs_m/bar-m-one"]["clipped_samples"]) == 0
    assert int(rows["cs_m/m-one"]["clipped_samples"]) > 0
    loud, _ = soundfile.read(output / "cs_m/m-one.flac")
    assert np.abs(loud).max() == pytest.approx(0.6, rel=0.05)
    # One silent channel of two halves the mean.
    assert float(rows["cs_v/bar-v-two"]["rms_dbfs"]) == pytest.approx(
        float(rows["cs_m/bar-m-one"]["rms_dbfs"]) - 6.02, abs=0.3
    )


def test_a_stopped_run_goes_on_and_a_finished_one_is_left_alone(
    debs: Path, tmp_path: Path, held_out: Path
) -> None:
    output = tmp_path / "out"
    split = held_out.read_text()
    held_out.write_text(split + "cs_m/unknown\n")
    with refused("lines.missing"):
        fetch.fetch(output, debs)
    assert not (output / "lines.csv").exists()

    held_out.write_text(split)
    done = output / "cs_m/bar-m-one.flac"
    done.parent.mkdir()
    soundfile.write(done, np.zeros(22_050), 22_050)
    lines = {line.line: line for line in fetch.fetch(output, debs)}
    assert lines["cs_m/bar-m-one"].seconds == 1.0  # taken as it was
    with refused("output.exists"):
        fetch.fetch(output, debs)


def test_a_held_out_line_without_sound_is_refused(
    tmp_path: Path, speech: np.ndarray, held_out: Path
) -> None:
    tree = tree_of(tmp_path / "tree", speech, "cs")
    with refused("lines.empty"):
        fetch.write_lines(fetch.find_lines(tree), {"cs_v/gem-v-empty"}, tmp_path / "out")


def test_the_same_name_in_two_levels_is_refused(tmp_path: Path, speech: np.ndarray) -> None:
    tree = tree_of(tmp_path / "tree", speech, "cs")
    other = tree / SOUND / "cave/cs/bar-m-one.ogg"
    other.parent.mkdir(parents=True)
    other.touch()
    with refused("lines.doubled"):
        fetch.find_lines(tree)


def test_missing_packages_and_tools_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("dpkg") is not None:
        with refused("packages.missing"):
            fetch.fetch(tmp_path / "out", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused("apt-get.missing"):
        fetch.fetch(tmp_path / "out", None)
    with refused("dpkg.missing"):
        fetch.fetch(tmp_path / "out", tmp_path)


def test_a_failing_tool_is_quoted(tmp_path: Path) -> None:
    if shutil.which("dpkg") is None:
        pytest.skip("dpkg is not installed")
    for package in fetch.PACKAGES.values():
        (tmp_path / f"{package}_1_all.deb").write_text("no archive")
    with refused("dpkg.failed"):
        fetch.fetch(tmp_path / "out", tmp_path)


@pytest.fixture
def fetched(tmp_path: Path, speech: np.ndarray) -> Path:
    """What `fetch` leaves: of two speakers a held-out line, four good ones and four bad ones."""
    folder = tmp_path / "fetched"
    noise = np.random.default_rng(0).standard_normal(len(speech)).astype(np.float32)
    quiet = np.zeros(15_000, np.float32)
    short = speech[:4_000]
    lines = []
    for speaker, test, level in (("cs_m", "bar-m-one", 1.0), ("nl_v", "semafor-v", 0.98)):
        own = level * speech  # so that no two files are the same
        padded = np.concatenate([quiet, own, quiet])
        sounds: dict[str, np.ndarray] = {
            test: 0.95 * padded,
            **{f"good{k}": padded * 0.9**k for k in range(4)},
        }
        sounds |= {
            "noisy": own + 0.02 * noise,
            "offset": own + 0.02,
            "clipped": np.clip(own * 8, -fetch.GAIN, fetch.GAIN),
            "nothing": 0.01 * level * noise,
            "pause": np.concatenate([own, quiet, own]),
            "short": np.concatenate([quiet, level * short, quiet]),
        }
        for name, sound in sounds.items():
            line = f"{speaker}/{name}"
            path = folder / f"{line}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound, fetch.SAMPLE_RATE)
            lines.append(fetch.measure(line, path, "test" if name == test else "train"))
    (folder / "copyright").write_text("GNU General Public License, version 2")
    with (folder / "lines.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(vars(lines[0])))
        writer.writeheader()
        writer.writerows(vars(line) for line in lines)
    return folder


def test_lines_become_a_clean_corpus(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(corpus, "VAL_LINES", 2)
    output = tmp_path / "corpus"
    assert corpus.main([str(fetched), str(output)]) == 0
    utterances = read_corpus(output)
    by_split = {
        split: [one for one in utterances if one.split == split]
        for split in ("train", "val", "test")
    }
    # Held out are those of the list and no other, whole.
    assert [one.path for one in by_split["test"]] == [
        "cs_m/bar-m-one.flac",
        "nl_v/semafor-v.flac",
    ]
    for one in by_split["test"]:
        assert (one.start_sample, one.samples) == (0, soundfile.info(output / one.path).frames)
    # Validation lines come from the training lines of every speaker.
    assert [one.speaker for one in by_split["val"]] == ["cs_m", "cs_m", "nl_v", "nl_v"]
    assert all("good" in one.path for one in by_split["val"])
    # The rest is trimmed; a long pause makes two utterances of a line.
    assert {one.path.split("/")[1] for one in by_split["train"]} <= {
        *(f"good{k}.flac" for k in range(4)),
        "offset.flac",  # which is taken out
        "pause.flac",
    }
    assert [one.path for one in utterances].count("cs_m/pause.flac") == 2
    for one in by_split["train"] + by_split["val"]:
        assert one.seconds < 2.5 + 2 * corpus.CUT.margin_s + 0.1
    report = json.loads((output / "report.json").read_text())
    reasons = {(Path(one["source"]).stem, one["reason"]) for one in report["dropped"]}
    assert reasons == {
        ("noisy", "noisy"),
        ("clipped", "clipped"),
        ("nothing", "no speech"),
    }
    assert report["left_out"]["cs_m"]["too short"]["minutes"] > 0
    assert not (output / "cs_m/noisy.flac").exists()
    assert "GNU General Public License" in (output / "copyright").read_text()
    assert "| cs_m | noisy | 1 |" in " ".join(capsys.readouterr().out.split())

    assert corpus.main([str(fetched), str(output)]) == 2
    assert "is not a half-done corpus" in capsys.readouterr().err
    again = tmp_path / "again"
    assert corpus.main([str(fetched), str(again)]) == 0
    assert (again / "corpus.csv").read_text() == (output / "corpus.csv").read_text()


def test_a_corpus_of_other_lines_is_refused(
    fetched: Path, tmp_path: Path, held_out: Path, capsys: pytest.CaptureFixture
) -> None:
    assert corpus.main([str(fetched), str(tmp_path / "out")]) == 2
    assert "cs_m has 5 training lines of 2.0 to 6.0 s; expected 12" in capsys.readouterr().err
    held_out.write_text("cs_m/bar-m-one\n")
    assert corpus.main([str(fetched), str(tmp_path / "out")]) == 2
    assert "are not those of test.txt" in capsys.readouterr().err
    assert corpus.main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "run recipes/fillets/fetch.py first" in capsys.readouterr().err
