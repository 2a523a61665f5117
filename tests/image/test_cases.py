"""Spectrograms as other programs write them, made by the tools' own functions, open as they were.

Every case says in settings what the foreign law is; what is decoded must be what `analyse` says of
the same waveform, but for what the law itself throws away.
"""

from dataclasses import replace
from typing import Any

import librosa
import numpy as np
import pytest
import torch

from tests.image.laws import (
    RANGE,
    SPEC,
    analysed,
    assert_same,
    grey,
    level,
    log_rows,
    opened,
    save,
)
from tests.refusals import refused
from vocoder import load, read_spectrogram
from vocoder.decibels import SILENCE_DB
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.law import interpolate
from vocoder.image.codec.maps import map_colours
from vocoder.image.codec.registry import codec_from_dict
from vocoder.image.file import ImageInfo, decode_image, read_image, write_image
from vocoder.spectrogram import bin_centres_hz


@pytest.fixture(scope="module")
def magnitude(speech):
    return np.abs(librosa.stft(speech, n_fft=1024, hop_length=256))


STEP = 80 / 255 / 2 + 0.01


@pytest.mark.parametrize(
    ("law", "draw"),
    [
        ({}, lambda x: grey(level(x))),
        ({"row_0": "low"}, lambda x: grey(level(x))[::-1]),
        ({"dark_is_loud": True}, lambda x: 255 - grey(level(x))),
        ({"transposed": True}, lambda x: grey(level(x)).T),
        ({"first_bin": 1}, lambda x: grey(level(x[1:]))),
        (
            {"channel": "green"},
            lambda x: np.stack([grey(level(x)) * 0, grey(level(x)), 255 - grey(level(x))], 2),
        ),
        (
            {"crop": [7, 3, -5, 0]},
            lambda x: np.pad(grey(level(x)), ((3, 0), (7, 5)), constant_values=9),
        ),
        ({}, lambda x: np.rint(65535 * np.clip(level(x), 0, 1)).astype(np.uint16)[::-1]),
        ({"cmap": "viridis"}, lambda x: map_colours("viridis")[grey(level(x))]),
        ({"cmap": "gray_r"}, lambda x: 255 - grey(level(x))),
    ],
    ids=[
        "plain",
        "upside_down",
        "dark",
        "time_down",
        "no_dc",
        "channel",
        "crop",
        "16_bit",
        "map",
        "gray_r",
    ],
)
def test_images_by_a_law(law, draw, truth, tmp_path):
    path = save(tmp_path / "a.png", np.ascontiguousarray(draw(truth)))
    found = opened(path, Foreign(**RANGE, **law))
    begin = law.get("first_bin", 0)
    # Of viridis two or three levels share a colour where 8 bits cannot tell them apart.
    assert_same(found[begin:], truth[begin:], 3 * STEP if law.get("cmap") == "viridis" else STEP)
    assert (found[:begin] == SILENCE_DB).all()


