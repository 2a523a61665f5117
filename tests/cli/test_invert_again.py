"""``vocoder invert``: what exists, what was killed, what lies elsewhere, and references."""

import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.cli.inverting import CHEAP, IMAGES, LINES, RANGE, RATE, invert, sound, sounds
from tests.cli.results import report
from vocoder.cli import main
from vocoder.evaluate.metrics import estoi


def test_results_that_exist_are_kept_gone_on_with_or_replaced(generated, tmp_path, capsys):
    assert invert(generated, tmp_path) == 0
    first, second = (tmp_path / f"{name}.wav" for name in LINES[:2])
    second.unlink()
    first.write_bytes(b"mine")
    assert invert(generated, tmp_path) == 2
    assert "2 of the 3 results already, such as nl_m" in capsys.readouterr().err
    assert first.read_bytes() == b"mine" and not second.exists()
    assert invert(generated, tmp_path, "resume=true") == 0
    assert "2 were there already and are kept" in capsys.readouterr().out
    assert first.read_bytes() == b"mine" and second.exists()
    assert report(tmp_path)["done_before"] == [LINES[0], LINES[2]]
    assert invert(generated, tmp_path, "overwrite=true") == 0
    assert soundfile.info(first).samplerate == RATE


def test_a_run_of_other_settings_is_not_gone_on_with(generated, tmp_path, capsys):
    lost = tmp_path / f"{LINES[0]}.wav"
    assert invert(generated, tmp_path) == 0
    lost.unlink()
    assert invert(generated, tmp_path, "resume=true", "inverter.momentum=0.5") == 2
    assert "was begun with inverter" in capsys.readouterr().err
    assert not lost.exists()
    assert invert(generated, tmp_path, "resume=true") == 0
    assert sorted(row["utterance"] for row in report(tmp_path)["utterances"]) == list(LINES)


def test_a_picture_lost_in_a_kill_is_drawn(generated, tmp_path):
    assert invert(generated, tmp_path, "pictures=true") == 0
    drawing = tmp_path / f"{LINES[1]}.png"
    drawing.unlink()
    assert invert(generated, tmp_path, "pictures=true", "resume=true") == 0
    assert drawing.stat().st_size > 10_000


def test_only_what_a_run_left_is_replaced(generated, tmp_path, capsys):
    mine = tmp_path / f"{LINES[1]}.wav"
    mine.write_bytes(b"mine")
    assert invert(generated, tmp_path, "pictures=true", "resume=true") == 2
    assert "holds no report.json of an earlier run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [mine]
    assert invert(generated, tmp_path, "resume=true") == 0  # seems done, and is kept
    assert mine.read_bytes() == b"mine"


def test_what_is_read_is_never_written_over(generated, tmp_path, capsys):
    tile = tmp_path / "tile.png"
    shutil.copy(generated / IMAGES / f"{LINES[0]}__00_fake_B.png", tile)
    before = tile.read_bytes()
    words = ("spec=mel256", *RANGE, "pictures=true", "overwrite=true")
    assert invert(tmp_path, tmp_path, *words) == 2
    assert "tile.png is read and would be written too" in capsys.readouterr().err
    assert tile.read_bytes() == before and sounds(tmp_path) == []


def test_killed_half_way_nothing_half_written_has_a_final_name(generated, tmp_path):
    output, mark = tmp_path / "out", tmp_path / "mark"
    code = f"""
import pathlib, sys, time
from vocoder.cli.main import run
from vocoder.inverter.griffin_lim import GriffinLim
invert_batch, calls = GriffinLim.invert_batch, []
def slow(self, spectrograms):
    calls.append(None)
    for which, piece in invert_batch(self, spectrograms):
        yield which, piece[:1000]
        if len(calls) == 2:
            pathlib.Path({str(mark)!r}).touch()
            time.sleep(60)
        yield which, piece[1000:]
GriffinLim.invert_batch = slow
run(["invert", *sys.argv[1:]])
"""
    words = [f"input={generated}", f"output={output}", "workers=1", "repair=none", *CHEAP]
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not mark.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (done,) = sounds(output)
    finished = output / done
    assert len(list(output.glob(".*.wav"))) == 1  # what the kill left
    assert soundfile.info(finished).frames in (81555, 114356, 146529)
    assert report(output)["utterances"] == []  # the settings that resume=true compares
    stamp = finished.stat().st_mtime_ns

    assert invert(generated, output, "repair=none", "resume=true") == 0
    assert finished.stat().st_mtime_ns == stamp
    assert sounds(output) == [f"{name}.wav" for name in LINES]
    assert report(output)["done_before"] == [finished.stem]
    assert len(report(output)["utterances"]) == 2


