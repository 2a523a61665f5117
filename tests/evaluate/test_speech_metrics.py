"""ViSQOL, DNSMOS, cepstra, pitch, loudness and images: known values and second opinions."""

import importlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import librosa
import numpy as np
import pytest
import scipy.signal
import soxr
import torch

from tests.refusals import refused
from vocoder import load
from vocoder.evaluate.metrics import (
    METRICS,
    choose_metrics,
    dnsmos,
    f0_rmse_cents,
    image_distance_db,
    loudness_difference_lu,
    loudness_lufs,
    measure,
    mel_cepstral_distortion_db,
    pesq_wb,
    visqol,
    voicing_error,
)
from vocoder.evaluate.metrics.perceptual import _visqol
from vocoder.spectrogram import analyse

SAMPLE_RATE = 22_050


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Iterator[None]:
    """No measure asks anybody: models come with their packages."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection to {arguments[1:]} was tried")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE) * 0.1


def noisy(speech: np.ndarray, snr_db: float) -> np.ndarray:
    hiss = np.random.default_rng(0).standard_normal(len(speech))
    return np.asarray(speech + hiss * speech.std() * 10 ** (-snr_db / 20), np.float64)


def voice(f0_hz: float, seconds: float = 2.0) -> np.ndarray:
    """A steady vowel: ten harmonics that fall off by 1 / n."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    n = np.arange(1, 11)[:, None]
    return np.asarray(0.1 * (np.sin(2 * np.pi * n * f0_hz * t) / n).sum(axis=0))


def test_visqol_is_that_of_the_package_as_it_comes(speech: np.ndarray) -> None:
    package = importlib.import_module("visqol")
    api = package.VisqolApi()
    api.create("speech", use_lattice_model=True)
    worse = noisy(speech, 20)
    pair = [soxr.resample(x.astype(np.float64), SAMPLE_RATE, 16_000) for x in (speech, worse)]
    expected = api.measure_from_arrays(*pair, 16_000).moslqo
    assert visqol(speech, worse, SAMPLE_RATE) == pytest.approx(expected, abs=1e-6)
    # The mapping that it falls back to without the network says something else.
    api.create("speech", use_lattice_model=False)
    assert abs(api.measure_from_arrays(*pair, 16_000).moslqo - expected) > 0.5


def test_visqol_of_equal_sounds_is_near_the_top_and_blind_to_level(speech: np.ndarray) -> None:
    top = visqol(speech, speech, SAMPLE_RATE)
    assert 4.6 < top < 5
    assert visqol(speech, 0.2 * speech, SAMPLE_RATE) == pytest.approx(top, abs=0.01)


def test_visqol_refuses_what_is_too_short(speech: np.ndarray) -> None:
    with refused("visqol.short"):
        visqol(speech[:10_000], speech[:10_000], SAMPLE_RATE)


@pytest.mark.parametrize(
    ("function", "module"),
    [(visqol, "visqol"), (visqol, "ai_edge_litert.interpreter"), (pesq_wb, "pesq")],
)
def test_a_metric_is_refused_without_its_packages(
    speech: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[[np.ndarray, np.ndarray, int], float],
    module: str,
) -> None:
    """ViSQOL also without its network, where the package would silently use another mapping."""
    _visqol.cache_clear()  # which other tests may have loaded
    monkeypatch.setitem(sys.modules, module, None)
    with refused("measures.extra"):
        function(speech, speech, SAMPLE_RATE)


def test_dnsmos_is_that_of_the_package_as_it_comes(speech: np.ndarray) -> None:
    package = importlib.import_module("speechmos.dnsmos")
    at_16k = soxr.resample(speech.astype(np.float64), SAMPLE_RATE, 16_000)
    expected = package.run(at_16k, 16_000)["ovrl_mos"]
    assert dnsmos(speech, SAMPLE_RATE) == pytest.approx(expected, abs=1e-3)


def test_dnsmos_of_long_waveforms_is_the_mean_of_the_same_windows(speech: np.ndarray) -> None:
    package = importlib.import_module("speechmos.dnsmos")
    long = np.tile(soxr.resample(speech.astype(np.float64), SAMPLE_RATE, 16_000), 5)
    expected = package.run(long, 16_000)["ovrl_mos"]
    assert dnsmos(long, 16_000) == pytest.approx(expected, abs=1e-3)


def test_dnsmos_takes_what_is_beyond_full_scale_down(speech: np.ndarray) -> None:
    full = speech / np.abs(speech).max()
    assert dnsmos(4 * full, SAMPLE_RATE) == pytest.approx(dnsmos(full, SAMPLE_RATE), abs=0.02)


