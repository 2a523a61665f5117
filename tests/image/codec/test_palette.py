"""Paths through the colour cube: exact on the path, sensible beside it, and never ambiguous."""

from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import ListedColormap

from tests.refusals import refused
from vocoder.decibels import SILENCE_DB
from vocoder.image.codec.palette import Colormap, Hue

RANGE: dict[str, Any] = {"db_min": -100.0, "db_max": 0.0}
HUE = Hue(**RANGE, decoder="nearest")


def ladder(codec, spec):
    """Every level once, from the floor up, in every row."""
    db = codec.db_min + np.arange(codec.top + 1) * codec.step_db
    decibels = np.tile(db, (spec.bins, 1))
    decibels[:, 0] = SILENCE_DB
    return decibels


def levels_of(codec, colours, spec):
    """Decoded levels, and distances, of a list of colours."""
    row = np.asarray(colours)[None]
    pixels = np.repeat(row, spec.bins, axis=0)
    decoded = codec.decode(pixels, spec)
    return np.maximum((decoded.decibels[0] - codec.db_min) / codec.step_db, 0), decoded.distance[0]


def test_hue_walks_the_edges_of_the_cube(mel256):
    colours = HUE.encode(ladder(HUE, mel256), mel256)[0].astype(int)
    assert len(colours) == 1786 == len(np.unique(colours, axis=0))
    assert (np.abs(np.diff(colours, axis=0)).sum(axis=1) == 1).all()
    corners = ["000", "00F", "0FF", "0F0", "FF0", "F00", "F0F", "FFF"]
    expected = [[255 * (digit == "F") for digit in corner] for corner in corners]
    np.testing.assert_array_equal(colours[::255], expected)


@pytest.mark.parametrize("decoder", ["nearest", "neighbours"])
@pytest.mark.parametrize("cmap", [None, "viridis", "jet", "gray", "turbo", "gist_stern"])
def test_colours_of_the_path_decode_exactly(cmap, decoder, mel256):
    codec = Colormap(**RANGE, cmap=cmap, decoder=decoder) if cmap else Hue(**RANGE, decoder=decoder)
    pixels = codec.encode(ladder(codec, mel256), mel256)
    decoded = codec.decode(pixels, mel256)
    assert np.asarray(decoded.distance).max() < 1e-4
    np.testing.assert_array_equal(codec.encode(decoded.decibels, mel256), pixels)
    expected = np.linspace(-100, 0, codec.top + 1)
    heard = expected > codec.db_min + codec.resolution_db()
    error = np.abs(decoded.decibels[0] - expected)[heard].max()
    assert error < codec.resolution_db() / 2 + 1e-5
    assert cmap in ("jet", "viridis") or error < 1e-4  # those two repeat neighbouring colours


def test_colours_beside_the_path_say_how_far(mel256):
    level, distance = levels_of(
        HUE, np.array([(30, 0, 100), (3, 252, 0), (128, 128, 128)], np.uint8), mel256
    )
    np.testing.assert_allclose(level[:2], [100, 768], atol=0.01)
    np.testing.assert_allclose(distance, [30, 3, np.hypot(127, 127)], atol=0.01)


def test_brute_force_agrees(mel256):
    codec = Colormap(**RANGE, cmap="turbo", decoder="nearest")
    palette = codec.encode(ladder(codec, mel256), mel256)[0].astype(float)
    random = np.random.default_rng(0)
    near = np.clip(palette[random.integers(0, 256, 300)] + random.normal(0, 4, (300, 3)), 0, 255)
    near = near.astype(np.uint8)
    level, distance = levels_of(codec, near, mel256)
    apart = np.linalg.norm(near[:, None] - palette, axis=2)
    assert np.abs(level - apart.argmin(axis=1)).max() <= 1
    assert (distance <= apart.min(axis=1) + 1e-4).all()


def test_between_two_levels_lies_a_level(mel256):
    level, distance = levels_of(HUE, np.array([(0, 0, 100.25), (255, 30.5, 0)], np.float32), mel256)
    np.testing.assert_allclose(level, [100.25, 1275 - 30.5], atol=0.01)
    assert distance.max() < 1e-4


