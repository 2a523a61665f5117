"""Codecs: each inverts its own encoding within its stated resolution."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.refusals import refused
from vocoder.config import load, options
from vocoder.decibels import SILENCE_DB, to_linear
from vocoder.image.codec.base import channel_spread, pixel_mode
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.palette import Colormap, Hue, PathCodec
from vocoder.image.codec.registry import CODECS, codec_from_dict
from vocoder.image.codec.scalar import Float32, Gray8, Gray16, Rgb24, RgbSum
from vocoder.image.codec.seed import SeedJpeg, SeedTiff

RANGE: dict[str, Any] = {"db_min": -100.0, "db_max": 0.0}
OURS = [
    Gray8(**RANGE),
    Gray16(**RANGE),
    Float32(**RANGE),
    RgbSum(**RANGE),
    Rgb24(**RANGE),
    Hue(**RANGE),
    Colormap(**RANGE, cmap="viridis"),
]
ALL = [*OURS, SeedTiff(), SeedJpeg(median_db=-60.0)]


def by_name(codec):
    return codec.name


# Decibels are float32, whose spacing at 100 dB is 7.6e-6 dB.
ROUNDING_DB = 8e-6


@pytest.mark.parametrize("codec", OURS, ids=by_name)
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_round_trip_stays_within_half_a_level(codec, power, decibels, mel256):
    spec = replace(mel256, power=power)
    decoded = codec.decode(codec.encode(decibels, spec), spec).decibels
    assert decoded.dtype == np.float32
    inside = decibels > codec.db_min + codec.resolution_db()
    error = np.abs(decoded - decibels)[inside]
    assert error.max() <= codec.resolution_db() / 2 + ROUNDING_DB
    if codec.resolution_db() > ROUNDING_DB:
        assert error.max() > codec.resolution_db() / 20, "finer than it says"
    linear = to_linear(torch.from_numpy(decoded), spec).numpy()
    assert (linear[decibels < codec.db_min] == 0).all()


@pytest.mark.parametrize("codec", OURS, ids=by_name)
def test_decoding_what_was_decoded_changes_nothing(codec, decibels, mel256):
    pixels = codec.encode(decibels, mel256)
    again = codec.encode(codec.decode(pixels, mel256).decibels, mel256)
    if codec.name == "rgb24":  # its step of 6e-6 dB is finer than float32 at 100 dB: a level off
        levels = [one.astype(np.int64) @ (1 << 16, 1 << 8, 1) for one in (pixels, again)]
        assert np.abs(levels[0] - levels[1]).max() <= 1
    else:
        np.testing.assert_array_equal(again, pixels)


@pytest.mark.parametrize("codec", OURS, ids=by_name)
def test_silence_is_exact_and_the_top_band_is_row_0(codec, mel256):
    given = np.full((256, 5), SILENCE_DB, np.float32)
    given[255, 2] = 0
    given[0, 3] = 20  # beyond the range: clipped
    pixels = codec.encode(given, mel256)
    ink = pixels.astype(float).reshape(256, 5, -1).sum(axis=2)
    assert set(zip(*np.nonzero(ink - ink[128, 0]), strict=True)) == {(0, 2), (255, 3)}
    decoded = codec.decode(pixels, mel256).decibels
    assert np.count_nonzero(decoded > SILENCE_DB) == 2
    np.testing.assert_allclose([decoded[255, 2], decoded[0, 3]], 0, atol=1e-4)


def test_resolution_is_range_over_levels():
    steps = {codec.name: codec.resolution_db() for codec in OURS}
    assert steps["gray8"] == 100 / 255
    assert steps["gray16"] == 100 / 65535
    assert steps["rgb_sum"] == 100 / 765
    assert steps["rgb24"] == 100 / 16777215
    assert steps["hue"] == 100 / 1785
    assert steps["float32"] == 2.0**-17


def test_rgb_sum_spreads_one_value_over_three_channels(mel256):
    codec = RgbSum(**RANGE)
    level = np.arange(766)
    db = -100 + level * codec.resolution_db()
    given = np.tile(db, (256, 1)).astype(np.float32)
    given[:, 0] = SILENCE_DB
    pixels = codec.encode(given, mel256)[0].astype(int)
    np.testing.assert_array_equal(pixels.sum(axis=1), level)
    assert np.ptp(pixels, axis=1).max() == 1
    assert (np.diff(pixels, axis=0) >= 0).all()


def test_rgb24_has_its_high_byte_in_red(mel256):
    given = np.full((256, 1), -50, np.float32)
    red, green, blue = Rgb24(**RANGE).encode(given, mel256)[0, 0].astype(int)
    assert abs((red << 16) + (green << 8) + blue - (2**24 - 1) / 2) < 2


def test_gray8_averages_three_channels_and_keeps_fractions(mel256):
    codec = Gray8(**RANGE)
    pixels = np.full((256, 2, 3), (100, 101, 103), np.uint8)
    whole = np.full((256, 2), 304 / 3, np.float32)
    expected = -100 + 304 / 3 * 100 / 255
    for given in (pixels, pixels.astype(np.float32), whole):
        db = codec.decode(given, mel256).decibels
        np.testing.assert_allclose(db, expected, atol=1e-5)


@pytest.mark.parametrize(
    "codec",
    [codec for codec in OURS if codec.mode in ("L", "RGB") and not codec.exact],
    ids=by_name,
)
def test_dequantised_pixels_are_not_rounded(codec, decibels, mel256):
    pixels = codec.encode(decibels, mel256)
    shifted = np.where(pixels < 255, pixels + np.float32(0.5), pixels).astype(np.float32)
    assert (codec.decode(shifted, mel256).decibels != codec.decode(pixels, mel256).decibels).any()


def test_channel_spread():
    pixels = np.array([[[10, 12, 9], [255, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(channel_spread(pixels), [[3, 255]])
    np.testing.assert_array_equal(channel_spread(pixels[..., 0]), [[0, 0]])


EIGHT = np.zeros((256, 4), np.uint8)
COLOUR = np.zeros((256, 4, 3), np.uint8)
SIXTEEN = np.zeros((256, 4), np.uint16)
REAL = np.full((256, 4), -20, np.float32)


@pytest.mark.parametrize(
    ("codec", "pixels", "key"),
    [
        (Hue(**RANGE), EIGHT, "image.mode"),
        (RgbSum(**RANGE), EIGHT, "image.mode"),
        (Gray8(**RANGE), SIXTEEN, "image.mode"),
        (Gray8(**RANGE), REAL, "image.range"),
        (Gray8(**RANGE), np.full((256, 4), np.nan, np.float32), "image.range"),
        (Gray16(**RANGE), EIGHT, "image.mode"),
        (Gray16(**RANGE), COLOUR, "image.mode"),
        (Float32(**RANGE), COLOUR, "image.mode"),
        (Rgb24(**RANGE), COLOUR.astype(np.float32), "image.mode"),
        (Gray8(**RANGE), EIGHT[:200], "image.size"),
        (Gray8(**RANGE), np.zeros((256, 4, 4), np.uint8), "pixels.shape"),
        (Gray8(**RANGE), np.zeros((256, 4), np.int32), "pixels.shape"),
        (Gray8(**RANGE), np.zeros((256, 0), np.uint8), "pixels.shape"),
    ],
)
def test_foreign_pixels_are_refused(codec, pixels, key, mel256):
    with refused(key):
        codec.decode(pixels, mel256)


@pytest.mark.parametrize("codec", [Gray8(**RANGE), Foreign()], ids=by_name)
def test_transposed_and_resized_images_get_a_remedy(codec, mel256):
    for shape, transposed in (((100, 256), True), ((512, 512), False)):
        with refused("image.size") as caught:
            codec.decode(np.zeros(shape, np.uint8), mel256)
        assert ("codec.transposed=true" in str(caught.value)) == transposed
        assert len(str(caught.value)) < 160


@pytest.mark.parametrize(
    ("bad", "key"),
    [
        (np.zeros((255, 4), np.float32), "spectrogram.shape"),
        (np.zeros((256, 0), np.float32), "spectrogram.shape"),
        (np.full((256, 4), np.nan, np.float32), "spectrogram.finite"),
        (np.full((256, 4), np.inf, np.float32), "spectrogram.finite"),
    ],
)
def test_values_that_are_no_spectrogram_are_refused(bad, key, mel256):
    with refused(key):
        Gray8(**RANGE).encode(bad, mel256)


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ({"db_min": 0.0}, "db_min"),
        ({"db_max": -100.0}, "db_min"),
        ({"db_min": float("nan")}, "db_min"),
        ({"db_max": "0"}, "db_max"),
    ],
)
def test_impossible_ranges_are_refused(bad, fault):
    with refused(f"codec.{fault}.range"):
        Gray8(**(RANGE | bad))


def test_pixel_modes():
    assert [pixel_mode(one) for one in (EIGHT, COLOUR, SIXTEEN, REAL)] == ["L", "RGB", "I;16", "F"]
    with refused("pixels.shape"):
        pixel_mode(EIGHT.astype(bool))


class TestAsPlainValues:
    @pytest.mark.parametrize("codec", ALL, ids=by_name)
    def test_round_trip(self, codec):
        assert codec_from_dict(codec.to_dict(), "here") == codec

    def test_how_to_read_is_no_part_of_the_layout(self):
        one, other = (Hue(**RANGE, decoder=decoder) for decoder in ("nearest", "neighbours"))
        assert one == other
        assert "decoder" not in one.to_dict()

    @pytest.mark.parametrize(
        ("values", "key"),
        [
            ({"name": "gray9"}, "codec.unknown"),
            ({"name": ["gray8"]}, "codec.unknown"),
            ({}, "codec.unknown"),
            ([], "codec.type"),
            ({"name": "gray8", "db_min": -90.0}, "codec.field.missing"),
            ({"name": "gray8", **RANGE, "bits": 8}, "codec.field.unknown"),
            ({"name": "gray8", "db_min": 0.0, "db_max": -1.0}, "codec.db_min.range"),
            ({"name": "colormap", **RANGE, "cmap": "virids"}, "codec.cmap.unknown"),
            ({"name": "colormap", **RANGE, "cmap": ["viridis"]}, "codec.cmap.type"),
            ({"name": "foreign", "hz_max": "8 kHz"}, "codec.hz_max.type"),
            ({"name": "seed_jpeg", "median_db": "x"}, "codec.median_db.type"),
        ],
    )
    def test_mistakes_name_the_source(self, values, key):
        with refused(key) as caught:
            codec_from_dict(values, "a.png")
        assert str(caught.value).startswith("a.png: ")


def test_every_codec_has_an_option_with_its_own_defaults():
    assert CODECS.keys() <= set(options("codec"))
    assert load("codec", "foreign") == Foreign()
    for name in options("codec"):
        codec = load("codec", name)
        assert type(codec) is CODECS.get(name, Foreign)
        if isinstance(codec, PathCodec):
            assert codec.decoder == Hue(**RANGE).decoder
        if isinstance(codec, SeedJpeg):
            assert codec.margin_db == SeedJpeg(median_db=0.0).margin_db
