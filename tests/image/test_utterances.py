"""From what the user points at to spectrograms: found, decoded, stitched, level restored."""

import shutil
import tracemalloc
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.refusals import refused
from vocoder import load
from vocoder.cli import main
from vocoder.decibels import SILENCE_DB
from vocoder.identify.settings import files
from vocoder.image.array import write_array
from vocoder.image.file import ImageInfo, write_image
from vocoder.image.manifest import Tile, write_manifest
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import analyse
from vocoder.window.workbench import Workbench

IMAGES = Path("results/tel/test_latest/images")
LINES = ["nl_m__m-obdivovat", "nl_v__jes-v-kamen", "nl_v__poh-v-forma"]
SPEC = load("spec", "mel256")
RANGE = {"db_min": -92.04, "db_max": -12.04}


def true_decibels(generated, name):
    """What the recording gives, at the level that the images were made with."""
    sound, _ = soundfile.read(generated / f"reference/{name}.flac", dtype="float32")
    return analyse(torch.from_numpy(sound)[None], SPEC).decibels[0].numpy()


def errors_db(generated, found, frames=slice(None)):
    """Decoded against true, in dB, where neither end of the range is near."""
    errors = []
    for utterance in found.utterances:
        true = true_decibels(generated, utterance.name)[:, frames]
        spectrogram = load_utterance(utterance, found).spectrogram
        shown = spectrogram.decibels[0].numpy()[:, frames]
        inside = (true > -85) & (true < -14)
        errors.append(shown[inside] - true[inside])
    return np.concatenate(errors)


def test_what_a_program_wrote_is_found_with_all_that_is_known_of_it(generated):
    found = ImageSource(input=generated).find()
    assert [one.name for one in found.utterances] == LINES
    assert [len(one.tiles) for one in found.utterances] == [3, 2, 2]
    assert (found.program, found.label) == ("pytorch-CycleGAN-and-pix2pix", "fake_B")
    assert found.floor_scale == 255 and found.has_manifest and found.tile_frames == 256
    assert found.spec == SPEC and found.codec == load("codec", "gray8", **RANGE)
    assert found.problems == {} and not any(one.missing for one in found.utterances)
    for utterance in found.utterances:
        assert utterance.paths == [path for _, path in utterance.tiles]
        assert all(path.name.endswith("_fake_B.png") for path in utterance.paths)


def test_copies_of_whole_levels_are_not_moved(generated):
    """The program's arithmetic cuts off only some of those."""
    found = ImageSource(input=generated, label="real_B").find()
    assert found.floor_scale is None
    step_db = 80 / 255
    assert -step_db / 2 < errors_db(generated, found).mean() < 0


def test_what_a_network_generates_is_right_on_average(generated, copy):
    """Generated levels lie anywhere between whole ones; writing cuts their fractions off."""
    codec = load("codec", "gray8", **RANGE)
    for name in LINES:
        levels = codec.levels(true_decibels(generated, name))[::-1]
        for k, path in enumerate(sorted((copy / IMAGES).glob(f"{name}*_fake_B.png"))):
            tile = levels[:, 192 * k :][:, :256]
            tile = np.pad(tile, ((0, 0), (0, 256 - tile.shape[1])))
            Image.fromarray(np.dstack([tile.astype(np.uint8)] * 3)).save(path)
    found = ImageSource(input=copy).find()
    assert abs(errors_db(generated, found).mean()) < 0.01
    as_written = errors_db(generated, replace(found, floor_scale=None))
    assert as_written.mean() == pytest.approx(-40 / 255, abs=0.01)


def test_overlaps_are_as_true_as_the_rest(generated):
    found = ImageSource(input=generated, label="real_B").find()
    overlap, alone = errors_db(generated, found, slice(192, 256)), errors_db(generated, found)
    assert overlap.std() < alone.std() * 1.2 and abs(overlap.mean() - alone.mean()) < 0.05


def test_overlaps_fade_from_one_tile_to_the_next(copy):
    name = "nl_v__jes-v-kamen"
    tile = copy / IMAGES / f"{name}__01_fake_B.png"
    found = ImageSource(input=copy).find()
    before = load_utterance(found.utterances[1], found).spectrogram.decibels[0].numpy()
    pixels = np.asarray(Image.open(tile)).astype(int)
    Image.fromarray((pixels + 20).clip(1, 254).astype(np.uint8)).save(tile)
    after = load_utterance(found.utterances[1], found).spectrogram.decibels[0].numpy()
    silent = (before == SILENCE_DB) | (after == SILENCE_DB)
    change_db = np.ma.masked_array(after - before, silent)
    by_frame = np.ma.median(change_db, axis=0)
    louder_db = 20 * 80 / 255
    assert abs(by_frame[:192]).max() < 1e-3
    # Not exactly: black channels are taken as exact, and rise by half a level more.
    np.testing.assert_allclose(by_frame[256:], louder_db, atol=0.16)
    ramp = (np.arange(64) + 0.5) / 64 * louder_db
    np.testing.assert_allclose(by_frame[192:256], ramp, atol=0.16)


