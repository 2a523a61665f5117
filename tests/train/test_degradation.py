"""What simulated degradations do to a spectrogram."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.refusals import refused
from tests.train.tiny import SPEC, decibels
from vocoder.config import load
from vocoder.image.file import decode_image, read_image, write_image
from vocoder.model.features import FLOOR_DB
from vocoder.train.degradation import (
    BandErrors,
    Blur,
    Chain,
    Checkerboard,
    Choice,
    Clean,
    LostDetail,
    Noise,
    Resize,
    Sometimes,
    Stored,
    Truncation,
)
from vocoder.train.examples import silenced

GRAY = load("codec", "gray8", db_min=-100.0, db_max=0.0)
LOST = {"max_share": 0.7, "max_mix": 0.9, "envelope_bins": 4.0, "envelope_frames": 2.0}
DEGRADATIONS = {
    "noise": Noise(max_db=6.0, max_grain=1.5),
    "blur": Blur(max_bins=2.0, max_frames=2.0),
    "checkerboard": Checkerboard(max_db=3.0),
    "resize": Resize(min_scale=0.8, max_scale=1.2),
    "truncation": Truncation(step_db=0.31),
    "bands": BandErrors(max_db=5.0, bins=12.0, frames=12.0),
    "detail": LostDetail(**LOST, max_shift=24),
    "png": Stored(codec=GRAY, jpeg_quality_min=None, jpeg_quality_max=None),
    "jpeg": Stored(codec=GRAY, jpeg_quality_min=40, jpeg_quality_max=95),
    "conf generated": load("degradation", "generated"),
    "conf stored": load("degradation", "stored"),
    "conf repaired": load("degradation", "repaired"),
}


@pytest.fixture(scope="module")
def picture(speech):
    return decibels(torch.from_numpy(speech[:25_000])[None])[0].numpy()


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degradation_draws_by_its_seed_alone_and_leaves_its_input(name, picture):
    degradation, before = DEGRADATIONS[name], picture.copy()
    torch_state = torch.get_rng_state()
    results = [degradation(picture, SPEC, rng(seed)) for seed in range(6)]
    again = [degradation(picture, SPEC, rng(seed)) for seed in range(6)]
    for result, same in zip(results, again, strict=True):
        assert result.shape == picture.shape and result.dtype == np.float32
        assert np.isfinite(result).all() and result.min() >= FLOOR_DB - 0.32
        assert np.array_equal(result, same)
    assert np.array_equal(picture, before)
    assert torch.equal(torch.get_rng_state(), torch_state)
    errors = [float(np.abs(result - picture).mean()) for result in results]
    assert 0.05 < np.mean(errors) < 12
    if name not in ("truncation", "png"):  # which draw nothing
        assert len({round(error, 6) for error in errors}) >= 3


@pytest.mark.parametrize("shape", [(256, 1), (256, 5), (80, 33), (255, 40)])
def test_any_shape_will_do(shape):
    small = rng().uniform(-80, -10, shape).astype(np.float32)
    for name, degradation in DEGRADATIONS.items():
        if "conf" not in name and name not in ("png", "jpeg"):
            assert degradation(small, SPEC, rng()).shape == shape, name


def test_clean_changes_nothing(picture):
    assert np.array_equal(load("degradation", "clean")(picture, SPEC, rng()), picture)


def test_noise_has_the_deviation_and_the_grain_that_were_drawn():
    flat = np.full((256, 256), -40.0, np.float32)
    sizes = [(Noise(max_db=6.0, max_grain=0.0)(flat, SPEC, rng(i)) - flat).std() for i in range(40)]
    assert 0 < min(sizes) < 1 and 5 < max(sizes) < 6.1
    assert np.mean(sizes) == pytest.approx(3, abs=0.8)

    def likeness(max_grain):
        error = Noise(max_db=6.0, max_grain=max_grain)(flat, SPEC, rng(1)) - flat
        return np.corrcoef(error[1:].ravel(), error[:-1].ravel())[0, 1]

    assert abs(likeness(0.0)) < 0.05 and likeness(8.0) > 0.8


def test_blur_keeps_the_mean_and_takes_away_detail(picture):
    inner = picture[:, 20:-20]
    blurred = [
        Blur(max_bins=3.0, max_frames=3.0)(picture, SPEC, rng(i))[:, 20:-20] for i in range(9)
    ]
    for one in blurred:
        assert one.mean() == pytest.approx(inner.mean(), abs=1.5)
    rough = [np.abs(np.diff(one, axis=0)).mean() for one in blurred]
    before = np.abs(np.diff(inner, axis=0)).mean()
    assert min(rough) < 0.6 * before and max(rough) < before
    assert np.array_equal(Blur(max_bins=0.0, max_frames=0.0)(picture, SPEC, rng()), picture)


def test_a_checkerboard_has_a_period_of_two_or_four():
    flat = np.full((256, 256), -40.0, np.float32)
    periods = set()
    for seed in range(8):
        grid = Checkerboard(max_db=3.0)(flat, SPEC, rng(seed)) - flat
        spectrum = np.abs(np.fft.fft2(grid))
        spectrum[:6, :6] = 0
        row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
        near = [min(abs(f - k * 64) for k in range(5)) for f in (row, column)]
        assert max(near) < 12  # multiples of a quarter of the picture's rate, smeared a little
        periods.add((round(row / 64) % 4, round(column / 64) % 4))
    assert len(periods) > 1


def test_resizing_moves_nothing():
    """A soft line stays where it is: no shift by half a pixel."""
    places = np.arange(128)
    row, column = (np.exp(-0.5 * ((places - place) / 4) ** 2) for place in (80, 37))
    lines = (-80 + 60 * np.maximum(row[:, None], column[None])).astype(np.float32)
    for seed in range(5):
        there = Resize(min_scale=0.5, max_scale=1.5)(lines, SPEC, rng(seed)) + 80
        rows, columns = there[:, 60:].sum(1), there[100:].sum(0)
        assert (rows * places).sum() / rows.sum() == pytest.approx(80, abs=0.1)
        assert (columns * places).sum() / columns.sum() == pytest.approx(37, abs=0.1)


def test_truncation_is_too_low_by_half_a_level_and_never_too_high(picture):
    above = picture > FLOOR_DB + 1
    error = (Truncation(step_db=0.5)(picture, SPEC, rng()) - picture)[above]
    assert error.min() >= -0.5 - 1e-4 and error.max() <= 1e-4
    assert error.mean() == pytest.approx(-0.25, abs=0.01)


def test_band_errors_are_alike_among_neighbours():
    flat = np.full((256, 256), -40.0, np.float32)
    error = BandErrors(max_db=10.0, bins=12.0, frames=30.0)(flat, SPEC, rng(2)) - flat
    assert np.corrcoef(error[3:].ravel(), error[:-3].ravel())[0, 1] > 0.9
    assert np.corrcoef(error[:, 3:].ravel(), error[:, :-3].ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(error[128:].ravel(), error[:128].ravel())[0, 1]) < 0.7


def test_lost_detail_keeps_the_envelope(picture):
    speech = picture[:160, 32:96]  # elsewhere much lies at the floor
    changes = [LostDetail(**LOST, max_shift=24)(speech, SPEC, rng(i)) - speech for i in range(6)]
    assert max(np.abs(change).mean() for change in changes) > 1
    for change in changes:
        broad = change.reshape(10, 16, 4, 16).mean((1, 3))
        assert np.abs(broad).mean() < 0.35 * np.abs(change).mean() + 0.05
    nothing = LostDetail(**{**LOST, "max_mix": 0.0}, max_shift=24)(picture, SPEC, rng())
    assert np.allclose(nothing, picture, atol=1e-4)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("codec", ["gray8", "colormap"])
def test_storing_is_what_a_file_does(suffix, codec, picture, tmp_path):
    """Against pictures that are written to disk and read again by `vocoder.image`."""
    codec = load("codec", codec)
    quality = None if suffix == ".png" else 60
    degradation = Stored(codec=codec, jpeg_quality_min=quality, jpeg_quality_max=quality)
    shown = degradation(picture, SPEC, rng(5))
    pixels = codec.encode(silenced(picture), SPEC)
    path = tmp_path / f"picture{suffix}"
    if suffix == ".png":
        write_image(path, pixels, codec, None, quality=None, overwrite=False)
    else:  # with the subsampling that was drawn
        draw = rng(5)
        draw.integers(60, 61)
        options = {"subsampling": str(draw.choice(["4:4:4", "4:2:0"]))} if pixels.ndim == 3 else {}
        Image.fromarray(pixels).save(path, quality=60, **options)
    decoded = decode_image(read_image(path), codec, SPEC).decibels
    expected = np.maximum(decoded, FLOOR_DB)
    assert np.abs(shown - expected).max() < 1e-3
    assert 0.02 < np.abs(shown - picture).mean() < 8


def test_a_picture_wider_than_any_jpeg_is_stored_in_parts():
    rng = np.random.default_rng(0)
    wide = rng.uniform(-80, -20, (SPEC.bins, 66_000)).astype(np.float32)
    degradation = Stored(codec=GRAY, jpeg_quality_min=90, jpeg_quality_max=90)
    stored, alone = (
        degradation(x, SPEC, np.random.default_rng(0)) for x in (wide, wide[:, 65_488:])
    )
    assert stored.shape == wide.shape
    assert np.array_equal(stored[:, 65_488:], alone)


def test_a_jpeg_of_lower_quality_is_worse(picture):
    def error(quality):
        degradation = Stored(codec=GRAY, jpeg_quality_min=quality, jpeg_quality_max=quality)
        return np.abs(degradation(picture, SPEC, rng()) - picture).mean()

    png = Stored(codec=GRAY, jpeg_quality_min=None, jpeg_quality_max=None)
    assert np.abs(png(picture, SPEC, rng()) - picture).mean() < GRAY.step_db
    assert error(95) < error(75) < error(40) < error(10)


def test_degradations_are_put_together(picture):
    picture = picture[100:116, :16]
    up = BandErrors(max_db=10.0, bins=4.0, frames=4.0)
    cut = Truncation(step_db=1.0)
    chained = Chain(degradations=[cut, Clean(), cut])(picture, SPEC, rng())
    assert np.array_equal(chained, cut(picture, SPEC, rng()))
    assert not np.array_equal(
        Chain(degradations=[up, cut])(picture, SPEC, rng(1)),
        Chain(degradations=[cut, up])(picture, SPEC, rng(1)),
    )

    def share(degradation):
        return np.mean(
            [np.array_equal(degradation(picture, SPEC, rng(i)), picture) for i in range(200)]
        )

    assert share(Choice(degradations=[Clean(), cut], weights=[3, 1])) == pytest.approx(
        0.75, abs=0.1
    )
    assert share(Sometimes(probability=0.2, degradation=cut)) == pytest.approx(0.8, abs=0.1)
    assert share(Sometimes(probability=0, degradation=cut)) == 1
    assert share(Sometimes(probability=1, degradation=cut)) == 0


def lost_detail(**changes):
    return LostDetail(**{**LOST, "max_shift": 1, **changes})


def stored(codec=GRAY, low=50, high=60):
    return Stored(codec=codec, jpeg_quality_min=low, jpeg_quality_max=high)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Noise(max_db=-1, max_grain=0), "max_db.range"),
        (lambda: Noise(max_db=1, max_grain=99), "max_grain.range"),
        (lambda: Noise(max_db=float("nan"), max_grain=0), "max_db.range"),
        (lambda: Blur(max_bins=21, max_frames=0), "max_bins.range"),
        (lambda: Blur(max_bins=0, max_frames=-0.1), "max_frames.range"),
        (lambda: Checkerboard(max_db=31), "max_db.range"),
        (lambda: Resize(min_scale=0, max_scale=1), "min_scale.range"),
        (lambda: Resize(min_scale=1, max_scale=0.9), "max_scale.range"),
        (lambda: Truncation(step_db=0), "step_db.range"),
        (lambda: BandErrors(max_db=5, bins=-1, frames=1), "bins.range"),
        (lambda: BandErrors(max_db=5, bins=1, frames=1e9), "frames.range"),
        (lambda: lost_detail(max_shift=0), "max_shift.range"),
        (lambda: lost_detail(max_share=2), "max_share.range"),
        (lambda: lost_detail(max_mix=-1), "max_mix.range"),
        (lambda: lost_detail(envelope_bins=0), "envelope_bins.range"),
        (lambda: Sometimes(probability=1.1, degradation=Clean()), "probability.range"),
        (lambda: Choice(degradations=[Clean()], weights=[1, 2]), "weights.range"),
        (lambda: Choice(degradations=[Clean()], weights=[0]), "weights.range"),
        (lambda: Choice(degradations=[], weights=[]), "weights.range"),
        (lambda: stored(high=None), "jpeg_quality.range"),
        (lambda: stored(low=90), "jpeg_quality.range"),
        (lambda: stored(low=0), "jpeg_quality.range"),
        (lambda: stored(load("codec", "gray16")), "codec.conflict"),
        (lambda: stored(load("codec", "rgb24")), "codec.conflict"),
    ],
)
def test_settings_out_of_range_are_named(make, key):
    with refused(f"degradation.{key}"):
        make()


def test_a_repaired_jpeg_is_nearer_to_the_truth_and_a_png_is_as_stored(picture):
    qualities = {"jpeg_quality_min": 60, "jpeg_quality_max": 60}
    as_jpeg = Stored(codec=GRAY, **qualities)(picture, SPEC, rng())
    repaired = load("degradation", "repaired", jpeg_share=1.0, **qualities)(picture, SPEC, rng())
    heard = picture > picture.max() - 60
    error_db = [np.abs(one - picture)[heard].mean() for one in (as_jpeg, repaired)]
    assert error_db[1] < 0.9 * error_db[0]
    png = load("degradation", "repaired", jpeg_share=0.0)(picture, SPEC, rng())
    assert np.array_equal(png, DEGRADATIONS["png"](picture, SPEC, rng()))
