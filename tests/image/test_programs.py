"""Which program wrote a folder, and which images are its output."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.refusals import refused
from vocoder.image.pix2pix import dequantised
from vocoder.image.programs import FOLDER, find_generated
from vocoder.image.source import ImageSource

# Stems with what makes them hard: underscores, dashes, endings that look like labels.
STEMS = ["a_b__00", "a_b__01", "c-d_real", "e_output"]
RUN = "results/tel/test_latest/images"
JUNYANZ = "pytorch-CycleGAN-and-pix2pix"

LAYOUTS = {
    "pix2pix": (JUNYANZ, RUN, "{}_{}.png", ("fake_B", "real_A", "real_B")),
    "cyclegan": (
        JUNYANZ,
        "results/tel/test_latest_iter500/images",
        "{}_{}.png",
        ("fake_B", "real_A", "rec_A", "real_B", "fake_A", "rec_B", "idt_A", "idt_B"),
    ),
    "test model": (f"{JUNYANZ} --model test", RUN, "{}_{}.png", ("fake", "real")),
    "cut": ("CUT", RUN, "{1}/{0}.png", ("fake_B", "real_A", "real_B")),
    "affinelayer": (
        "pix2pix-tensorflow",
        "results/images",
        "{}-{}.png",
        ("outputs", "inputs", "targets"),
    ),
    "lua": (
        "pix2pix (Lua)",
        "results/tel/latest_net_G_val/images",
        "{1}/{0}.png",
        ("output", "input", "target"),
    ),
    "pix2pixHD": ("pix2pixHD", RUN, "{}_{}.jpg", ("synthesized_image", "input_label")),
}


def save(path: Path, pixels: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8) if pixels is None else pixels).save(path)
    return path


def lay_out(root: Path, layout: str, stems=STEMS) -> Path:
    """Images as a program writes them; the folder in which they lie."""
    _, folder, pattern, labels = LAYOUTS[layout]
    for stem in stems:
        for label in labels:
            save(root / folder / pattern.format(stem, label))
    (root / folder).parent.joinpath("index.html").write_text("<html>")
    return root / folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_program_from_every_level(tmp_path, layout):
    images = lay_out(tmp_path, layout)
    program, _, pattern, labels = LAYOUTS[layout]
    levels = [images, *list(images.parents)[: len(images.relative_to(tmp_path).parts)]]
    assert levels[-1] == tmp_path
    for folder in levels:
        generated = find_generated(folder)
        assert (generated.program, generated.label) == (program, labels[0])
        assert generated.floor_scale == (255.5 if program == "pix2pix-tensorflow" else 255)
        assert list(generated.tiles) == STEMS
        expected = [images / pattern.format(stem, labels[0]) for stem in STEMS]
        assert list(generated.tiles.values()) == expected
        assert list(generated.inputs) == STEMS
        assert generated.foreign == generated.duplicates == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_label_overrides_and_an_unknown_one_lists_what_is_there(tmp_path, layout):
    images = lay_out(tmp_path, layout)
    for label in LAYOUTS[layout][3]:
        generated = find_generated(images, label)
        assert generated.label == label
        assert all(label in str(path.relative_to(images)) for path in generated.tiles.values())
        assert list(generated.tiles) == STEMS
    with refused("label.unknown") as error:
        find_generated(images, "fake_C")
    assert all(label in str(error.value) for label in LAYOUTS[layout][3])


@pytest.mark.parametrize("layout", ["cut", "lua"])
def test_the_folder_of_one_label(tmp_path, layout):
    images = lay_out(tmp_path, layout)
    program, _, _, labels = LAYOUTS[layout]
    for label in labels:
        generated = find_generated(images / label)
        assert (generated.program, generated.label) == (program, label)
        assert {path.parent for path in generated.tiles.values()} == {images / label}
    with refused("label.unknown"):
        find_generated(images / labels[0], "nothing")


def test_real_output(generated):
    found = find_generated(generated / "results")
    assert found.program == JUNYANZ
    assert found.label == "fake_B"
    assert len(found.tiles) == len(found.inputs) == len(found.targets) == 7
    assert min(found.tiles) == "nl_m__m-obdivovat__00"


def test_only_outputs_kept(tmp_path):
    for stem in STEMS:
        save(tmp_path / f"{stem}_fake_B.png")
    generated = find_generated(tmp_path)
    assert generated.label == "fake_B"
    assert list(generated.tiles) == STEMS
    assert generated.inputs == {}


def test_no_output_asks_for_a_label(tmp_path):
    save(tmp_path / "a_real_A.png")
    save(tmp_path / "a_real_B.png")
    with refused("label.unknown"):
        find_generated(tmp_path)
    assert list(find_generated(tmp_path, "real_B").tiles) == ["a"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("{}_real_B.png", (JUNYANZ, "real_B", STEMS)),
        ("{}.png", ("CUT", "real_B", STEMS)),
        ("{}_fake_B.png", (JUNYANZ, "fake_B", STEMS)),
    ],
)
def test_a_folder_named_like_a_label(tmp_path, name, expected, monkeypatch):
    for stem in STEMS:
        save(tmp_path / "real_B" / name.format(stem))
    monkeypatch.chdir(tmp_path / "real_B")
    for folder in (tmp_path / "real_B", Path()):
        for known in ([], STEMS):
            found = find_generated(folder, known=known)
            stems = list(found.tiles)
            assert (found.program, found.label, stems) == expected


@pytest.mark.parametrize(
    ("names", "known", "label"),
    [
        (["real_B/a_real_B.png", "real_B/b_real_B.png"], ["a_real_B", "b_real_B"], "real_B"),
        (["real/a_real.png", "real/b_real.png"], ["a", "b"], "real"),
        (["real/a_real.png", "real/b_real.png"], ["a_real", "b_real"], ""),
        (["mine/a_real_B.png", "mine/b_real_B.png"], ["a_real_B", "b_real_B"], ""),
        (["fake_B/a_fake_B.png", "fake_B/b.png"], ["a"], "fake_B"),
    ],
)
def test_the_reading_that_the_data_set_knows_is_taken(tmp_path, names, known, label):
    for name in names:
        save(tmp_path / name)
    found = find_generated((tmp_path / names[0]).parent, known=known)
    assert (list(found.tiles), found.label) == (known, label)


def test_true_tiles_in_a_folder_of_their_label_match_the_data_set(generated, tmp_path):
    folder = tmp_path / "real_B"
    folder.mkdir()
    for path in (generated / "results").rglob("*_real_B.png"):
        shutil.copy(path, folder)
    found = ImageSource(input=folder, manifest=generated / "manifest.csv").find()
    assert len(found.utterances) == 3
    assert not found.problems


def test_several_runs_are_listed(tmp_path):
    lay_out(tmp_path, "pix2pix")
    lay_out(tmp_path, "cyclegan")
    with refused("input.ambiguous") as error:
        find_generated(tmp_path)
    assert "test_latest/images (" in str(error.value)
    assert "test_latest_iter500/images (" in str(error.value)
    assert find_generated(tmp_path / RUN).label == "fake_B"
    assert find_generated(tmp_path, "rec_A").folder.parent.name == "test_latest_iter500"


def test_duplicates_foreign_images_and_other_files(tmp_path):
    images = lay_out(tmp_path, "pix2pix", ["a", "b"])
    save(images / "a_fake_B.jpg")
    save(images / "holiday.png")
    save(images / ".1-a_fake_B.png")
    (images / "notes.txt").write_text("text")
    generated = find_generated(tmp_path)
    assert [path.name for path in generated.tiles.values()] == ["a_fake_B.png", "b_fake_B.png"]
    assert [path.name for path in generated.duplicates] == ["a_fake_B.jpg"]
    assert [path.name for path in generated.foreign] == ["holiday.png"]


def test_bare_images_as_img2img_turbo_writes_them(tmp_path):
    for name in ("b_real.PNG", "a.png", "c_output.jpg", "a.webp"):
        save(tmp_path / "output" / name)
    for folder in (tmp_path, tmp_path / "output"):
        generated = find_generated(folder)
        assert (generated.program, generated.label, generated.floor_scale) == (FOLDER, "", None)
        assert list(generated.tiles) == ["a", "b_real", "c_output"]
        assert [path.name for path in generated.duplicates] == ["a.webp"]
    with refused("label.conflict"):
        find_generated(tmp_path, "fake_B")
    save(tmp_path / "more" / "d.png")
    with refused("input.ambiguous"):
        find_generated(tmp_path)


def test_one_picture(tmp_path):
    bare = find_generated(save(tmp_path / "clip_real.png"))
    assert (bare.program, list(bare.tiles)) == (FOLDER, ["clip_real"])
    labelled = find_generated(save(tmp_path / "clip_fake_B.png"))
    assert (labelled.program, list(labelled.tiles)) == (JUNYANZ, ["clip"])
    assert labelled.floor_scale == 255


@pytest.mark.parametrize(
    "names",
    [
        ["epoch001_real_A.png", "epoch001_fake_B.png", "epoch012_fake_B.png"],
        ["epoch001_input_label.jpg", "epoch001_synthesized_image.jpg"],
        ["00000100-a-inputs.png", "00000100-a-outputs.png"],
    ],
)
def test_previews_of_a_training_are_refused(tmp_path, names):
    paths = [save(tmp_path / "checkpoints/tel/web/images" / name) for name in names]
    with refused("input.previews"):
        find_generated(tmp_path)
    assert len(find_generated(paths[1]).tiles) == 1  # a single one can still be heard
    lay_out(tmp_path, "pix2pix")
    assert find_generated(tmp_path).folder == tmp_path / RUN


def test_sample_sheets_of_pytorch_gan_are_refused(tmp_path):
    cell, columns = 16, 5
    sheet = np.zeros((2 * (3 * cell + 2) + 2, columns * (cell + 2) + 2, 3), np.uint8)
    for row in range(2):
        for column in range(columns):
            y, x = 2 + row * (3 * cell + 2), 2 + column * (cell + 2)
            sheet[y : y + 3 * cell, x : x + cell] = 90
    save(tmp_path / "images" / "facades" / "500.png", sheet)
    with refused("input.grid"):
        find_generated(tmp_path / "images")


def test_tiles_with_numbers_for_names_are_not_sample_sheets(tmp_path):
    ramp = np.tile(np.arange(94, dtype=np.uint8), (102, 1))
    for name in ("0.png", "1.png"):
        save(tmp_path / name, ramp)
    assert list(find_generated(tmp_path).tiles) == ["0", "1"]
    save(tmp_path / "0.png", np.zeros((102, 94), np.uint8))
    assert len(find_generated(tmp_path).tiles) == 2


def test_symbolic_links(tmp_path):
    lay_out(tmp_path / "elsewhere", "pix2pix")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/results").symlink_to(tmp_path / "elsewhere/results")
    (tmp_path / "work/loop").symlink_to(tmp_path / "work")
    assert len(find_generated(tmp_path / "work").tiles) == len(STEMS)


def test_nothing_there(tmp_path):
    with refused("input.missing"):
        find_generated(tmp_path / "results")
    (tmp_path / "notes.txt").write_text("text")
    with refused("input.missing"):
        find_generated(tmp_path)
    with refused("input.format"):
        find_generated(tmp_path / "notes.txt")


def test_a_program_without_a_mark_is_named_by_the_user(tmp_path):
    for stem in STEMS:
        save(tmp_path / f"{stem}.png")
    save(tmp_path / "f_fake_B.png")  # no label here
    generated = find_generated(tmp_path, program="img2img-turbo")
    assert (generated.program, generated.label, generated.floor_scale) == ("img2img-turbo", "", 255)
    assert list(generated.tiles) == [*STEMS, "f_fake_B"]
    with refused("program.unknown"):
        find_generated(tmp_path, program="pix2pixHD")
    with refused("label.conflict"):
        find_generated(tmp_path, label="fake_B", program="img2img-turbo")


def to_pil_image(values):
    """torchvision's ToPILImage of img2img-turbo: mul(255).byte()."""
    return torch.from_numpy(values).mul(255).byte().numpy()


def tensor2im(values):
    """util/util.py of pytorch-CycleGAN-and-pix2pix, from -1 to 1."""
    return ((values * 2 - 1 + 1) / 2.0 * 255.0).astype(np.uint8)


def convert_image_dtype(values):
    """TensorFlow's, with saturate=True: scaled by 255 + 0.5, clipped, cast."""
    return np.clip(values * (255 + 0.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("program_levels", "floor_scale"),
    [(to_pil_image, 255), (tensor2im, 255), (convert_image_dtype, 255.5)],
)
def test_levels_are_right_on_average_by_the_programs_own_arithmetic(program_levels, floor_scale):
    values = np.linspace(0, 1, 1_000_001, dtype=np.float32)
    levels = program_levels(values)
    mean = np.bincount(levels, 255 * values.astype(np.float64)) / np.bincount(levels)
    found = dequantised(floor_scale)
    assert found[0] == 0  # silence
    np.testing.assert_allclose(found[1:], mean[1:], atol=1e-3)
