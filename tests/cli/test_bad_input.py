"""Whatever is wrong with what comes in: one clear line, exit code 2, and the rest is rendered."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.inverting import write_one
from vocoder import load
from vocoder.cli import main
from vocoder.image.file import ImageInfo, write_image

CHEAP = ("inverter.n_iter=0", "inverter.n_iter_estimated=0", "inverter.init=zero")
BARE = ("spec=mel256", "codec=gray8")
GREY = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
LINE = "nl_v__jes-v-kamen"


def invert(source, output, *words):
    return main.run(["invert", f"input={source}", f"output={output}", *CHEAP, *words])


def refused(capsys, source, output, *words):
    """The one line on the error stream; nothing is written."""
    assert invert(source, output, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert not list(Path(output).glob("*.wav"))
    return line


PICTURES = {
    "not an image": (lambda path: path.write_text("hello"), "not a PNG, JPEG, TIFF"),
    "0 bytes": (lambda path: path.touch(), "the file is empty (0 bytes)"),
    "wrong height": (
        lambda path: Image.fromarray(GREY[:200]).save(path),
        "256 wide and 200 high; expected 256 rows",
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_is_none_of_ours(kind, tmp_path, capsys):
    """One of each stage, since `tests/image/test_file.py` has them all."""
    save, message = PICTURES[kind]
    (tmp_path / "in").mkdir()
    save(tmp_path / "in/a.png")
    line = refused(capsys, tmp_path / "in/a.png", tmp_path / "out", *BARE)
    assert "a.png" in line and message in line
    # In a folder the others are rendered all the same.
    Image.fromarray(GREY).save(tmp_path / "in/good.png")
    assert invert(tmp_path / "in", tmp_path / "out", *BARE) == 2
    problems = json.loads((tmp_path / "out/report.json").read_text())["problems"]
    assert list(problems) == ["a"] and message in problems["a"]
    assert [path.name for path in (tmp_path / "out").glob("*.wav")] == ["good.wav"]


def test_bare_pictures_without_settings_are_told_how_to_give_them(tmp_path, capsys):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    line = refused(capsys, tmp_path / "a.png", tmp_path / "out")
    assert "a.png: does not say how it was made; give spec= and codec=, such as spec=mel256" in line
    line = refused(capsys, tmp_path / "a.png", tmp_path / "out", "spec=mel256")
    assert "give codec=, such as" in line
    assert not (tmp_path / "out").exists()


def own(path, **changes):
    """A picture that says how it was made."""
    spec, codec = load("spec", "mel256"), load("codec", "gray8", **changes)
    write_image(path, GREY, codec, ImageInfo(spec, codec, 65_300), overwrite=True)


def test_what_a_picture_says_must_agree_with_what_is_given(tmp_path, capsys):
    own(tmp_path / "a.png")
    picture, output = tmp_path / "a.png", tmp_path / "out"
    assert invert(picture, output) == 0  # needs nothing
    shutil.rmtree(output)
    line = refused(capsys, picture, output, "spec=mel256", "spec.hop_length=128", "spec.fmax=8000")
    assert "hop_length: 128 != 256; fmax: 8000.0 != 11025.0" in line and "a.png" in line
    line = refused(capsys, picture, output, "codec=gray8", "codec.db_min=-80")
    assert "'db_min': -80" in line and "'db_min': -100" in line and "leave codec= out" in line
    line = refused(capsys, picture, output, "codec=rgb_sum")
    assert "'rgb_sum'" in line and "'gray8'" in line


def test_settings_of_a_data_set_must_agree_with_its_pictures_and_with_what_is_given(
    tiles, tmp_path, capsys
):
    tile = tiles / f"{LINE}__00_fake_B.png"
    own(tile)  # says -100 to 0 dB, spec.yaml -92.04 to -12.04
    assert invert(tiles, tmp_path / "out") == 2
    problems = json.loads((tmp_path / "out/report.json").read_text())["problems"]
    assert "'db_min': -92.04" in problems[tile.name] and "'db_min': -100" in problems[tile.name]
    line = refused(capsys, tiles, tmp_path / "o", "spec=tacotron2")
    assert "n_mels: 80 != 256" in line and "spec.yaml" in line
    line = refused(capsys, tiles, tmp_path / "o", "codec=gray8")
    assert "'db_min': -92.04" in line and "spec.yaml" in line
    text = (tiles / "spec.yaml").read_text()
    (tiles / "spec.yaml").write_text(text.replace("  n_fft: 1024\n", ""))
    line = refused(capsys, tiles, tmp_path / "o")
    assert "spec.yaml" in line and "lacks n_fft" in line


HEADER = "stem,utterance,start_frame,frames,total_frames,samples"
MANIFESTS = {
    "a path for a name": (f"{HEADER}\na,../../u,0,9,20,", "utterance is '../../u'; expected a"),
    "nothing": ("", "lacks the columns stem"),
    "impossible length": (
        f"{HEADER}\n{LINE}__00,u,0,256,256,999999",
        "999999 samples give 3907 frames, but total_frames is 256",
    ),
    "other tiles": (f"{HEADER}\na,u,0,9,20,", "none of the 2 images"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_manifests_that_cannot_be(kind, tiles, tmp_path, capsys):
    text, message = MANIFESTS[kind]
    (tiles / "manifest.csv").write_text(text)
    line = refused(capsys, tiles, tmp_path / "out", f"manifest={tiles / 'manifest.csv'}")
    assert message in line
    assert not (tmp_path / "out").exists()


def test_an_array_that_is_no_spectrogram(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.ones((9, 256), np.float32))
    line = refused(capsys, tmp_path / "a.npy", tmp_path / "out", "spec=mel256")
    assert "a.npy" in line and "shape (9, 256); expected (256, frames)" in line


@pytest.mark.parametrize(
    "words, message",
    [
        (["repair.weights=wavenet"], "holds weights of WaveNet; expected RepairNet"),
        (["repair.jpeg.weights=wavenet"], "holds weights of WaveNet; expected RepairNet"),
        (["repair=jpeg", "repair.weights=wavenet"], "holds weights of WaveNet; expected RepairNet"),
        (["inverter=wavenet", "inverter.weights=jpeg"], "of RepairNet; expected WaveNet"),
        (["inverter=hifigan", "inverter.weights=jpeg"], "of RepairNet; expected Generator"),
        (["inverter=hifigan", "inverter.weights=nowhere"], "unknown weights 'nowhere'"),
        (["repair.weights=nowhere"], "unknown weights 'nowhere'"),
    ],
)
def test_weights_that_cannot_be_used(words, message, speech, tmp_path, capsys):
    """Though this picture needs no repair."""
    write_one(tmp_path / "one.png", speech, load("spec", "mel256"))
    output = tmp_path / "out"
    assert main.run(["invert", f"input={tmp_path / 'one.png'}", f"output={output}", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not output.exists()


def test_every_repair_goes_with_every_inverter(speech, tmp_path):
    """So that a sweep may compare networks with none."""
    write_one(tmp_path / "one.png", speech, load("spec", "mel256"))
    words = ["-m", "repair=none,jpeg", "inverter=griffin_lim,admm", *CHEAP]
    where = [f"input={tmp_path / 'one.png'}", f"output={tmp_path / 'out'}"]
    assert main.run(["invert", *words, *where]) == 0
    sounds = {path.read_bytes() for path in (tmp_path / "out").glob("*repair=*/one.wav")}
    assert len(list((tmp_path / "out").glob("*/one.wav"))) == 4 and len(sounds) == 2


def test_outputs_that_cannot_be_written(tiles, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    line = refused(capsys, tiles, tmp_path / "file")
    assert "is a file; give a folder" in line
    line = refused(capsys, tiles, tmp_path / "file/below")
    assert "cannot write" in line and "Not a directory" in line
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.json").write_text("somebody else's")
    line = refused(capsys, tiles, tmp_path / "out")
    assert "report.json exists; choose another output" in line
    (tmp_path / "drawn").mkdir()
    (tmp_path / f"drawn/{LINE}.png").write_text("a photograph")
    line = refused(capsys, tiles, tmp_path / "drawn", "pictures=true")
    assert f"{LINE}.png exists" in line


def test_inputs_and_devices_that_are_not_there(tiles, tmp_path, capsys):
    output = tmp_path / "out"
    assert "gone does not exist" in refused(capsys, tmp_path / "gone", output)
    assert "gone.npy does not exist" in refused(capsys, tmp_path / "gone.npy", output)
    (tmp_path / "empty").mkdir()
    assert "holds no images" in refused(capsys, tmp_path / "empty", output)
    assert "no.csv: No such file" in refused(capsys, tiles, output, "manifest=no.csv")
    assert "no images labelled real_C, only" in refused(capsys, tiles, output, "label=real_C")
    assert "device=abacus cannot be used" in refused(capsys, tiles, output, "device=abacus")
