"""Laws that have no preset, made as their programs make them, are named for what they are."""

from dataclasses import replace

import librosa
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tests.image.laws import SPEC, grey, save
from vocoder.cli.main import run
from vocoder.identify.arrays import array_ranges
from vocoder.identify.identify import identify, other_lengths
from vocoder.identify.look import look_at_numbers
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.maps import map_colours


@pytest.fixture(scope="module")
def magnitude(speech):
    return np.abs(librosa.stft(speech, n_fft=1024, hop_length=256))


def resampled(speech, rate):
    return librosa.resample(speech, orig_sr=22050, target_sr=rate)


def law_of(reading):
    assert isinstance(reading.codec, Foreign)
    return reading.codec


def lengths(found):
    return [found[0].seconds, *(one.seconds for one in other_lengths(found))]


def test_an_image_of_16_bits_is_read_by_every_reading(magnitude, tmp_path):
    share = np.clip((20 * np.log10(np.maximum(magnitude, 1e-5)) + 100) / 150, 0, 1)
    Image.fromarray(np.rint(65535 * share).astype(np.uint16)[::-1].copy()).save(tmp_path / "a.png")
    for index, reading in enumerate(identify(tmp_path / "a.png")):
        output = f"output={tmp_path / str(index)}"
        assert run(["decode", f"input={tmp_path / 'a.png'}", *reading.words, output]) == 0


def test_arrays_of_logarithms_of_1_and_more(speech, tmp_path):
    mel = librosa.feature.melspectrogram(y=speech, n_fft=1024, hop_length=256)
    np.save(tmp_path / "a.npy", np.log1p(mel).astype(np.float32))
    found = identify(tmp_path / "a.npy")[0]
    assert law_of(found).unit == "log1p" and found.spec.power == 2
    assert found.seconds == pytest.approx(len(speech) / 22050, rel=0.02)


def test_images_of_logarithms_of_1_and_more(magnitude, tmp_path):
    values = np.log1p(magnitude)
    found = identify(save(tmp_path / "a.png", grey(values / values.max())))[0]
    assert law_of(found).unit == "log1p" and found.spec.n_fft == 1024


def test_whose_mean_and_deviation_were_taken_off_are_no_logarithms(speech, tmp_path):
    y = resampled(speech, 16000)
    mel = librosa.feature.melspectrogram(y=y, sr=16000, n_fft=400, hop_length=160, n_mels=80)
    values = np.log(mel + 1e-6)
    np.save(tmp_path / "a.npy", ((values - values.mean()) / values.std()).astype(np.float32))
    found = identify(tmp_path / "a.npy")
    assert {law_of(one).reference for one in found} == {"max"}
    assert any(one == pytest.approx(len(speech) / 22050, rel=0.02) for one in lengths(found))


@pytest.mark.parametrize(("n_fft", "window", "hop"), [(400, 400, 200), (256, 255, 128)])
def test_plain_bins_of_short_windows_are_of_16_khz(n_fft, window, hop, speech, tmp_path):
    y = resampled(speech, 16000)
    shown = np.abs(librosa.stft(y, n_fft=n_fft, win_length=window, hop_length=hop))
    share = librosa.amplitude_to_db(shown, ref=np.max) / 80 + 1
    found = identify(save(tmp_path / "a.png", map_colours("viridis")[grey(share)]))[0]
    assert (found.spec.kind, found.spec.sample_rate, found.spec.n_fft) == ("linear", 16000, n_fft)
    assert found.seconds == pytest.approx(len(speech) / 22050, rel=0.02)


@pytest.mark.parametrize(
    ("rate", "n_mels", "n_fft", "window", "hop"),
    [(20000, 80, 2048, 1000, 250), (40000, 125, 2048, 2048, 400)],
    ids=["keithito", "rvc"],
)
def test_mel_bands_of_other_programs(rate, n_mels, n_fft, window, hop, speech, tmp_path):
    y = resampled(speech, rate)
    shown = np.abs(librosa.stft(y, n_fft=n_fft, win_length=window, hop_length=hop))
    mel = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels) @ shown
    np.save(tmp_path / "a.npy", np.log(np.maximum(mel, 1e-5)).astype(np.float32))
    seconds = len(speech) / 22050
    assert any(
        one == pytest.approx(seconds, rel=0.02) for one in lengths(identify(tmp_path / "a.npy"))
    )


def test_a_figure_without_axes_is_one_whose_length_is_guessed(speech, tmp_path):
    figure = Figure(figsize=(10, 4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.specgram(speech, Fs=22050, NFFT=1024, noverlap=768)
    axes.axis("off")
    FigureCanvasAgg(figure).print_png(tmp_path / "a.png")
    found = identify(tmp_path / "a.png")[0]
    assert law_of(found).rows == "linear" and law_of(found).crop is None
    assert any("codec.seconds" in reason for reason in found.reasons)


def test_whether_a_resized_image_keeps_its_frames_is_not_known(magnitude, tmp_path):
    share = librosa.amplitude_to_db(magnitude, ref=np.max) / 80 + 1
    resized = Image.fromarray(grey(share)).resize((180, 300))
    found = identify(save(tmp_path / "a.png", np.asarray(resized)))[0]
    assert any("codec.seconds" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("write", "power", "unit", "at_max"),
    [
        (lambda x: x, 1.0, "linear", None),
        (lambda x: x**2, 2.0, "linear", None),
        (lambda x: np.log(x**2 + 1e-9), 2.0, "ln", None),
        (lambda x: grey(librosa.amplitude_to_db(x, ref=np.max) / 80 + 1), 1.0, "db", 255.0),
    ],
    ids=["magnitudes", "powers", "logarithms_of_powers", "pixels"],
)
def test_arrays_of_plain_bins(write, power, unit, at_max, magnitude, tmp_path):
    np.save(tmp_path / "a.npy", write(magnitude)[None])
    found = identify(tmp_path / "a.npy")[0]
    assert found.spec == replace(SPEC, power=power)
    assert (law_of(found).unit, law_of(found).at_max) == (unit, at_max)


def test_magnitudes_are_no_logarithms_of_hundreds_of_decibels(magnitude):
    ranges = array_ranges(look_at_numbers(2 * magnitude), 1.0)
    assert all((one.width_db or 0) < 300 for one in ranges)