def test_a_data_set_made_elsewhere_decodes_with_its_settings_given(copy, tmp_path, capsys):
    assert invert(copy, tmp_path / "with") == 0
    (copy / "spec.yaml").unlink()
    assert invert(copy, tmp_path / "without") == 2
    line = capsys.readouterr().err
    assert "holds a manifest but no spec.yaml" in line and "spec= and codec=" in line
    assert invert(copy, tmp_path / "given", "spec=mel256", *RANGE) == 0
    for name in LINES:
        one, other = (tmp_path / f"{x}/{name}.wav" for x in ("with", "given"))
        assert one.read_bytes() == other.read_bytes()


def test_a_manifest_is_found_elsewhere_when_told(copy, tmp_path, capsys):
    shutil.move(copy / "results", tmp_path / "results")
    words = ("spec=mel256", *RANGE)
    assert invert(tmp_path / "results", tmp_path / "bare", *words) == 0
    assert len(sounds(tmp_path / "bare")) == 7  # each tile by itself
    manifest = f"manifest={copy / 'manifest.csv'}"
    assert invert(tmp_path / "results", tmp_path / "told", manifest) == 0
    assert sounds(tmp_path / "told") == [f"{name}.wav" for name in LINES]


def test_references_are_found_among_other_files_and_by_the_names_of_a_data_set(generated, tmp_path):
    reference = tmp_path / "recordings"
    (reference / "sub").mkdir(parents=True)
    tile, true = (f"{LINES[1]}{end}" for end in ("__00_fake_B.png", ".flac"))
    whole, apart = (unicodedata.normalize(form, "můj hlas") for form in ("NFC", "NFD"))
    for name in ("sub__line.png", "line.png", f"{whole}.png"):
        shutil.copy(generated / IMAGES / tile, tmp_path / name)
    for name in ("sub/line.flac", "line.flac", f"{apart}.flac"):
        shutil.copy(generated / "reference" / true, reference / name)
    (reference / "line.txt").write_text("what is said")  # as corpora have it
    words = ("spec=mel256", *RANGE, f"reference={reference}")
    assert invert(tmp_path, tmp_path / "out", *words) == 0
    scores = [row["measures"]["estoi"] for row in report(tmp_path / "out")["utterances"]]
    assert scores == pytest.approx([0.4, 0.4, 0.4], abs=0.1)


def test_missing_or_broken_references_cost_only_the_figures(generated, tmp_path, capsys):
    reference = Path(shutil.copytree(generated / "reference", tmp_path / "reference"))
    (reference / f"{LINES[0]}.flac").unlink()
    (reference / f"{LINES[1]}.flac").write_bytes(b"no sound at all")
    output = tmp_path / "out"
    assert invert(generated, output, f"reference={reference}", "pictures=true") == 2
    assert sounds(output) == [f"{name}.wav" for name in LINES]
    assert len(list(output.glob("*.png"))) == 3
    found = report(output)
    assert "no recording of this name" in found["problems"][f"reference of {LINES[0]}"]
    assert "cannot be read as audio" in found["problems"][f"reference of {LINES[1]}"]
    assert [bool(row["measures"]) for row in found["utterances"]] == [False, False, True]
    assert invert(generated, tmp_path / "o", "reference=nowhere") == 2
    assert "reference=nowhere is not a folder" in capsys.readouterr().err


def test_from_recording_through_pix2pix_folders_back_to_sound(generated, tmp_path):
    """Encode, a pix2pix that draws the truth, invert: intelligible as before."""
    recordings, dataset = tmp_path / "recordings", tmp_path / "dataset"
    recordings.mkdir()
    for name in LINES[1:]:
        shutil.copy(generated / f"reference/{name}.flac", recordings)
    assert main.run(["encode", f"input={recordings}", f"output={dataset}", "gain=peak"]) == 0
    images = tmp_path / "results/voice/test_latest/images"
    images.mkdir(parents=True)
    for tile in (dataset / "pictures").iterdir():
        with Image.open(tile) as image:  # pix2pix keeps the pixels and throws away the rest
            Image.fromarray(np.asarray(image)).save(images / f"{tile.stem}_fake_B.png")
    output, manifest = tmp_path / "sound", f"manifest={dataset / 'manifest.csv'}"
    words = [f"input={tmp_path / 'results'}", f"output={output}", manifest]
    assert main.run(["invert", *words, "inverter.n_iter=32"]) == 0
    for name in LINES[1:]:
        true, made = sound(recordings / f"{name}.flac"), sound(output / f"{name}.wav")
        assert len(made) == len(true)
        assert made.std() == pytest.approx(true.std(), rel=0.05)
        assert estoi(true, made, RATE) >= 0.95