class TestZeroDecibels:
    """librosa's ``ref=1``, natural and decimal logarithms, and roots, by their own formulas."""

    def test_above_a_magnitude_of_1(self, magnitude, truth, tmp_path):
        db = librosa.amplitude_to_db(magnitude, ref=1.0, top_db=None)
        path = save(tmp_path / "a.png", grey((db + 60) / 100))
        codec = Foreign(reference="one", db_min=-60.0, db_max=40.0)
        assert_same(opened(path, codec), truth, 0.21, floor_db=-100)

    @pytest.mark.parametrize(("unit", "log"), [("ln", np.log), ("log10", np.log10)])
    @pytest.mark.parametrize("power", [1.0, 2.0])
    def test_logarithms(self, unit, log, power, magnitude, truth, tmp_path):
        values = log(np.maximum(magnitude**power, 1e-8))
        low, high = float(log(1e-8)), float(log(1e6))
        path = save(tmp_path / "a.png", grey((values - low) / (high - low)))
        codec = Foreign(unit=unit, reference="one", min=low, max=high)
        found = opened(path, codec, replace(SPEC, power=power))
        step = 20 / power * 14 / 255 / 2 + 0.01
        assert_same(found, truth, step, floor_db=-105)

    @pytest.mark.parametrize("exponent", [1.0, 0.5, 0.25])
    def test_roots_of_the_loudest(self, exponent, magnitude, truth, tmp_path):
        share = (magnitude / magnitude.max()) ** exponent
        path = save(tmp_path / "a.png", grey(share))
        codec = Foreign(unit="linear", exponent=exponent, reference="max", max_db=-7.0)
        found = opened(path, codec)
        assert found.max() == pytest.approx(-7.0)
        loud = share > 0.2
        moved = truth - truth.max() - 7
        np.testing.assert_allclose(
            found[loud], moved[loud], atol=20 / exponent * np.log10(1 + 0.6 / 51)
        )

    @pytest.mark.parametrize("power", [1.0, 2.0])
    def test_logarithms_of_1_and_more(self, power, magnitude, truth):
        values = np.log1p(magnitude**power).astype(np.float32)
        codec = Foreign(unit="log1p", reference="one")
        found = codec.decode_array(values, replace(SPEC, power=power))
        heard = values > 1e-3
        assert heard.mean() > 0.2
        np.testing.assert_allclose(found[heard], truth[heard], atol=0.02)
        written = replace(codec, max=8.0).decibels_to_fractions(found, replace(SPEC, power=power))
        np.testing.assert_allclose(8 * written, np.minimum(values, 8), atol=2e-4)
        with refused("codec.range"):  # which no image says itself
            codec.decode(grey(values / 8), SPEC)

    def test_what_was_clipped_below_the_loudest_is_silence(self, magnitude, truth):
        db = librosa.amplitude_to_db(magnitude, ref=1.0, top_db=60).astype(np.float32)
        found = Foreign(reference="one", top_db=60.0, db_min=-200.0).decode_array(db, SPEC)
        clipped = truth < truth.max() - 60.02
        assert (found[clipped] == SILENCE_DB).all() and clipped.mean() > 0.2
        heard = truth > truth.max() - 59.98
        np.testing.assert_allclose(found[heard], truth[heard], atol=0.02)


class TestRows:
    def test_a_logarithmic_axis_is_brought_to_bins(self, truth, tmp_path):
        floored = np.maximum(truth, -90)
        path = save(tmp_path / "a.png", grey(level(log_rows(floored))))
        shown = opened(path, Foreign(**RANGE, rows="log", hz_min=50.0))
        assert (shown[:2] == SILENCE_DB).all()
        found = np.maximum(shown, -90)
        dense = slice(3, 80)  # rows are closer than bins up to some 2 kHz
        assert np.sqrt(np.mean((found - floored)[dense] ** 2)) < 1.5
        assert np.sqrt(np.mean((found - floored)[80:] ** 2)) < 5

    @pytest.mark.parametrize("rows", ["stretched", "linear"])
    def test_resized_images(self, rows, truth, tmp_path):
        floored = np.maximum(truth, -90)
        places = (
            (np.arange(900) + 0.5) / 900 * 513 - 0.5
            if rows == "stretched"
            else np.linspace(0, 512, 900)
        )
        path = save(tmp_path / "a.png", grey(level(interpolate(floored, np.clip(places, 0, 512)))))
        found = np.maximum(opened(path, Foreign(**RANGE, rows=rows)), -90)
        assert np.sqrt(np.mean((found - floored) ** 2)) < 1.5

    def test_mel_rows_in_hz_are_brought_to_bands(self, speech, tmp_path):
        spec = load("spec", "mel256")
        truth = np.maximum(analysed(speech, spec), -90)
        hz = np.linspace(0, 11025, 2000)
        centres = bin_centres_hz(spec)
        drawn = np.stack([np.interp(hz, centres, column) for column in truth.T], axis=1)
        path = save(tmp_path / "a.png", grey(level(drawn)))
        found = np.maximum(opened(path, Foreign(**RANGE, rows="linear"), spec), -90)
        assert np.sqrt(np.mean((found - truth)[2:] ** 2)) < 1.5

    def test_the_number_of_rows_is_never_guessed(self, truth, tmp_path):
        path = save(tmp_path / "a.png", grey(level(truth[:480])))
        with refused("image.size"):
            opened(path, Foreign(**RANGE))


