"""Images made with librosa's own functions open as what they were."""

import librosa
import numpy as np
import pytest
import torch
from PIL import Image

from tests.refusals import refused
from vocoder.config import load
from vocoder.decibels import SILENCE_DB, to_decibels, to_linear
from vocoder.image.codec.seed import AMIN_DB, TOP_DB, SeedJpeg, SeedTiff
from vocoder.image.file import decode_image, read_image


@pytest.fixture(scope="module")
def spec():
    return load("spec", "seed")


@pytest.fixture(scope="module")
def magnitude(speech):
    return np.abs(librosa.stft(speech))


@pytest.fixture(scope="module")
def noisy(speech):
    """With a room's noise, as most recordings have: the median lies within 80 dB of the top."""
    noise = np.random.default_rng(0).standard_normal(len(speech)).astype(np.float32)
    return np.abs(librosa.stft(speech + 1e-3 * noise))


def decibels_of(magnitude, spec):
    return to_decibels(torch.from_numpy(magnitude), spec).numpy()


def median_db_of(magnitude):
    """What ``ref=np.median`` was, in dB above 1."""
    return float(20 * np.log10(np.median(magnitude)))


def linear(decoded, spec):
    return to_linear(torch.from_numpy(decoded.decibels), spec).numpy()


def test_floors_are_librosas_defaults():
    quiet = librosa.amplitude_to_db(np.array([1e-9, 1e-6]), top_db=None)
    np.testing.assert_allclose(quiet, AMIN_DB)
    assert np.ptp(librosa.amplitude_to_db(np.array([1.0, 1e-9]))) == TOP_DB


class TestTiff:
    def test_opens_what_librosa_wrote(self, magnitude, spec, tmp_path):
        db = librosa.amplitude_to_db(magnitude)
        Image.fromarray(db).save(tmp_path / "old.tif")
        image = read_image(tmp_path / "old.tif")
        decoded = linear(decode_image(image, SeedTiff(), spec), spec)
        floor = db <= db.max() - TOP_DB
        assert 0.3 < floor.mean() < 0.9
        assert (decoded[floor] == 0).all()
        np.testing.assert_allclose(decoded[~floor], librosa.db_to_amplitude(db)[~floor], rtol=1e-5)

    def test_writes_what_librosa_wrote(self, magnitude, spec):
        pixels = SeedTiff().encode(decibels_of(magnitude, spec), spec)
        np.testing.assert_allclose(pixels, librosa.amplitude_to_db(magnitude), atol=1e-4)
        assert pixels.dtype == np.float32

    def test_a_part_of_the_image_has_the_same_floor(self, magnitude, spec):
        db = librosa.amplitude_to_db(magnitude)
        part = db[:, db.max(axis=0) < db.max()]
        decoded = SeedTiff().decode(part, spec).decibels
        assert (decoded[part <= db.max() - TOP_DB] == SILENCE_DB).all()
        assert (decoded[part > db.max() - TOP_DB] > SILENCE_DB).all()

    def test_digital_silence(self, spec):
        db = librosa.amplitude_to_db(np.zeros((1025, 3), np.float32))
        assert (SeedTiff().decode(db, spec).decibels == SILENCE_DB).all()

    def test_range_is_no_choice(self):
        assert SeedTiff().to_dict() == {"name": "seed_tiff"}
        with pytest.raises(TypeError):
            SeedTiff(db_min=-80.0)  # type: ignore[call-arg]