def test_a_single_tile_of_a_data_set_is_what_it_shows(generated):
    """Read by the data set's settings, without silence for the utterance's other tiles."""
    whole = ImageSource(input=generated, label="real_B").find()
    jes = next(one for one in whole.utterances if one.name == "nl_v__jes-v-kamen")
    found = ImageSource(input=generated / IMAGES / "nl_v__jes-v-kamen__01_real_B.png").find()
    (utterance,) = found.utterances
    assert (utterance.name, found.label) == ("nl_v__jes-v-kamen__01", "real_B")
    assert found.problems == {}
    shown = load_utterance(utterance, found).spectrogram.decibels
    assert shown.shape == (1, 256, 127)
    after_the_overlap = load_utterance(jes, whole).spectrogram.decibels[:, :, 256:]
    assert torch.equal(shown[:, :, 64:], after_the_overlap)


def test_other_splits_are_none_of_this_run(copy):
    rows = (copy / "manifest.csv").read_text()
    more = "t,elsewhere,0,256,256,0,,x,train\nu,lost,0,256,256,0,,x,test\n"
    (copy / "manifest.csv").write_text(rows + more)
    found = ImageSource(input=copy).find()
    assert found.problems == {"lost": "none of its 1 tiles is there; not rendered"}
    # Who gives one image does not miss the others.
    tile = copy / IMAGES / f"{LINES[0]}__00_fake_B.png"
    assert ImageSource(input=tile).find().problems == {}


def image(folder, name, samples, gain_db=0.0, spec=SPEC, codec=None, suffix=".png"):
    codec = codec or load("codec", "gray8")
    sound = torch.from_numpy(samples)[None] * 10 ** (gain_db / 20)
    decibels = analyse(sound, spec).decibels[0].numpy()
    info = ImageInfo(spec, codec, len(samples), gain_db)
    write_image(folder / f"{name}{suffix}", codec.encode(decibels, spec), codec, info)


def test_bare_images_say_themselves_what_they_are_each_for_itself(tmp_path, speech):
    image(tmp_path, "quiet", speech, gain_db=-20.0)
    image(tmp_path, "linear", speech[:30_000], spec=load("spec", "linear512"))
    image(tmp_path, "colour", speech, codec=load("codec", "hue"))
    float32 = load("codec", "float32")
    image(tmp_path, "power", speech, spec=replace(SPEC, power=2.0), codec=float32, suffix=".tif")
    found = ImageSource(input=tmp_path).find()
    assert (found.program, found.spec, found.has_manifest) == ("folder", None, False)
    for utterance in found.utterances:
        spectrogram = load_utterance(utterance, found).spectrogram
        length = 30_000 if utterance.name == "linear" else len(speech)
        assert spectrogram.n_samples == spectrogram.length == length
        sound = torch.from_numpy(speech[:length])[None]
        true = analyse(sound, spectrogram.spec).decibels
        loud = true > true.max() - 40
        error_db = (spectrogram.decibels[loud] - true[loud]).abs()
        assert error_db.max() < 0.25, utterance.name


@pytest.mark.parametrize(("suffix", "most_db"), [(".jpg", 6.0), (".webp", 4.0)])
def test_lossy_images_of_codec_hue_are_read(suffix, most_db, tmp_path, speech):
    """A JPEG of Pillow's quality moves its colours by 16 to 22 levels."""
    image(tmp_path, "colour", speech, codec=load("codec", "hue"), suffix=suffix)
    found = ImageSource(input=tmp_path).find()
    shown = load_utterance(found.utterances[0], found).spectrogram.decibels[0]
    true = analyse(torch.from_numpy(speech)[None], SPEC).decibels[0]
    loud = true > true.max() - 40
    assert (shown[loud] - true[loud]).abs().mean() < most_db


@pytest.fixture
def mixed(tmp_path, speech):
    """Two images and two arrays, one of the same name, and a tensor."""
    image(tmp_path, "a", speech)
    image(tmp_path, "both", speech)
    for name in ("b", "both"):
        given = analyse(torch.from_numpy(speech)[None], SPEC)
        write_array(tmp_path / f"{name}.npy", given, overwrite=False)
    torch.save(torch.zeros(3, 4), tmp_path / "weights.pt")
    return tmp_path