@pytest.mark.parametrize("by", ["hop_length", "seconds"])
def test_columns_of_a_fractional_hop(by, speech, truth, tmp_path):
    """12 ms are 264.6 samples: every column analysed at its own, rounded, place."""
    hop = 264.6
    starts = np.rint(np.arange(int(len(speech) / hop)) * hop).astype(int)
    padded = np.pad(speech, 512)
    frames = np.stack([padded[s : s + 1024] for s in starts], axis=1)
    window = np.hanning(1025)[:-1, None]
    db = 20 * np.log10(np.maximum(np.abs(np.fft.rfft(frames * window, axis=0)) / 256, 1e-9))
    path = save(tmp_path / "a.png", grey(level(db)))
    value: Any = hop if by == "hop_length" else hop * len(starts) / 22050
    found = np.maximum(opened(path, Foreign(**RANGE, **{by: value})), -90)
    n = found.shape[1]
    assert 0 <= truth.shape[1] - n <= 2  # the last columns were left out
    error = found - np.maximum(truth[:, :n], -90)
    loud = truth[:, :n] > -50
    assert np.sqrt(np.mean(error[loud] ** 2)) < 4
    late = np.maximum(truth[:, 8:n], -90) - found[:, : n - 8]  # 2 frames off is far worse
    assert np.sqrt(np.mean(late[loud[:, 8:]] ** 2)) > 8


class TestColours:
    @pytest.mark.parametrize(
        ("true", "read"),
        [("viridis", "magma"), ("viridis", "inferno"), ("magma", "inferno"), ("jet", "viridis")],
    )
    def test_another_map_is_refused_by_its_name(self, true, read, truth, tmp_path):
        path = save(tmp_path / "a.png", map_colours(true)[grey(level(truth))])
        with refused("image.colours") as caught:
            opened(path, Foreign(**RANGE, cmap=read))
        assert f"codec.cmap={true}" in str(caught.value)

    def test_colours_read_as_grey_are_refused(self, truth, tmp_path):
        path = save(tmp_path / "a.png", map_colours("magma")[grey(level(truth))])
        for codec in (Foreign(**RANGE), load("codec", "gray8")):
            with refused("image.colours"):
                opened(path, codec)
            doubts: list[str] = []
            assert decode_image(read_image(path), codec, SPEC, doubts).decibels.shape
            assert len(doubts) == 1

    def test_grey_read_by_a_map_is_refused(self, truth, tmp_path):
        path = save(tmp_path / "a.png", grey(level(truth)))
        with refused("image.colours"):
            opened(path, load("codec", "colormap", cmap="viridis"))

    def test_a_photograph_is_refused(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (513, 90, 3)).astype(np.uint8)
        with refused("image.colours"):
            opened(save(tmp_path / "a.png", noise), Foreign(cmap="viridis"))

    @pytest.mark.parametrize("upright", [False, True])
    def test_a_colour_bar_is_a_map(self, upright, truth, tmp_path):
        colours = map_colours("turbo")
        bar = np.repeat(colours[None], 20, axis=0)
        bar[:2] = 0  # a frame
        bar = np.swapaxes(bar, 0, 1)[::-1] if upright else bar
        name = str(save(tmp_path / "bar.png", np.ascontiguousarray(bar)))
        path = save(tmp_path / "a.png", colours[grey(level(truth))])
        assert_same(opened(path, Foreign(**RANGE, cmap=name)), truth, STEP)

    def test_a_missing_bar_is_refused(self, tmp_path):
        with refused("codec.cmap.file"):
            Foreign(cmap=str(tmp_path / "none.png"))


