"""Cutting into tiles and stitching."""

import time

import numpy as np
import pytest

from tests.refusals import refused
from vocoder.decibels import SILENCE_DB
from vocoder.image.manifest import Tile
from vocoder.image.tiles import cut, stitch

FLOOR_DB = -60.0


def pieces_of(decibels, tile_frames, overlap_frames):
    """Tiles with the right decibels, filled up with silence to full width."""
    total = decibels.shape[1]
    pieces = []
    for k, (start, frames) in enumerate(cut(total, tile_frames, overlap_frames)):
        tile = Tile(f"u__{k:02d}", "u", start, frames, total)
        part = np.full((decibels.shape[0], tile_frames), SILENCE_DB, np.float32)
        part[:, :frames] = decibels[:, start : start + frames]
        pieces.append((tile, part))
    return pieces


@pytest.fixture
def sound():
    decibels = np.random.default_rng(1).normal(-40, 17, (16, 500)).astype(np.float32)
    decibels[:, 200:300:7] = SILENCE_DB
    decibels[3] = SILENCE_DB
    return decibels


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
    for frames in (0, -1):
        with refused("tile.frames.range"):
            cut(1000, frames, 0)
    for overlap in (256, -1, 300):
        with refused("tile.overlap_frames.range"):
            cut(1000, 256, overlap)


@pytest.mark.parametrize("overlap", [0, 1, 20, 45, 60])
def test_stitching_gives_back_what_was_cut(sound, overlap):
    pieces = pieces_of(sound, 64, overlap)
    joined = stitch(pieces, 16, 500, floor_db=-180.0)
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, sound, atol=1e-3)
    silent = sound == SILENCE_DB
    assert ((joined == SILENCE_DB) == silent).all(), "silence stays exact"


def test_what_one_tile_says_alone_is_untouched(sound):
    joined = stitch(pieces_of(sound, 64, 20), 16, 500, FLOOR_DB)
    np.testing.assert_array_equal(joined[:, :44], sound[:, :44])
    np.testing.assert_array_equal(joined[:, 64:88], sound[:, 64:88])


def test_overlaps_fade_linearly_in_decibels():
    left = (Tile("a", "u", 0, 100, 160), np.full((2, 100), -40, np.float32))
    right = (Tile("b", "u", 60, 100, 160), np.zeros((2, 100), np.float32))
    db = stitch([left, right], 2, 160, FLOOR_DB)
    np.testing.assert_allclose(db[:, :60], -40, atol=1e-4)
    np.testing.assert_allclose(db[:, 100:], 0, atol=1e-4)
    np.testing.assert_allclose(np.diff(db[0, 60:100]), 1, atol=1e-4)  # 40 dB over 40 frames
    assert db[0, 60] == pytest.approx(-39.5, abs=1e-3)
    assert db[0, 99] == pytest.approx(-0.5, abs=1e-3)


def test_silence_counts_as_the_floor_only_against_sound():
    silent, loud = (np.full((1, 10), db, np.float32) for db in (SILENCE_DB, 0))
    quiet_half = [(Tile("a", "u", 0, 10, 15), silent), (Tile("b", "u", 5, 10, 15), loud)]
    joined = stitch(quiet_half, 1, 15, FLOOR_DB)[0]
    assert (joined[:5] == SILENCE_DB).all()
    np.testing.assert_allclose(joined[5:10], [-54, -42, -30, -18, -6], atol=1e-3)
    both = [(Tile("a", "u", 0, 10, 15), silent), (Tile("b", "u", 5, 10, 15), silent)]
    assert (stitch(both, 1, 15, FLOOR_DB) == SILENCE_DB).all()


def test_a_missing_tile_is_silence_or_the_neighbours(sound):
    pieces = pieces_of(sound, 64, 20)
    del pieces[2]  # frames 88 to 152; 108 to 132 belong to it alone
    joined = stitch(pieces, 16, 500, floor_db=-180.0)
    gap = np.zeros(500, bool)
    gap[108:132] = True
    assert (joined[:, gap] == SILENCE_DB).all()
    np.testing.assert_allclose(joined[:, ~gap], sound[:, ~gap], atol=1e-3)
    np.testing.assert_array_equal(joined[:, 88:108], sound[:, 88:108])


def test_a_hundred_tiles_stitch_at_once():
    pieces = pieces_of(np.zeros((256, 99 * 192 + 256), np.float32), 256, 64)
    assert len(pieces) == 100
    best_s = 10.0
    for _ in range(5):
        start = time.perf_counter()
        stitch(pieces, 256, 99 * 192 + 256, FLOOR_DB)
        best_s = min(best_s, time.perf_counter() - start)
    assert best_s < 0.1
