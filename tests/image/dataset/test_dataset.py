"""Strips, tiles, commands and contact sheet of a data set."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.refusals import refused
from vocoder.config import load
from vocoder.decibels import to_linear
from vocoder.image.codec.scalar import Float32, Gray8, Gray16, Rgb24, RgbSum
from vocoder.image.dataset.commands import commands, require_sides
from vocoder.image.dataset.contact_sheet import write_contact_sheet
from vocoder.image.dataset.encode import DataSet, analyse_blocks, encode_strip, gain_to_peak
from vocoder.image.dataset.plan import Job, make_plan
from vocoder.image.dataset.recordings import Recording
from vocoder.image.file import read_image
from vocoder.image.manifest import Sidecar
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

RANGE = {"db_min": -100.0, "db_max": 0.0}


MEL = load("spec", "mel256")


def data_set(root, codec, suffix=".png", style="single", quality=None):
    return DataSet(
        root=root,
        sidecar=Sidecar(MEL, codec, 256, 64),
        style=style,
        channels=3,
        gain="none",
        peak_db=0.0,
        trim=False,
        suffix=suffix,
        quality=quality,
        overwrite=False,
    )


@pytest.fixture
def job(tmp_path, speech):
    path = tmp_path / "a.wav"
    soundfile.write(path, speech, MEL.sample_rate, subtype="FLOAT")
    return Job("a", "", Recording(path, "a.wav"))


@pytest.mark.parametrize("name", ["mel256", "linear512", "linear256", "seed", "tacotron2", "left"])
@pytest.mark.parametrize("block_frames", [1, 37, 10_000])
def test_analysis_in_blocks_is_analysis_of_the_whole(speech, name, block_frames):
    if name == "left":  # frames that begin, rather than centre, on their sample
        spec = SpectrogramSpec.from_dict(MEL.to_dict() | {"center": False}, name)
    else:
        spec = load("spec", name)
    samples = speech[:10_000] if block_frames == 1 else speech
    whole = analyse(torch.from_numpy(samples)[None], spec).linear[0]
    blocks = np.concatenate(list(analyse_blocks(samples, spec, block_frames)), axis=1)
    joined = to_linear(torch.from_numpy(blocks), spec)
    assert torch.allclose(joined, whole, rtol=1e-7, atol=1e-6 * float(whole.max()))


def test_a_strip_knows_its_level(speech):
    strip = encode_strip(speech, MEL, Gray8(**RANGE))
    assert strip.pixels.shape == (256, MEL.n_frames(len(speech)))
    assert -40 < strip.peak_db < 0
    assert strip.clipped == 0
    louder = encode_strip(speech, MEL, Gray8(**RANGE), gain_db=6.0)
    assert louder.peak_db == pytest.approx(strip.peak_db + 6, abs=1e-3)
    narrow = encode_strip(speech, MEL, Gray8(db_min=-100.0, db_max=-40.0))
    assert narrow.clipped == pytest.approx(np.mean(strip.pixels > 255 * 0.6), rel=0.05)
    assert encode_strip(0 * speech, MEL, Gray8(**RANGE)).peak_db == -np.inf


def test_the_gain_reaches_the_peak(speech):
    gain_db = gain_to_peak(speech, -1.0)
    assert np.abs(speech * 10 ** (gain_db / 20)).max() == pytest.approx(10 ** (-1 / 20))
    assert gain_to_peak(0 * speech, -1.0) == 0


@pytest.mark.parametrize(
    ("codec", "suffix", "mode"),
    [
        (Gray8, ".png", "RGB"),
        (Gray16, ".png", "I;16"),
        (Float32, ".tif", "F"),
        (RgbSum, ".webp", "RGB"),
        (Rgb24, ".png", "RGB"),
    ],
)
def test_single_images_take_any_codec(tmp_path, job, codec, suffix, mode):
    made = data_set(tmp_path / "out", codec(**RANGE), suffix)
    written = made.write(job, made.encode(job))
    assert written.folders == ("pictures",)
    assert [tile.stem for tile in written.tiles] == ["a__00"]
    path = made.path("pictures", written.tiles[0])
    assert path == tmp_path / f"out/pictures/a__00{suffix}"
    assert read_image(path).mode == mode
    sheet = tmp_path / "sheet.png"
    write_contact_sheet(sheet, [("a", [path])] * 15, made.sidecar.codec, overwrite=False)
    with Image.open(sheet) as image:
        assert 3 * 256 < image.width < 4 * 256
        assert 4 * 256 < image.height < 5 * 256, "twelve tiles at most"
        assert np.asarray(image)[40:200, 20:250].std() > 10


def test_jpeg_has_a_quality_and_png_has_none(tmp_path, job):
    made = data_set(tmp_path, Gray8(**RANGE), ".jpg", quality=90)
    made.write(job, made.encode(job))
    assert read_image(tmp_path / "pictures/a__00.jpg").lossy
    made = data_set(tmp_path, Gray8(**RANGE), ".png", quality=90)
    with refused("quality.conflict"):
        made.write(job, made.encode(job))


def test_names_are_unique_over_the_data_set(tmp_path):
    for name in ("x.wav", "x.flac", "s/x.wav", "s__x.wav", "s x.wav", "X.ogg", "x_2.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    plan = make_plan(
        style="unaligned",
        folder=tmp_path,
        folder_a=tmp_path,
        channel="mix",
        val=0.0,
        test=None,
        seed=0,
        skip_unpaired=False,
        trim=False,
        spec=MEL,
    )
    assert len({job.utterance.casefold() for job in plan.jobs}) == len(plan.jobs) == 14


@pytest.mark.parametrize("style", ["aligned", "unaligned", "pix2pixhd"])
def test_codecs_that_pix2pix_would_ruin_are_refused(tmp_path, style):
    for codec, suffix in ((Gray16, ".png"), (Float32, ".tif"), (Rgb24, ".png")):
        with refused("style.codec"):
            data_set(tmp_path, codec(**RANGE), suffix, style)


def test_codecs_that_write_no_images_are_refused_before_any_work(tmp_path):
    with refused("codec.median_db.missing"):
        data_set(tmp_path, load("codec", "seed_jpeg"), ".jpg")


def test_sizes_that_programs_would_resample_are_refused():
    require_sides("aligned", 80, 256)
    require_sides("single", 1025, 250)
    with refused("tile.size"):
        require_sides("unaligned", 1025, 256)
    with refused("tile.size"):
        require_sides("pix2pixhd", 256, 252)


def test_commands_quote_paths_and_fit_the_tiles():
    root = Path("/my {set}")
    square = commands("aligned", root, 256, 256, {"train": 7, "test": 120})
    assert len(square) == 3
    test = square[0].test or ""
    assert "--dataroot '/my {set}' --name 'my {set}' --model pix2pix --netG unet_256" in test
    assert test.endswith("--phase test --num_test 120")
    other = commands("aligned", root, 80, 256, {"train": 7, "val": 3})
    assert [one.program for one in other] == ["pytorch-CycleGAN-and-pix2pix"], "others need 256x256"
    test = other[0].test or ""
    assert "--netG resnet_9blocks" in test
    assert test.endswith("--phase val --num_test 3")
    assert commands("aligned", root, 256, 256, {"test": 1})[0].train is None
    for style, folders in (("aligned", ("train",)), ("unaligned", ("trainA", "trainB"))):
        of_grey = commands(style, root, 256, 256, dict.fromkeys(folders, 1), grey=True)
        assert "--input_nc 1 --output_nc 1" in str(of_grey[0].train)
        of_colours = commands(style, root, 256, 256, dict.fromkeys(folders, 1))
        assert "_nc" not in str(of_colours)
    here = commands("aligned", Path("set"), 256, 256, {"train": 1})[0]
    assert f"--dataroot {Path.cwd()}/set --name set " in str(here.train)  # from any folder
    assert commands("pix2pixhd", root, 256, 256, {"train_A": 1, "train_B": 1})[0].test is None