def test_mel_cepstral_distortion_equals_librosas_cepstra_and_plain_warping(
    speech: np.ndarray,
) -> None:
    # The second half is late by two frames, which warping finds.
    late = np.concatenate([speech[:20_000], speech[20_000 - 352 : -352]])
    worse = noisy(late, 60)
    levels = []
    for sound in (speech.astype(np.float64), worse):
        mel = librosa.feature.melspectrogram(
            y=sound, sr=SAMPLE_RATE, n_fft=1024, hop_length=176, win_length=706,
            pad_mode="reflect", power=1, n_mels=80, fmax=8000, norm=1,
        )  # fmt: skip
        levels.append((mel, 20 * np.log10(np.maximum(mel, mel.max() * 1e-4))))
    energy = (levels[0][0] ** 2).sum(axis=0)
    active = energy > energy.max() * 1e-4
    a, b = (
        librosa.feature.mfcc(S=db, n_mfcc=14, norm="ortho")[1:, active] / np.sqrt(80)
        for _, db in levels
    )
    local = np.linalg.norm(a[:, :, None] - b[:, None], axis=0)
    n = len(local)
    cost = np.full((n + 1, n + 1), np.inf)
    steps = np.zeros((n + 1, n + 1), int)
    cost[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            before = min((i - 1, j - 1), (i - 1, j), (i, j - 1), key=lambda at: cost[at])
            cost[i, j] = cost[before] + local[i - 1, j - 1]
            steps[i, j] = steps[before] + 1
    expected = cost[n, n] / steps[n, n]
    found = mel_cepstral_distortion_db(speech, worse, SAMPLE_RATE)
    assert found == pytest.approx(expected, rel=2e-3)
    assert expected < 0.7 * np.diagonal(local).mean()  # warping did something


@pytest.mark.parametrize(("coefficient", "expected_db"), [(3, 6 / np.sqrt(2)), (0, 0)])
def test_mel_cepstral_distortion_is_the_envelopes_in_db(
    noise: np.ndarray, coefficient: int, expected_db: float
) -> None:
    """A filter that is a cosine of 6 dB over the mel axis is off by 6 dB / sqrt 2."""
    transform = np.fft.rfft(noise)
    hz = np.linspace(0, SAMPLE_RATE / 2, len(transform))
    place = librosa.hz_to_mel(hz) / librosa.hz_to_mel(8000)
    gain_db = 6 * np.cos(np.pi * coefficient * place)
    filtered = np.fft.irfft(transform * 10 ** (gain_db / 20), len(noise))
    found = mel_cepstral_distortion_db(noise, filtered, SAMPLE_RATE)
    assert found == pytest.approx(expected_db, rel=0.03, abs=1e-3)


def test_mel_cepstral_distortion_of_long_sounds_is_taken_in_blocks(noise: np.ndarray) -> None:
    long = np.tile(noise, 6)
    turned = np.convolve(long, [1, -0.5])[: len(long)]
    short = mel_cepstral_distortion_db(noise, turned[: len(noise)], SAMPLE_RATE)
    assert mel_cepstral_distortion_db(long, turned, SAMPLE_RATE) == pytest.approx(short, rel=0.02)


def test_f0_error_is_the_detuning_and_octaves_count_in_full() -> None:
    true = voice(150)
    for cents in (0, 100, -300):  # swift-f0 itself is off by some cents
        pair = true, voice(150 * 2 ** (cents / 1200)), SAMPLE_RATE
        assert f0_rmse_cents(*pair) == pytest.approx(abs(cents), abs=12)
        assert voicing_error(*pair) < 0.03
    assert f0_rmse_cents(true, voice(300), SAMPLE_RATE) == pytest.approx(1200, abs=12)


def test_voicing_error_is_the_share_of_frames_that_lost_their_voice(noise: np.ndarray) -> None:
    true = voice(150)
    hissed = true.copy()
    hissed[: len(true) // 4] = noise[: len(true) // 4]
    assert voicing_error(true, hissed, SAMPLE_RATE) == pytest.approx(0.25, abs=0.04)
    assert f0_rmse_cents(true, noise[: len(true)], SAMPLE_RATE) is None
    assert voicing_error(true, noise[: len(true)], SAMPLE_RATE) > 0.95


def test_loudness_of_the_calibration_tone() -> None:
    # ITU-R BS.1770-4, annex 1: a full-scale sine of 997 Hz in one channel gives -3.01 LKFS.
    t = np.arange(5 * 48_000) / 48_000
    tone = np.sin(2 * np.pi * 997 * t)
    assert loudness_lufs(tone, 48_000) == pytest.approx(-3.01, abs=0.05)
    # A block shorter than 400 ms is weighted alike.
    assert loudness_lufs(tone[: 48_000 // 5], 48_000) == pytest.approx(-3.01, abs=0.1)


@pytest.mark.parametrize(
    ("sample_rate", "lengths"),
    [(16_000, (2007, 4094)), (22_050, (3328, 6000, 6656, 8186)), (48_000, (6007, 16_370))],
)
def test_loudness_of_sounds_whose_length_in_seconds_is_rounded_up(
    sample_rate: int, lengths: tuple[int, ...], noise: np.ndarray
) -> None:
    for n_samples in lengths:
        almost = loudness_lufs(noise[: n_samples - 10], sample_rate)
        assert loudness_lufs(noise[:n_samples], sample_rate) == pytest.approx(almost, abs=0.05)


def test_loudness_equals_the_recommendations_filters(speech: np.ndarray) -> None:
    """BS.1770-4 with the coefficients of its tables 1 and 2, gates and all, at 48 kHz."""
    sound = soxr.resample(speech.astype(np.float64), SAMPLE_RATE, 48_000)
    shelf = ([1.53512485958697, -2.69169618940638, 1.19839281085285],
             [1, -1.69065929318241, 0.73248077421585])  # fmt: skip
    high_pass = ([1, -2, 1], [1, -1.99004745483398, 0.99007225036621])
    weighted = scipy.signal.lfilter(*high_pass, scipy.signal.lfilter(*shelf, sound))
    blocks = np.lib.stride_tricks.sliding_window_view(weighted, 19_200)[::4_800]
    power = np.mean(blocks**2, axis=1)

    def level(chosen: np.ndarray) -> float:
        return float(-0.691 + 10 * np.log10(chosen.mean()))

    loud = -0.691 + 10 * np.log10(power)
    gated = power[loud > -70]
    expected = level(power[(loud > -70) & (loud > level(gated) - 10)])
    assert loudness_lufs(sound, 48_000) == pytest.approx(expected, abs=0.1)


def test_loudness_difference_is_signed_and_says_what_is_silence(speech: np.ndarray) -> None:
    found = loudness_difference_lu(speech, -0.5 * speech, SAMPLE_RATE)
    assert found == pytest.approx(-6.0206, abs=0.01)
    with refused("audio.silent"):
        loudness_lufs(1e-5 * speech, SAMPLE_RATE)


@pytest.mark.parametrize("name", ["mel256", "linear512", "linear256", "tacotron2"])
def test_image_distance_is_zero_for_its_own_sound_and_the_gain_otherwise(
    name: str, noise: np.ndarray
) -> None:
    spec = load("spec", name)
    image = analyse(torch.from_numpy(noise.astype(np.float32))[None], spec)
    assert image_distance_db(image, noise) < 1e-3
    assert image_distance_db(image, 0.5 * noise) == pytest.approx(6.0206, abs=0.05)
    # What is missing at the end is left out.
    assert image_distance_db(image, 0.5 * noise[:30_000]) == pytest.approx(6.02, abs=0.1)


def test_image_distance_grows_with_noise_and_refuses_silence(speech: np.ndarray) -> None:
    image = analyse(torch.from_numpy(speech)[None], load("spec", "mel256"))
    distances = [image_distance_db(image, noisy(speech, snr)) for snr in (60, 30, 10)]
    assert distances == sorted(distances)
    with refused("image.silent"):
        image_distance_db(replace(image, decibels=image.decibels - 400.0), speech)


@pytest.fixture(scope="module")
def ladder(speech: np.ndarray) -> list[dict[str, float]]:
    """All metrics of the speech itself, and with more and more noise."""
    return [
        measure(speech, degraded, SAMPLE_RATE)
        for degraded in (speech, noisy(speech, 25), noisy(speech, 5))
    ]


@pytest.mark.parametrize("name", [one.column for one in choose_metrics()[0]])
def test_every_metric_gets_worse_with_noise(name: str, ladder: list[dict[str, float]]) -> None:
    values = [found[name] for found in ladder]
    if METRICS[name].better == "higher":
        values = [-value for value in values]
    assert abs(values[0]) < abs(values[1]) + 5  # finite
    assert values[0] < values[1] < values[2]


def test_a_pair_is_measured_however_late_turned_over_or_long(speech: np.ndarray) -> None:
    names = ["estoi", "visqol", "mcd", "f0", "voicing", "lsd", "mel", "loudness"]
    late = np.concatenate([np.zeros(300), -0.5 * noisy(speech, 25), np.zeros(4_000)])
    straight = measure(speech, noisy(speech, 25), SAMPLE_RATE, names)
    found = measure(speech, late, SAMPLE_RATE, names)
    assert found.pop("loudness_difference_lu") == pytest.approx(-6.02, abs=0.05)
    straight.pop("loudness_difference_lu")
    assert found == {name: pytest.approx(value, rel=0.03) for name, value in straight.items()}


def test_what_cannot_be_measured_is_told_or_raised(speech: np.ndarray) -> None:
    short = speech[20_000:30_000]
    problems: dict[str, str] = {}
    found = measure(short, short, SAMPLE_RATE, ["visqol", "lsd"], problems)
    assert found == {"log_spectral_distance_db": 0}
    assert list(problems) == ["visqol"]
    with refused("visqol.short"):
        measure(short, short, SAMPLE_RATE, ["visqol", "lsd"])


def test_no_distance_waits_for_librosa_to_compile() -> None:
    """With it, and nothing compiled before, 93 files of 3.3 s took 51 s of CPU instead of 38."""
    code = (
        "import sys, numpy as np; from vocoder.evaluate.metrics import measure\n"
        "x = np.random.default_rng(0).standard_normal(22_050)\n"
        "measure(x, x, 22_050, ['estoi', 'lsd', 'mel', 'mcd'])\n"
        "sys.exit('librosa.util.utils' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