class TestArrays:
    @pytest.mark.parametrize("suffix", [".npy", ".pt"])
    def test_rescaled_decibels(self, suffix, truth, tmp_path):
        values = np.clip(level(truth), 0, 1).astype(np.float32) * 2 - 1
        path = tmp_path / f"a{suffix}"
        if suffix == ".npy":
            np.save(path, values)
        else:
            torch.save(torch.from_numpy(values), path)
        found = read_spectrogram(path, SPEC, Foreign(**RANGE, at_min=-1.0, at_max=1.0))
        assert_same(found.decibels[0].numpy(), truth, 0.01)

    def test_mean_and_deviation(self, magnitude, truth):
        logs = np.log(np.maximum(magnitude, 1e-5))
        mean, deviation = float(logs.mean()), float(logs.std())
        codec = Foreign(
            unit="ln", reference="one", mean=mean, deviation=deviation, min=float(np.log(1e-5))
        )
        found = codec.decode_array(((logs - mean) / deviation).astype(np.float32), SPEC)
        assert_same(found, truth, 0.01, floor_db=-100)

    def test_frames_first(self, magnitude, truth):
        codec = Foreign(unit="linear", reference="one", transposed=True)
        assert_same(codec.decode_array(magnitude.T, SPEC), truth, 0.02, floor_db=-100)

    def test_logarithms_are_no_magnitudes(self, magnitude):
        with refused("array.range"):
            Foreign(unit="linear").decode_array(np.log(magnitude + 1e-5), SPEC)

    def test_unpickling_runs_nothing(self, tmp_path):
        torch.save({"weights": torch.zeros(3)}, tmp_path / "a.pt")
        with refused("array.archive"):
            read_spectrogram(tmp_path / "a.pt", SPEC, Foreign())


def test_a_law_travels_in_an_image(truth, tmp_path):
    codec = Foreign(unit="ln", reference="one", min=-12.0, max=7.0, row_0="low", dark_is_loud=True)
    path = tmp_path / "a.png"
    pixels = codec.encode(truth, SPEC)
    write_image(path, pixels, codec, ImageInfo(SPEC, codec))
    assert read_image(path).info == ImageInfo(SPEC, codec)
    np.testing.assert_array_equal(codec.encode(codec.decode(pixels, SPEC).decibels, SPEC), pixels)
    assert codec_from_dict(codec.to_dict(), "test") == codec
    assert set(codec.to_dict()) == {
        "name",
        "unit",
        "reference",
        "min",
        "max",
        "row_0",
        "dark_is_loud",
    }
    with refused("codec.readonly"):
        Foreign(rows="log", hz_min=50.0).encode(truth, SPEC)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"unit": "bel"}, "unit"),
        ({"reference": "median"}, "reference"),
        ({"exponent": 0.0}, "exponent"),
        ({"db_min": 0.0, "db_max": -80.0}, "db_min"),
        ({"min": 3.0}, "min"),
        ({"at_min": 0.0}, "at_min"),
        ({"crop": [1, 2]}, "crop"),
        ({"rows": "log"}, "hz_min"),
        ({"rows": "linear", "first_bin": 1}, "first_bin"),
        ({"hop_length": 3.0, "seconds": 1.0}, "seconds"),
        ({"channel": "cyan"}, "channel"),
        ({"cmap": "viridis", "channel": "red"}, "channel"),
    ],
)
def test_settings_that_cannot_be(fields, fault):
    with refused(f"codec.{fault}"):
        Foreign(**fields)


def test_a_logarithm_needs_its_range(truth):
    with refused("codec.range"):
        Foreign(unit="ln").decode(grey(level(truth)), SPEC)
