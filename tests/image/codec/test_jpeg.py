"""What a JPEG leaves open, against the transform written out block by block."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dct, idct

from vocoder import load, read_spectrogram
from vocoder.decibels import SILENCE_DB, amplify
from vocoder.evaluate.metrics import estoi, mel_distance_db
from vocoder.image.codec.base import SILENT_LEVEL
from vocoder.image.codec.jpeg import REACH, JpegCells, JpegConstraint
from vocoder.image.file import ImageInfo, write_image
from vocoder.image.opening import jpeg_tables
from vocoder.spectrogram import Spectrogram, analyse

RATE = 22_050
SPEC, CODEC = load("spec", "mel256"), load("codec", "gray8")


@pytest.fixture(scope="module")
def levels(decibels):
    """The image of a real line, ``(256, frames)``, between whole levels."""
    return CODEC.levels(decibels)[::-1]


def stored(levels, path, quality):
    """The image as JPEG gives it back, and the steps of its cells."""
    Image.fromarray(np.rint(levels).astype(np.uint8)).save(path, quality=quality)
    with Image.open(path) as image:
        return np.asarray(image).astype(np.float32), jpeg_tables(path)


def moved(pixels, decoded, table):
    """`JpegCells.nearest` for whole blocks, one at a time."""
    result = np.empty_like(pixels, dtype=np.float64)
    for row in range(0, len(pixels), 8):
        for column in range(0, pixels.shape[1], 8):
            here = (slice(row, row + 8), slice(column, column + 8))
            middle = np.rint(transform(decoded[here] - 128.0) / table)
            low, high = (middle - REACH) * table, (middle + REACH) * table
            inside = np.minimum(np.maximum(transform(pixels[here] - 128.0), low), high)
            back = idct(idct(inside, axis=0, norm="ortho"), axis=1, norm="ortho")
            result[here] = back + 128.0
    return result


def transform(block):
    return dct(dct(block, axis=0, norm="ortho"), axis=1, norm="ortho")


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("shape", [(256, 208), (250, 203), (257, 9), (64, 8)])
def test_the_image_itself_lies_in_its_cells(levels, tmp_path, quality, shape):
    padded = np.pad(levels, ((0, 8), (0, 0)), "edge")
    decoded, table = stored(padded[: shape[0], : shape[1]], tmp_path / "a.jpg", quality)
    cells = JpegCells(decoded, table)
    assert cells.columns == shape[1]
    whole = decoded[:, : shape[1] // 8 * 8]
    back = cells.nearest(whole, 0)
    assert back.shape == whole.shape
    # Pixels were rounded, and cut off at 0 and 255.
    assert np.abs(back - whole).mean() < 0.2
    inside = (whole > 8) & (whole < 247)
    assert np.percentile(np.abs(back - whole)[inside], 99) < 1


@pytest.mark.parametrize("first", [0, 8, 120])
def test_others_are_moved_block_by_block(levels, tmp_path, first):
    decoded, table = stored(levels[:, :208], tmp_path / "a.jpg", 75)
    noise = np.random.default_rng(0).normal(0, 30, (256, 80))
    candidate = levels[:, first : first + 80] + noise
    expected = moved(candidate, decoded[:, first : first + 80], table)
    found = JpegCells(decoded, table).nearest(candidate, first)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(found - candidate).mean() > 10  # far from where it was
    again = JpegCells(decoded, table).nearest(found, first)
    np.testing.assert_allclose(again, found, atol=1e-3)  # and in the cells now
    # Nearer to the truth than what the file itself says.
    true = levels[:, first : first + 80]
    assert np.abs(found - true).mean() < np.abs(candidate - true).mean() / 3


def test_rows_beyond_whole_blocks_are_moved_with_the_last_one(levels, tmp_path):
    decoded, table = stored(levels[:250, :80], tmp_path / "a.jpg", 75)
    candidate = levels[:250, :80] + 20 * np.sin(np.arange(250))[:, None]
    more = ((0, 6), (0, 0))
    expected = moved(np.pad(candidate, more, "edge"), np.pad(decoded, more, "edge"), table)[:250]
    found = JpegCells(decoded, table).nearest(candidate, 0)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def as_decibels(levels, gain_db=0.0):
    """Levels as images have them, top row first, to decibels."""
    return amplify(CODEC.decibels(levels[::-1]), gain_db)


def test_whole_blocks_of_tiles_are_moved_and_all_else_is_kept(levels, tmp_path):
    """Two tiles from frames 5 and 69 of an utterance that begins with silence; gain 6 dB."""
    starts, width, gain_db = (5, 69), 83, 6.0
    stored_tiles = [
        stored(levels[:, start : start + width], tmp_path / "a.jpg", 75) for start in starts
    ]
    n_frames, first = 160, 3
    decibels = np.full((256, n_frames), SILENCE_DB, np.float32)
    for start, (decoded, _) in zip(starts, stored_tiles, strict=True):
        decibels[:, start : start + width] = as_decibels(decoded, gain_db)
    tiles = [(start, JpegCells(*tile)) for start, tile in zip(starts, stored_tiles, strict=True)]
    constraint = JpegConstraint(tiles, decibels, CODEC, gain_db)

    rng = np.random.default_rng(1)
    wanted = (levels[:, first : n_frames - 1] + rng.normal(0, 15, (256, 156))).clip(0, 255)
    candidate = torch.from_numpy(as_decibels(wanted, gain_db))[None]
    found = constraint.project(candidate.expand(2, -1, -1), first).numpy()
    np.testing.assert_array_equal(found[0], found[1])

    expected = decibels[:, first : n_frames - 1].copy()
    asked = CODEC.levels(candidate[0].numpy() - gain_db)[::-1]
    for start, (decoded, table) in zip(starts, stored_tiles, strict=True):  # the later one counts
        here = slice(start - first, start - first + width // 8 * 8)
        blocks = decoded[:, : width // 8 * 8]
        expected[:, here] = as_decibels(moved(asked[:, here], blocks, table), gain_db)
    # Half a level divides silence from sound, and rounding decides on which side a pixel falls.
    floor_db = CODEC.decibels(np.array(SILENT_LEVEL + 1e-6)) + gain_db
    shown, wanted = (np.maximum(one, floor_db) for one in (found[0], expected))
    np.testing.assert_allclose(shown, wanted, atol=0.02)
    outside = [*range(2), *range(69 + 80 - first, n_frames - 1 - first)]
    np.testing.assert_array_equal(found[0][:, outside], decibels[:, first:][:, outside])


@pytest.mark.parametrize(("first", "last"), [(0, 5), (6, 12), (84, 100)])
def test_where_no_whole_block_is_asked_about_nothing_moves(levels, tmp_path, first, last):
    decoded, table = stored(levels[:, :83], tmp_path / "a.jpg", 75)
    decibels = np.pad(as_decibels(decoded), ((0, 0), (0, 17)), constant_values=SILENCE_DB)
    constraint = JpegConstraint([(0, JpegCells(decoded, table))], decibels, CODEC, 0.0)
    candidate = -100 * torch.rand(1, 256, last - first)
    found = constraint.project(candidate, first)[0].numpy()
    np.testing.assert_array_equal(found, decibels[:, first:last])


def test_blocks_of_an_inverter_are_asked_about_at_their_own_frames(levels, tmp_path):
    decoded, table = stored(levels[:, :200], tmp_path / "a.jpg", 75)
    decibels = as_decibels(decoded)
    constraint = JpegConstraint([(0, JpegCells(decoded, table))], decibels, CODEC, 0.0)
    whole = Spectrogram(torch.from_numpy(decibels)[None], SPEC, None, constraint)
    candidate = torch.from_numpy(as_decibels(levels[:, :200] * 0.9))[None]
    of_all = constraint.project(candidate, 0)
    part = whole.frames(40, 120).frames(8, 72).constraint
    of_part = part and part.project(candidate[:, :, 48:112], 0)
    torch.testing.assert_close(of_part, of_all[:, :, 48:112])


@pytest.mark.parametrize("size", [24, 37, 200])
def test_a_long_utterance_is_moved_in_place_piece_by_piece_as_at_once(levels, tmp_path, size):
    decoded, table = stored(levels[:, :200], tmp_path / "a.jpg", 75)
    first, second = (JpegCells(decoded[:, cut], table) for cut in (slice(0, 120), slice(103, 200)))
    tiles = [(0, first), (103, second)]
    constraint = JpegConstraint(tiles, as_decibels(decoded), CODEC, 0.0)
    candidate = torch.from_numpy(as_decibels(levels[:, :200] * 0.9))[None]
    at_once = constraint.project(candidate, 0)
    constraint.project_all(candidate, size)
    torch.testing.assert_close(candidate, at_once)


def test_black_stays_silent(levels, tmp_path):
    """Rounding in the transform leaves faint shades there, which are no sound."""
    image = levels[:, :200].copy()
    image[:, 40:120] = 0
    decoded, table = stored(image, tmp_path / "a.jpg", 75)
    decibels = as_decibels(decoded)
    constraint = JpegConstraint([(0, JpegCells(decoded, table))], decibels, CODEC, 0.0)
    found = constraint.project(torch.from_numpy(as_decibels(image))[None], 0)[0].numpy()
    assert (found[:, 40:120] == SILENCE_DB).all()
    assert (found == SILENCE_DB).mean() > 0.9 * (decibels == SILENCE_DB).mean()


def test_inverting_within_the_cells_is_nearer_to_the_truth(speech, tmp_path):
    true = analyse(torch.from_numpy(speech)[None], SPEC).decibels
    path = tmp_path / "a.jpg"
    info = ImageInfo(SPEC, CODEC, len(speech))
    write_image(path, CODEC.encode(true[0].numpy(), SPEC), CODEC, info, quality=75)
    given = read_spectrogram(path)
    inverter = load("inverter", "griffin_lim", n_iter=40)

    freed = replace(given, constraint=None)
    within, as_decoded = (inverter(one)[0].numpy() for one in (given, freed))
    errors_db = [mel_distance_db(speech, sound, RATE) for sound in (within, as_decoded)]
    assert errors_db[0] < errors_db[1] - 0.03  # 1.17 and 1.22 dB
    assert estoi(speech, within, RATE) > estoi(speech, as_decoded, RATE) + 0.004  # .950, .942