def test_neighbours_fill_in_blended_colours(mel256):
    """A blend of cyan (510) and magenta (1530) reads as 1658, far from what is around it."""
    image = np.full((256, 9, 3), (255, 255, 0), np.uint8)  # level 1020
    image[100, 4] = (128, 128, 255)
    results = {}
    for decoder in ("nearest", "neighbours"):
        codec = Hue(**RANGE, decoder=decoder)
        decoded = codec.decode(image, mel256)
        db = decoded.decibels[255 - 100, 4]
        results[decoder] = (db + 100) / codec.resolution_db()
        far = np.asarray(decoded.distance)
        assert far[255 - 100, 4] > 60
        assert far.astype(bool).sum() == 1
    assert results["nearest"] > 1600
    assert abs(results["neighbours"] - 1020) < 20


def test_neighbours_survive_noise_that_blends_pixels(decibels, mel256):
    """A image with some pixels replaced by the mean of two distant colours."""
    random = np.random.default_rng(0)
    pixels = HUE.encode(decibels, mel256)
    hit = random.random(pixels.shape[:2]) < 0.05
    generated = pixels.copy()
    generated[hit] = (generated[hit].astype(int) + random.permutation(generated[hit])) // 2
    loud = np.clip(decibels, -100, 0)
    rms = {}
    for decoder in ("nearest", "neighbours"):
        decoded = Hue(**RANGE, decoder=decoder).decode(generated, mel256).decibels
        db = np.clip(decoded, -100, 0)
        rms[decoder] = np.sqrt(np.mean((db - loud) ** 2))
    assert rms["neighbours"] < 0.7 * rms["nearest"]


@pytest.mark.parametrize("cmap", ["hsv", "twilight", "flag", "prism", "tab10", "Set1"])
def test_maps_that_cannot_be_decoded_are_refused(cmap):
    with refused("codec.cmap.ambiguous"):
        Colormap(**RANGE, cmap=cmap)


def test_an_unknown_map_is_refused_with_the_nearest():
    with refused("codec.cmap.unknown") as caught:
        Colormap(**RANGE, cmap="virdis")
    assert "viridis" in str(caught.value)


def test_a_map_of_one_colour_is_refused():
    colormaps.register(ListedColormap(["red", "red"], name="only_red"))
    try:
        with refused("codec.cmap.ambiguous"):
            Colormap(**RANGE, cmap="only_red")
    finally:
        colormaps.unregister("only_red")


def test_resolution_counts_levels_that_share_a_colour():
    gray, viridis = (Colormap(**RANGE, cmap=cmap).resolution_db() for cmap in ("gray", "viridis"))
    assert gray == 100 / 255
    assert viridis == 2 * 100 / 255  # two neighbouring colours are equal in 8 bits


def test_trust_is_a_matter_of_reading(mel256):
    """It decides how doubtful a blend is, and is no part of what an image is."""
    image = np.full((256, 9, 3), (255, 255, 0), np.uint8)  # level 1020
    image[100, 4] = (128, 128, 255)  # 1658, if believed
    believed = []
    for steps in (20.0, 60.0, 1e6):
        codec = Hue(**RANGE, trust_steps=steps)
        assert codec == Hue(**RANGE) and codec.to_dict() == Hue(**RANGE).to_dict()
        db = codec.decode(image, mel256).decibels[255 - 100, 4]
        believed.append(codec.levels(np.array([[db]])).item())
    assert believed == sorted(believed)
    np.testing.assert_allclose(believed[::2], [1020, 1658], atol=2)
    for bad in ({"trust_steps": 0}, {"trust_steps": -1.0}, {"trust_steps": "far"}):
        with refused("codec.trust_steps.range"):
            Hue(**RANGE | bad)


def test_unknown_decoders_are_refused():
    with refused("codec.decoder.unknown"):
        Hue(**RANGE, decoder="best")
