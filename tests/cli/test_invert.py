"""``vocoder invert``: what a pix2pix program painted becomes sound."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from vocoder import load
from vocoder.cli import main
from vocoder.compare.metrics import estoi
from vocoder.image.picture import PictureInfo, write_picture
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.spectrogram import analyse

IMAGES = Path("results/tel/test_latest/images")
LINES = ("nl_m__m-obdivovat", "nl_v__jes-v-kamen", "nl_v__poh-v-forma")
RATE, HOP = 22_050, 256
CHEAP = ("inverter.n_iter=1", "inverter.init=zero")
RANGE = ("codec=gray8", "codec.db_min=-92.04", "codec.db_max=-12.04")


def invert(source, output, *words):
    return main.run(["invert", f"input={source}", f"output={output}", *CHEAP, *words])


def report(output):
    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    text = (output / "report.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=no_constant)


def sound(path):
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return samples


def sounds(output):
    """What stands under a final name; pathlib's patterns match hidden files too."""
    return sorted(path.name for path in output.glob("*.wav") if path.name[0] != ".")


def write_one(path, samples, spec):
    """A bare picture that says itself how it was made."""
    codec = load("codec", "gray8")
    values = analyse(torch.from_numpy(samples)[None], spec).values[0].numpy()
    info = PictureInfo(spec, codec, len(samples))
    write_picture(path, codec.encode(values, spec), codec, info)


@pytest.fixture
def copy(painted, tmp_path):
    """The painted folder, to spoil."""
    return Path(shutil.copytree(painted, tmp_path / "copy"))


@pytest.fixture(scope="module")
def whole(painted, tmp_path_factory):
    """The true pictures inverted well enough to be measured, with drawings."""
    output = tmp_path_factory.mktemp("whole") / "out"
    words = [f"input={painted}", f"output={output}", "label=real_B", "subtype=FLOAT", "seed=5"]
    words += [
        "inverter=griffin_lim",
        "inverter.n_iter=8",
        f"reference={painted / 'reference'}",
        "pictures=true",
    ]
    assert main.run(["invert", *words]) == 0
    return output


def test_names_lengths_and_rate_are_the_manifests(whole, painted):
    with (painted / "manifest.csv").open(newline="") as file:
        samples = {row["utterance"]: int(row["samples"]) for row in csv.DictReader(file)}
    assert sounds(whole) == [f"{name}.wav" for name in sorted(samples)]
    for name, length in samples.items():
        assert len(sound(whole / f"{name}.wav")) == length


def test_level_is_the_recordings_own(whole, painted):
    # gain_db says that the recordings were brought down by 6.02 dB, to a peak of 0.5.
    for name in LINES:
        true = sound(painted / f"reference/{name}.flac")
        level_db = 20 * np.log10(sound(whole / f"{name}.wav").std() / true.std())
        assert level_db == pytest.approx(6.02, abs=0.3)


def test_the_report_says_what_was_done_and_how_good_it_is(whole):
    found = report(whole)
    assert (found["program"], found["label"]) == ("pytorch-CycleGAN-and-pix2pix", "real_B")
    assert found["spec"]["n_mels"] == 256 and found["codec"]["db_min"] == -92.04
    assert found["inverter"]["class"] == "GriffinLim" and found["inverter"]["n_iter"] == 8
    assert found["seed"] == found["inverter"]["seed"] == 5
    assert found["problems"] == {} and found["elapsed_s"] > 0
    assert [row["utterance"] for row in found["utterances"]] == list(LINES)
    for row in found["utterances"]:
        assert row["seconds"] == pytest.approx(soundfile.info(whole / row["file"]).duration)
        assert row["measures"]["estoi"] > 0.9
        assert row["measures"]["level_db"] == pytest.approx(6.02, abs=0.3)


def test_drawings_lie_beside_the_sound(whole):
    for name in LINES:
        with Image.open(whole / f"{name}.png") as image:
            assert image.width == 1000 and np.asarray(image).std() > 20


def test_the_table_and_where_to_look_are_printed(painted, tmp_path, capsys):
    assert invert(painted, tmp_path / "o", f"reference={painted / 'reference'}") == 0
    text = capsys.readouterr().out
    assert "3 utterances from pytorch-CycleGAN-and-pix2pix, label fake_B" in text
    for name in LINES:
        assert f"{name}.wav" in text
    assert "estoi" in text and f"Results and report.json in {tmp_path / 'o'}" in text


@pytest.mark.parametrize("below", [".", "results", "results/tel/test_latest", str(IMAGES)])
def test_any_level_of_the_programs_folders_will_do(below, painted, tmp_path):
    assert invert(painted / below, tmp_path) == 0
    assert sounds(tmp_path) == [f"{name}.wav" for name in LINES]