class TestJpeg:
    @pytest.mark.parametrize("recording", ["magnitude", "noisy"])
    def test_writes_what_pillow_wrote(self, recording, spec, request):
        given = request.getfixturevalue(recording)
        db = librosa.amplitude_to_db(given, ref=np.median)
        old = np.asarray(Image.fromarray(db).convert("L"))
        decibels = decibels_of(given, spec)
        pixels = SeedJpeg(median_db=median_db_of(given)).encode(decibels, spec)
        # A value that is almost whole may fall on either side of its truncation.
        assert (pixels != old).mean() < 1e-4
        assert np.abs(pixels.astype(int) - old).max() <= 1

    @pytest.mark.parametrize("recording", ["magnitude", "noisy"])
    def test_decodes_to_the_middle_of_each_decibel(self, recording, spec, request):
        given = request.getfixturevalue(recording)
        decibels = decibels_of(given, spec)
        codec = SeedJpeg(median_db=median_db_of(given), margin_db=0.0)
        pixels = codec.encode(decibels, spec)
        decoded = linear(codec.decode(pixels, spec), spec)
        floor = pixels <= max(0, int(pixels.max()) - TOP_DB)
        assert 0.4 < floor.mean() < 0.9
        assert (decoded[floor] == 0).all()
        error_db = librosa.amplitude_to_db(decoded[~floor], top_db=None) - librosa.amplitude_to_db(
            given[~floor], top_db=None
        )
        assert np.abs(error_db).max() < codec.resolution_db() / 2 + 1e-4
        assert abs(error_db.mean()) < 0.02, "the truncation's bias is still there"

    def test_margin_silences_what_jpeg_smeared(self, noisy, spec, tmp_path):
        db = librosa.amplitude_to_db(noisy, ref=np.median)
        truth = Image.fromarray(db).convert("L")
        truth.save(tmp_path / "old.jpg")
        image = read_image(tmp_path / "old.jpg")
        assert image.lossy
        floor = np.asarray(truth) == 0
        median_db = median_db_of(noisy)
        heard = [
            (decode_image(image, codec, spec).decibels[floor] > SILENCE_DB).mean()
            for codec in (
                SeedJpeg(median_db=median_db, margin_db=0.0),
                SeedJpeg(median_db=median_db),
            )
        ]
        assert heard[0] > 0.2
        assert heard[1] < 0.05

    def test_level_is_the_parameter(self, noisy, spec):
        pixels = SeedJpeg(median_db=-60.0).encode(decibels_of(noisy, spec), spec)
        quiet, loud = (
            linear(SeedJpeg(median_db=median_db).decode(pixels, spec), spec)
            for median_db in (-60, -40)
        )
        np.testing.assert_allclose(loud, 10 * quiet, rtol=1e-5)

    @pytest.mark.parametrize("level_db", [-50, -20])
    def test_speech_of_an_unknown_level_gets_a_usual_one(self, speech, spec, level_db):
        spectrum = librosa.stft(10 ** (level_db / 20) * speech)
        given = decibels_of(np.abs(spectrum), spec)
        pixels = SeedJpeg(median_db=median_db_of(np.abs(spectrum))).encode(given, spec)
        decoded = linear(SeedJpeg(median_db=None).decode(pixels, spec), spec)
        heard = librosa.istft(decoded * np.exp(1j * np.angle(spectrum)), length=len(speech))
        squares = librosa.feature.rms(y=heard, frame_length=1024)[0] ** 2
        level = 10 * np.log10(squares[squares > 1e-4 * squares.max()].mean())
        assert level == pytest.approx(-26, abs=0.5)
        with refused("codec.median_db.missing"):
            SeedJpeg(median_db=None).encode(given, spec)

    def test_pillow_truncates_and_clips(self):
        given = np.array([[-5.0, 0.0, 0.9, 79.9, 254.99, 255.0, 300.0]], np.float32)
        old = np.asarray(Image.fromarray(given).convert("L"))
        np.testing.assert_array_equal(old, [[0, 0, 0, 79, 254, 255, 255]])

    @pytest.mark.parametrize(
        ("fields", "key"),
        [
            ({"median_db": float("nan")}, "codec.median_db.range"),
            ({"median_db": -60.0, "margin_db": -1.0}, "codec.margin_db.range"),
        ],
    )
    def test_bad_fields(self, fields, key):
        with refused(key):
            SeedJpeg(**fields)