def test_images_and_arrays_in_one_folder_are_all_found(mixed):
    found = ImageSource(input=mixed).find()
    loaded = {one.name: load_utterance(one, found) for one in found.utterances}
    assert list(loaded) == ["a", "b", "both"]
    assert list(found.problems) == ["both.png"]
    assert "weights.pt" in found.hints[0]
    error_db = loaded["a"].spectrogram.decibels - loaded["b"].spectrogram.decibels
    assert error_db[loaded["a"].spectrogram.decibels > -60].abs().max() < 0.25


def test_settings_of_images_leave_arrays_out_with_a_word(mixed):
    found = ImageSource(input=mixed, codec=load("codec", "gray8")).find()
    assert [one.name for one in found.utterances] == ["a", "both"]
    assert any("b.npy" in hint and "codec=" in hint for hint in found.hints)


def test_all_commands_see_the_same_files(mixed, tmp_path_factory, capsys):
    paths, left_out = files(mixed)
    assert [path.name for path in paths] == ["a.png", "b.npy", "both.npy", "both.png"]
    assert "weights.pt" in left_out[0]
    bench = Workbench(ImageSource(input=mixed))
    assert list(bench.items) == ["a", "b", "both"] and len(bench.left_out) == 2
    assert main.run(["doctor", f"input={mixed}"]) == 0
    assert "2 arrays" in capsys.readouterr().out
    assert main.run(["invert", f"input={mixed}", f"output={tmp_path_factory.mktemp('o')}"]) == 2
    assert "both.png: an array has the same name" in capsys.readouterr().out


def test_a_manifest_of_something_else_is_no_obstacle(tmp_path, speech):
    (tmp_path / "pictures").mkdir()
    image(tmp_path / "pictures", "mine", speech)
    write_manifest(tmp_path / "manifest.csv", [Tile("other", "other", 0, 9, 9)], overwrite=False)
    found = ImageSource(input=tmp_path / "pictures").find()
    assert [one.name for one in found.utterances] == ["mine"] and not found.has_manifest
    with refused("manifest.conflict"):
        ImageSource(input=tmp_path / "pictures", manifest=tmp_path / "manifest.csv").find()


def test_names_with_more_at_the_end_than_the_manifest_has_are_told(tmp_path, speech):
    rows = [Tile(f"u__0{k}", "u", 9 * k, 9, 18) for k in range(2)]
    write_manifest(tmp_path / "manifest.csv", rows, overwrite=False)
    for row in rows:
        image(tmp_path / "pictures", f"{row.stem}_translated", speech)
    with refused("manifest.conflict") as caught:
        ImageSource(input=tmp_path / "pictures", manifest=tmp_path / "manifest.csv").find()
    assert "'u__00'" in str(caught.value) and "'_translated'" in str(caught.value)