def test_a_label_is_another_picture(whole, painted, tmp_path):
    assert invert(painted, tmp_path, "inverter.n_iter=8", "inverter.init=phase_gradient") == 0
    name = LINES[2]
    true = sound(painted / f"reference/{name}.flac")
    scores = [estoi(true, sound(folder / f"{name}.wav"), RATE) for folder in (whole, tmp_path)]
    assert scores[0] > scores[1] + 0.2  # what was painted is not as good as the truth


def test_subtypes_hold_what_they_can(painted, tmp_path, capsys):
    for subtype in ("FLOAT", "PCM_24", "PCM_16"):
        words = (f"subtype={subtype}", "inverter=griffin_lim", "inverter.init=phase_gradient")
        assert invert(painted, tmp_path / subtype, *words) == 0
        path = tmp_path / subtype / f"{LINES[1]}.wav"
        assert soundfile.info(path).subtype == subtype
    exact = np.concatenate([sound(tmp_path / "FLOAT" / f"{name}.wav") for name in LINES])
    for subtype, bits in (("PCM_24", 24), ("PCM_16", 16)):
        rounded = np.concatenate([sound(tmp_path / subtype / f"{name}.wav") for name in LINES])
        error = np.abs(rounded - np.clip(exact, -1, 1 - 2.0 ** (1 - bits)))
        assert error.max() <= 2.0**-bits * 1.01
    # Told by both integer types, and not by FLOAT, which keeps them.
    told = re.findall(r"(\d+) samples beyond full scale cut off", capsys.readouterr().out)
    assert sum(map(int, told)) == 2 * (np.abs(exact) > 1).sum() > 0


def test_the_same_seed_gives_the_same_sound_however_many_at_once(painted, tmp_path):
    random = ("inverter.init=random", "subtype=FLOAT")
    for name, words in {"a": ("workers=1",), "b": ("workers=2",), "c": ("seed=1",)}.items():
        assert invert(painted, tmp_path / name, *random, *words) == 0
    for name in LINES:
        a, b, c = (sound(tmp_path / x / f"{name}.wav") for x in "abc")
        assert (a == b).all() and (a != c).any()


def test_an_utterance_is_inverted_once_with_all_its_tiles(painted, tmp_path, monkeypatch):
    seen = []
    together = GriffinLim.together

    def counted(self, spectrograms):
        seen.append([one.values.shape[2] for one in spectrograms])
        return together(self, spectrograms)

    monkeypatch.setattr(GriffinLim, "together", counted)
    assert invert(painted, tmp_path / "apart", "inverter=griffin_lim") == 0
    assert sorted(seen) == [[319], [447], [573]]  # total_frames of the manifest
    seen.clear()
    assert invert(painted, tmp_path / "together", "inverter=griffin_lim", "batch=2") == 0
    assert sorted(seen) == [[319, 447], [573]]  # similar lengths
    for path in (tmp_path / "apart").glob("*.wav"):
        assert path.read_bytes() == (tmp_path / "together" / path.name).read_bytes()


def test_one_of_a_batch_that_cannot_be_read_does_not_stop_the_others(copy, tmp_path):
    for tile in (copy / IMAGES).glob(f"{LINES[1]}__*_fake_B.png"):
        tile.write_bytes(b"no picture")
    assert invert(copy, tmp_path / "out", "batch=3") == 2
    assert sounds(tmp_path / "out") == [f"{LINES[0]}.wav", f"{LINES[2]}.wav"]
    assert LINES[1] in report(tmp_path / "out")["problems"]


def test_bare_pictures_of_several_specs_in_one_batch(tmp_path, speech):
    for name, spec in (("mel", "mel256"), ("linear", "linear512"), ("again", "mel256")):
        write_one(tmp_path / f"in/{name}.png", speech, load("spec", spec))
    assert invert(tmp_path / "in", tmp_path / "out", "batch=8") == 0
    assert sounds(tmp_path / "out") == ["again.wav", "linear.wav", "mel.wav"]


def test_tiles_without_their_manifest_are_told(copy, tmp_path, capsys):
    (copy / "manifest.csv").unlink()
    spec = ("spec=mel256", "codec=gray8")
    assert invert(copy / IMAGES, tmp_path / "out", *spec) == 0
    assert "7 pictures are named like tiles of a data set" in capsys.readouterr().out


