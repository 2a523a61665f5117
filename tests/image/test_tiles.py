"""Cutting into tiles and stitching."""

import time

import numpy as np
import pytest

from vocoder.errors import BadInput
from vocoder.image.manifest import Tile
from vocoder.image.tiles import cut, stitch

FLOOR = 1e-3


def pieces_of(values, tile_frames, overlap_frames):
    """Tiles with the right values, filled up with silence to full width."""
    total = values.shape[1]
    pieces = []
    for k, (start, frames) in enumerate(cut(total, tile_frames, overlap_frames)):
        tile = Tile(f"u__{k:02d}", "u", start, frames, total)
        part = np.zeros((values.shape[0], tile_frames), np.float32)
        part[:, :frames] = values[:, start : start + frames]
        pieces.append((tile, part))
    return pieces


@pytest.fixture
def sound():
    values = np.random.default_rng(1).lognormal(0, 2, (16, 500)).astype(np.float32)
    values[:, 200:300:7] = 0
    values[3] = 0
    return values


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1, [(0, 1)]),
        (256, [(0, 256)]),
        (257, [(0, 256), (192, 65)]),
        (448, [(0, 256), (192, 256)]),
        (449, [(0, 256), (192, 256), (384, 65)]),
    ],
)
def test_tiles_start_at_regular_steps(total, expected):
    assert cut(total, 256, 64) == expected


@pytest.mark.parametrize("overlap", [0, 1, 64, 200, 255])
def test_every_frame_is_covered_and_no_tile_is_idle(overlap):
    for total in (1, 2, 255, 256, 257, 300, 511, 512, 513, 1000):
        tiles = cut(total, 256, overlap)
        seen = np.zeros(total, int)
        for start, frames in tiles:
            assert frames == min(256, total - start)
            seen[start : start + frames] += 1
        assert (seen > 0).all()
        if len(tiles) > 1:
            assert tiles[-2][0] + 256 < total, "the last tile adds frames"


def test_impossible_tilings_are_refused():
    for frames, overlap in ((0, 0), (-1, 0), (256, 256), (256, -1), (256, 300)):
        with pytest.raises(BadInput, match="tile"):
            cut(1000, frames, overlap)


@pytest.mark.parametrize("overlap", [0, 1, 20, 45, 60])
def test_stitching_gives_back_what_was_cut(sound, overlap):
    pieces = pieces_of(sound, 64, overlap)
    joined = stitch(pieces, 500, floor=1e-9)
    assert joined.values.dtype == np.float32
    assert joined.covered.all()
    np.testing.assert_allclose(joined.values, sound, rtol=1e-4)
    assert ((joined.values == 0) == (sound == 0)).all(), "silence stays exact"
    with pytest.raises(ValueError, match="comes after one that starts later"):
        stitch(pieces[::-1], 500, floor=1e-9)


def test_what_one_tile_says_alone_is_untouched(sound):
    joined = stitch(pieces_of(sound, 64, 20), 500, FLOOR).values
    np.testing.assert_array_equal(joined[:, :44], sound[:, :44])
    np.testing.assert_array_equal(joined[:, 64:88], sound[:, 64:88])


def test_overlaps_fade_linearly_in_decibels():
    left = (Tile("a", "u", 0, 100, 160), np.full((2, 100), 0.01, np.float32))
    right = (Tile("b", "u", 60, 100, 160), np.full((2, 100), 1.0, np.float32))
    db = 20 * np.log10(stitch([left, right], 160, FLOOR).values)
    np.testing.assert_allclose(db[:, :60], -40, atol=1e-4)
    np.testing.assert_allclose(db[:, 100:], 0, atol=1e-4)
    np.testing.assert_allclose(np.diff(db[0, 60:100]), 1, atol=1e-4)  # 40 dB over 40 frames
    assert db[0, 60] == pytest.approx(-39.5, abs=1e-3)
    assert db[0, 99] == pytest.approx(-0.5, abs=1e-3)


def test_silence_counts_as_the_floor_only_against_sound():
    silent, loud = np.zeros((1, 10), np.float32), np.ones((1, 10), np.float32)
    quiet_half = [(Tile("a", "u", 0, 10, 15), silent), (Tile("b", "u", 5, 10, 15), loud)]
    joined = stitch(quiet_half, 15, FLOOR).values[0]
    assert (joined[:5] == 0).all()
    np.testing.assert_allclose(
        joined[5:10], FLOOR ** (1 - np.array([0.1, 0.3, 0.5, 0.7, 0.9])), rtol=1e-4
    )
    both = [(Tile("a", "u", 0, 10, 15), silent), (Tile("b", "u", 5, 10, 15), silent)]
    assert (stitch(both, 15, FLOOR).values == 0).all()


def test_a_missing_tile_is_silence_or_the_neighbours(sound):
    pieces = pieces_of(sound, 64, 20)
    del pieces[2]  # frames 88 to 152; 108 to 132 belong to it alone
    joined = stitch(pieces, 500, floor=1e-9)
    gap = np.zeros(500, bool)
    gap[108:132] = True
    np.testing.assert_array_equal(joined.covered, ~gap)
    assert (joined.values[:, gap] == 0).all()
    np.testing.assert_allclose(joined.values[:, ~gap], sound[:, ~gap], rtol=1e-4)
    np.testing.assert_array_equal(joined.values[:, 88:108], sound[:, 88:108])


def test_foreign_tiles_are_refused():
    tile = Tile("t", "u", 0, 10, 20)
    good = (tile, np.ones((4, 16), np.float32))
    with pytest.raises(BadInput, match="no tiles"):
        stitch([], 20, FLOOR)
    with pytest.raises(BadInput, match="ends at frame 10"):
        stitch([good], 9, FLOOR)
    for shape in ((4, 9), (4,), (5, 10)):
        other = (Tile("o", "u", 5, 10, 20), np.ones(shape, np.float32))
        with pytest.raises(BadInput, match=r"tile o has shape .*4 bins and at least 10 frames"):
            stitch([good, other], 20, FLOOR)


def test_a_hundred_tiles_stitch_at_once():
    pieces = pieces_of(np.ones((256, 99 * 192 + 256), np.float32), 256, 64)
    assert len(pieces) == 100
    best_s = 10.0
    for _ in range(5):
        start = time.perf_counter()
        stitch(pieces, 99 * 192 + 256, FLOOR)
        best_s = min(best_s, time.perf_counter() - start)
    assert best_s < 0.1