@pytest.mark.parametrize(("table", "file"), [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("name", ["{}.png", "{}_fake_B.png", "fake_B/{}.png"])
def test_letters_with_accents_are_the_same_however_they_are_coded(tmp_path, name, table, file):
    """File systems of macOS take them apart."""
    codec, utterance = load("codec", "gray8"), unicodedata.normalize(table, "žluťoučký_kůň")
    stem = f"{utterance}__00"
    write_manifest(tmp_path / "manifest.csv", [Tile(stem, utterance, 0, 256, 256)], overwrite=False)
    labels = ("fake_B", "real_A") if "fake_B" in name else ("",)
    for label in labels:
        path = unicodedata.normalize(file, name.replace("fake_B", label).format(stem))
        pixels = np.full((256, 256, 3), 9, np.uint8)
        write_image(tmp_path / "images" / path, pixels, codec, None)
    found = ImageSource(input=tmp_path / "images", spec=SPEC, codec=codec).find()
    assert [one.name for one in found.utterances] == [unicodedata.normalize("NFC", utterance)]
    assert found.has_manifest and found.problems == {} and not found.utterances[0].missing
    assert load_utterance(found.utterances[0], found).problems == {}


def test_a_last_tile_need_not_be_filled_up(tmp_path):
    """In data sets made elsewhere, whose tiles are as wide as most of them are."""
    codec = load("codec", "gray8")
    levels = np.random.default_rng(0).integers(1, 255, (256, 600), dtype=np.uint8)
    tiles = [
        Tile(f"u__{k}", "u", start, min(256, 600 - start), 600)
        for k, start in enumerate((0, 192, 384))
    ]
    for tile in tiles:
        pixels = levels[:, tile.start_frame :][:, : tile.frames]
        write_image(tmp_path / f"{tile.stem}.png", pixels, codec, None)
    write_manifest(tmp_path / "manifest.csv", tiles, overwrite=False)
    found = ImageSource(input=tmp_path, spec=SPEC, codec=codec).find()
    assert found.tile_frames == 256
    loaded = load_utterance(found.utterances[0], found)
    assert loaded.problems == {}
    assert (loaded.spectrogram.decibels > SILENCE_DB).all()
    write_image(tmp_path / "u__2.png", levels[:, 384:599], codec, None, overwrite=True)
    loaded = load_utterance(found.utterances[0], found)
    assert "215 pixels wide; the data set's tiles are 256" in loaded.problems["u__2.png"]


def test_fractions_that_were_cut_off_exist_only_between_the_ends(tmp_path, generated):
    tile = "nl_v__jes-v-kamen__00_fake_B"
    pixels = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    Image.fromarray(pixels).save(tmp_path / f"{tile}.png")
    settings = {"spec": SPEC, "codec": load("codec", "gray8", **RANGE)}
    found = ImageSource(input=tmp_path, **settings).find()
    black, *db = load_utterance(found.utterances[0], found).spectrogram.decibels[0, 0].numpy()
    assert black == SILENCE_DB  # black stays silence
    assert db[-1] == pytest.approx(-12.04, abs=1e-3)  # white stays the top
    middle = -92.04 + (np.arange(1, 255) + 0.5) * 80 / 255
    np.testing.assert_allclose(db[:-1], middle, atol=1e-3)


def test_grey_jpegs_bring_what_they_leave_open_and_others_do_not(tmp_path, speech):
    image(tmp_path, "jpeg", speech, suffix=".jpg")
    image(tmp_path, "png", speech)
    image(tmp_path, "webp", speech, suffix=".webp")
    image(tmp_path, "colour", speech, codec=load("codec", "rgb_sum"), suffix=".jpg")
    found = ImageSource(input=tmp_path).find()
    for utterance in found.utterances:
        loaded = load_utterance(utterance, found)
        assert (loaded.spectrogram.constraint is not None) == (utterance.name == "jpeg")
        assert loaded.problems == {}


def test_names_that_would_leave_the_output_are_refused(tmp_path, speech):
    image(tmp_path, "line", speech)
    shutil.move(tmp_path / "line.png", tmp_path / "li\nne.png")
    with refused("manifest.name"):
        ImageSource(input=tmp_path).find()


def test_what_img2img_turbo_generated_needs_its_name(tmp_path):
    """Half a level, of which nothing in the images tells."""
    pixels = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    Image.fromarray(pixels).save(tmp_path / "line.png")
    settings = {"spec": SPEC, "codec": load("codec", "gray8", **RANGE)}
    levels = []
    for program in (None, "img2img-turbo"):
        found = ImageSource(input=tmp_path, program=program, **settings).find()
        decibels = load_utterance(found.utterances[0], found).spectrogram.decibels
        levels.append(decibels[0, 0, 1:255].numpy())
    np.testing.assert_allclose(levels[1] - levels[0], 40 / 255, atol=1e-3)
    (tmp_path / "line.png").unlink()
    np.save(tmp_path / "array.npy", np.ones((256, 9), np.float32))
    with refused("program.conflict"):
        ImageSource(input=tmp_path, program="img2img-turbo", spec=SPEC).find()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_long_utterance_is_never_in_memory_twice(tmp_path, suffix):
    """Tiles are let go of as they are joined, and a JPEG's cells are packed."""
    codec, n_tiles = load("codec", "gray8"), 40
    total = n_tiles * 192 + 64
    image = np.random.default_rng(0).integers(0, 90, (32, 32)).repeat(8, 0).repeat(8, 1)
    tiles = [Tile(f"u__{k:02d}", "u", k * 192, 256, total) for k in range(n_tiles)]
    for tile in tiles:
        write_image(tmp_path / f"{tile.stem}{suffix}", image.astype(np.uint8), codec, None)
    write_manifest(tmp_path / "manifest.csv", tiles, overwrite=False)
    found = ImageSource(input=tmp_path, spec=SPEC, codec=codec).find()
    tracemalloc.start()
    loaded = load_utterance(found.utterances[0], found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    itself = loaded.spectrogram.decibels.nbytes
    assert itself == 4 * 256 * total
    assert peak < 1.6 * itself  # half of it is what a tile or two take on their way