def test_pairs_of_a_data_set_are_not_what_was_painted(tmp_path, painted, capsys):
    for name in ("manifest.csv", "spec.yaml"):
        (tmp_path / "test").mkdir(exist_ok=True)
        shutil.copy(painted / name, tmp_path)
    for path in (painted / IMAGES).glob("*_real_A.png"):
        sides = [
            np.asarray(Image.open(str(path).replace("real_A", x))) for x in ("real_A", "real_B")
        ]
        stem = path.stem.removesuffix("_real_A")
        Image.fromarray(np.concatenate(sides, axis=1)).save(tmp_path / f"test/{stem}.png")
    assert invert(tmp_path / "test", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "none of 3 pictures can be used" in said and "a pair of A and B" in said


@pytest.mark.parametrize("inverter", ["griffin_lim", "admm"])
def test_a_missing_tile_is_silence_in_its_place(inverter, copy, tmp_path, capsys):
    whole, partly = tmp_path / "whole", tmp_path / "partly"
    words = (f"inverter={inverter}", "inverter.n_iter=12", "subtype=FLOAT")
    assert invert(copy, whole, *words) == 0
    (copy / IMAGES / f"{LINES[2]}__01_fake_B.png").unlink()
    assert invert(copy, partly, *words) == 2
    assert report(partly)["problems"] == {f"{LINES[2]}__01": "missing; silent"}
    assert f"{LINES[2]}__01: missing; silent" in capsys.readouterr().out
    assert sounds(partly) == sounds(whole)
    before, after = (sound(folder / f"{LINES[2]}.wav") for folder in (whole, partly))
    assert len(before) == len(after)
    # The other tile ends at frame 256; a window reaches two hops further.
    gone = slice((256 + 4) * HOP, None)
    assert np.abs(before[gone]).max() > 0.1
    assert np.abs(after[gone]).max() < 1e-4
    kept = slice(0, 150 * HOP)
    assert after[kept].std() == pytest.approx(before[kept].std(), rel=0.05)


def spoil(folder):
    """Tiles resized, cut short, doubled, foreign; what the report must say of each."""
    first = folder / IMAGES / f"{LINES[1]}__00_fake_B.png"
    tile = Image.open(folder / IMAGES / f"{LINES[0]}__01_fake_B.png")
    Image.open(first).resize((286, 286)).save(first)
    wide = folder / IMAGES / f"{LINES[0]}__00_fake_B.png"
    tile.resize((286, 256)).save(wide)
    half = folder / IMAGES / f"{LINES[2]}__01_fake_B.png"
    half.write_bytes(half.read_bytes()[:3000])
    tile.save(folder / IMAGES / f"{LINES[2]}__00_fake_B.jpg")
    tile.save(folder / IMAGES / "holiday.png")
    tile.save(folder / IMAGES / "another__00_fake_B.png")
    return {
        first.name: "286 wide and 286 high; expected 256 rows",
        wide.name: "286 pixels wide; the data set's tiles are 256",
        half.name: "truncated",
        f"{LINES[2]}__00_fake_B.jpg": "same name with another suffix",
        "holiday.png": "no label of pytorch-CycleGAN-and-pix2pix",
        "another__00_fake_B.png": "the manifest does not know it",
    }


def test_every_tile_that_cannot_be_used_is_named_and_the_rest_is_rendered(copy, tmp_path):
    expected = spoil(copy)
    assert invert(copy, tmp_path / "out") == 2
    problems = report(tmp_path / "out")["problems"]
    assert problems.keys() == expected.keys()
    for name, words in expected.items():
        assert words in problems[name]
    assert sounds(tmp_path / "out") == [f"{name}.wav" for name in LINES]


def test_strict_refuses_before_anything_is_written(copy, tmp_path, capsys):
    output = tmp_path / "out"
    half = copy / IMAGES / f"{LINES[2]}__01_fake_B.png"
    half.write_bytes(half.read_bytes()[:3000])  # not seen before it is read
    assert invert(copy, output, "strict=true") == 2
    assert half.name in capsys.readouterr().err and not output.exists()
    half.unlink()
    (copy / IMAGES / "holiday.png").touch()
    assert invert(copy, output, "strict=true") == 2
    said = capsys.readouterr().err
    assert "holiday.png: no label" in said and f"{LINES[2]}__01: missing" in said
    assert not output.exists()


def test_an_utterance_without_any_tile_is_named(copy, tmp_path):
    for path in (copy / IMAGES).glob(f"{LINES[0]}*"):
        path.unlink()
    assert invert(copy, tmp_path) == 2
    assert "none of its 3 tiles is there" in report(tmp_path)["problems"][LINES[0]]
    assert sounds(tmp_path) == [f"{name}.wav" for name in LINES[1:]]


def test_results_that_exist_are_kept_gone_on_with_or_replaced(painted, tmp_path, capsys):
    assert invert(painted, tmp_path) == 0
    first, second = (tmp_path / f"{name}.wav" for name in LINES[:2])
    second.unlink()
    first.write_bytes(b"mine")
    assert invert(painted, tmp_path) == 2
    assert "2 of the 3 results already, such as nl_m" in capsys.readouterr().err
    assert first.read_bytes() == b"mine" and not second.exists()
    assert invert(painted, tmp_path, "resume=true") == 0
    assert "2 were there already and are kept" in capsys.readouterr().out
    assert first.read_bytes() == b"mine" and second.exists()
    assert report(tmp_path)["done_before"] == [LINES[0], LINES[2]]
    assert invert(painted, tmp_path, "overwrite=true") == 0
    assert soundfile.info(first).samplerate == RATE


def test_what_is_read_is_never_written_over(painted, tmp_path, capsys):
    tile = tmp_path / "tile.png"
    shutil.copy(painted / IMAGES / f"{LINES[0]}__00_fake_B.png", tile)
    before = tile.read_bytes()
    words = ("spec=mel256", *RANGE, "pictures=true", "overwrite=true")
    assert invert(tmp_path, tmp_path, *words) == 2
    assert "tile.png is read and would be written too" in capsys.readouterr().err
    assert tile.read_bytes() == before and sounds(tmp_path) == []


def test_killed_half_way_nothing_half_written_has_a_final_name(painted, tmp_path):
    output, mark = tmp_path / "out", tmp_path / "mark"
    code = f"""
import pathlib, sys, time
from vocoder.cli.main import run
from vocoder.inverter.griffin_lim import GriffinLim
together, calls = GriffinLim.together, []
def slow(self, spectrograms):
    calls.append(None)
    for which, piece in together(self, spectrograms):
        yield which, piece[:1000]
        if len(calls) == 2:
            pathlib.Path({str(mark)!r}).touch()
            time.sleep(60)
        yield which, piece[1000:]
GriffinLim.together = slow
run(["invert", *sys.argv[1:]])
"""
    words = [f"input={painted}", f"output={output}", "workers=1", "inverter=griffin_lim", *CHEAP]
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

    assert invert(painted, output, "inverter=griffin_lim", "resume=true") == 0
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


def test_references_are_found_among_other_files_and_by_the_names_of_a_data_set(painted, tmp_path):
    reference = tmp_path / "recordings"
    (reference / "sub").mkdir(parents=True)
    tile, true = (f"{LINES[1]}{end}" for end in ("__00_fake_B.png", ".flac"))
    for folder, name in ((tmp_path, "sub__line.png"), (tmp_path, "line.png")):
        shutil.copy(painted / IMAGES / tile, folder / name)
    for name in ("sub/line.flac", "line.flac"):
        shutil.copy(painted / "reference" / true, reference / name)
    (reference / "line.txt").write_text("what is said")  # as corpora have it
    words = ("spec=mel256", *RANGE, f"reference={reference}")
    assert invert(tmp_path, tmp_path / "out", *words) == 0
    scores = [row["measures"]["estoi"] for row in report(tmp_path / "out")["utterances"]]
    assert scores == pytest.approx([0.4, 0.4], abs=0.1)


def test_missing_or_broken_references_cost_only_the_figures(painted, tmp_path, capsys):
    reference = Path(shutil.copytree(painted / "reference", tmp_path / "reference"))
    (reference / f"{LINES[0]}.flac").unlink()
    (reference / f"{LINES[1]}.flac").write_bytes(b"no sound at all")
    output = tmp_path / "out"
    assert invert(painted, output, f"reference={reference}", "pictures=true") == 2
    assert sounds(output) == [f"{name}.wav" for name in LINES]
    assert len(list(output.glob("*.png"))) == 3
    found = report(output)
    assert "no recording of this name" in found["problems"][f"reference of {LINES[0]}"]
    assert "cannot be read as sound" in found["problems"][f"reference of {LINES[1]}"]
    assert [bool(row["measures"]) for row in found["utterances"]] == [False, False, True]
    assert invert(painted, tmp_path / "o", "reference=nowhere") == 2
    assert "reference=nowhere is not a folder" in capsys.readouterr().err


def test_from_recording_through_pix2pix_folders_back_to_sound(painted, tmp_path):
    """Encode, a pix2pix that paints the truth, invert: intelligible as before."""
    recordings, dataset = tmp_path / "recordings", tmp_path / "dataset"
    recordings.mkdir()
    for name in LINES[1:]:
        shutil.copy(painted / f"reference/{name}.flac", recordings)
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
