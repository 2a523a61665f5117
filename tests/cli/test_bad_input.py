"""Whatever is wrong with what comes in: one clear line, exit code 2, and the rest is rendered."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.inverting import CHEAP, invert, sounds, write_one
from tests.cli.results import report
from tests.refusals import refused
from vocoder import load
from vocoder.cli import main
from vocoder.image.file import ImageInfo, write_image

BARE = ("spec=mel256", "codec=gray8")
GREY = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
LINE = "nl_v__jes-v-kamen"


def refusal(key, source, output, *words):
    """What is said; nothing is written."""
    with refused(key) as caught:
        main.dispatch(["invert", f"input={source}", f"output={output}", *CHEAP, *words])
    assert not list(Path(output).glob("*.wav"))
    return str(caught.value)


PICTURES = {
    "not an image": (lambda path: path.write_text("hello"), "not a PNG, JPEG, TIFF"),
    "0 bytes": (lambda path: path.touch(), "the file is empty (0 bytes)"),
    "wrong height": (
        lambda path: Image.fromarray(GREY[:200]).save(path),
        "256 wide and 200 high; expected 256 rows",
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_is_none_of_ours(kind, tmp_path):
    """One of each stage, since `tests/image/test_file.py` has them all."""
    save, message = PICTURES[kind]
    (tmp_path / "in").mkdir()
    save(tmp_path / "in/a.png")
    line = refusal("input.unusable", tmp_path / "in/a.png", tmp_path / "out", *BARE)
    assert "a.png" in line and message in line
    # In a folder the others are rendered all the same.
    Image.fromarray(GREY).save(tmp_path / "in/good.png")
    assert invert(tmp_path / "in", tmp_path / "out", *BARE) == 2
    problems = report(tmp_path / "out")["problems"]
    assert list(problems) == ["a"] and message in problems["a"]
    assert sounds(tmp_path / "out") == ["good.wav"]


def test_bare_pictures_without_settings_are_told_how_to_give_them(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    picture, output = tmp_path / "a.png", tmp_path / "out"
    assert "give spec= and codec=, such as spec=mel256" in refusal(
        "input.unusable", picture, output
    )
    assert "give codec=, such as" in refusal("input.unusable", picture, output, "spec=mel256")
    assert not output.exists()


def own(path, **changes):
    """A picture that says how it was made."""
    spec, codec = load("spec", "mel256"), load("codec", "gray8", **changes)
    write_image(path, GREY, codec, ImageInfo(spec, codec, 65_300), overwrite=True)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("spec=mel256", "spec.hop_length=128"), ("hop_length: 128 != 256",)),
        (("codec=gray8", "codec.db_min=-80"), ("codec.db_min=-80", "codec.db_min=-100")),
        (("codec=rgb_sum",), ("codec=rgb_sum", "codec=gray8")),
    ],
)
def test_what_a_picture_says_must_agree_with_what_is_given(words, found, tmp_path):
    own(tmp_path / "a.png")
    assert invert(tmp_path / "a.png", tmp_path / "out") == 0  # needs nothing
    line = refusal("input.unusable", tmp_path / "a.png", tmp_path / "o", *words)
    assert all(word in line for word in ("a.png", *found))


def test_settings_of_a_data_set_must_agree_with_its_pictures_and_with_what_is_given(
    tiles, tmp_path
):
    tile = tiles / f"{LINE}__00_fake_B.png"
    own(tile)  # says -100 to 0 dB, spec.yaml -92.04 to -12.04
    assert invert(tiles, tmp_path / "out") == 2
    problem = report(tmp_path / "out")["problems"][tile.name]
    assert "codec.db_min=-92.04" in problem and "codec.db_min=-100" in problem
    refusal("spec.conflict", tiles, tmp_path / "o", "spec=tacotron2")
    refusal("codec.conflict", tiles, tmp_path / "o", "codec=gray8")
    text = (tiles / "spec.yaml").read_text()
    (tiles / "spec.yaml").write_text(text.replace("  n_fft: 1024\n", ""))
    assert "spec.yaml" in refusal("spec.missing", tiles, tmp_path / "o")


HEADER = "stem,utterance,start_frame,frames,total_frames,samples"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"{HEADER}\na,../../u,0,9,20,", "manifest.name"),
        ("", "manifest.columns"),
        (f"{HEADER}\n{LINE}__00,u,0,256,256,999999", "input.unusable"),
        (f"{HEADER}\na,u,0,9,20,", "manifest.conflict"),
    ],
    ids=["a path for a name", "nothing", "impossible length", "other tiles"],
)
def test_manifests_that_cannot_be(text, key, tiles, tmp_path):
    (tiles / "manifest.csv").write_text(text)
    refusal(key, tiles, tmp_path / "out", f"manifest={tiles / 'manifest.csv'}")
    assert not (tmp_path / "out").exists()


def test_an_array_that_is_no_spectrogram(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((9, 256), np.float32))
    line = refusal("input.unusable", tmp_path / "a.npy", tmp_path / "out", "spec=mel256")
    assert "a.npy" in line and "shape (9, 256); expected (256, frames)" in line


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["repair.weights=wavenet"], "weights.kind"),
        (["repair.jpeg.weights=wavenet"], "weights.kind"),
        (["repair=jpeg", "repair.weights=wavenet"], "weights.kind"),
        (["inverter=wavenet", "inverter.weights=jpeg"], "weights.kind"),
        (["inverter=hifigan", "inverter.weights=jpeg"], "weights.kind"),
        (["inverter=hifigan", "inverter.weights=nowhere"], "weights.unknown"),
        (["repair.weights=nowhere"], "weights.unknown"),
    ],
)
def test_weights_that_cannot_be_used(words, key, speech, tmp_path):
    """Though this picture needs no repair."""
    write_one(tmp_path / "one.png", speech, load("spec", "mel256"))
    where = [f"input={tmp_path / 'one.png'}", f"output={tmp_path / 'out'}"]
    with refused(key):
        main.dispatch(["invert", *where, *words])
    assert not (tmp_path / "out").exists()


def test_every_repair_goes_with_every_inverter(speech, tmp_path):
    """So that a sweep may compare networks with none."""
    write_one(tmp_path / "one.png", speech, load("spec", "mel256"))
    words = ("-m", "repair=none,jpeg", "inverter=griffin_lim,admm")
    assert invert(tmp_path / "one.png", tmp_path / "out", *words) == 0
    made = [path.read_bytes() for path in (tmp_path / "out").glob("*repair=*/one.wav")]
    assert len(made) == len(set(made)) == 4


def test_outputs_that_cannot_be_written(tiles, tmp_path):
    for name in ("file", "out/report.json", f"drawn/{LINE}.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    refusal("output.type", tiles, tmp_path / "file")
    refusal("output.unwritable", tiles, tmp_path / "file/below")
    refusal("output.exists", tiles, tmp_path / "out")
    refusal("output.exists", tiles, tmp_path / "drawn", "pictures=true")
    assert (tmp_path / "file").read_text() == "mine"


def test_inputs_and_devices_that_are_not_there(tiles, tmp_path):
    output = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for name in ("gone", "gone.npy", "empty"):
        assert name in refusal("input.missing", tmp_path / name, output)
    refusal("manifest.file", tiles, output, "manifest=no.csv")
    assert "fake_B" in refusal("label.unknown", tiles, output, "label=real_C")
    refusal("device.unknown", tiles, output, "device=abacus")
