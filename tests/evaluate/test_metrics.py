"""Measures against known values, second implementations, and sounds that get worse."""

import importlib
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
import scipy.signal
import soxr

from vocoder.errors import BadInput
from vocoder.evaluate.alignment import align, find_delay
from vocoder.evaluate.metrics import (
    estoi,
    level_difference_db,
    log_spectral_distance_db,
    measure,
    mel_distance_db,
    perceptual,
    pesq_wb,
    spectral_convergence,
    visqol,
)

needs_pesq = pytest.mark.skipif(find_spec("pesq") is None, reason="the extra pesq is opt-in")
SAMPLE_RATE = 22_050


def noisy(speech: np.ndarray, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(speech))
    return np.asarray(speech + noise * speech.std() * 10 ** (-snr_db / 20))


def random_phase(speech: np.ndarray) -> np.ndarray:
    """A sound with the same spectrogram, roughly, and another waveform."""
    _, _, transform = scipy.signal.stft(speech, nperseg=1024, noverlap=768)
    turns = np.random.default_rng(0).uniform(0, 2 * np.pi, transform.shape)
    for _ in range(16):
        _, sound = scipy.signal.istft(np.abs(transform) * np.exp(1j * turns), noverlap=768)
        _, _, estimate = scipy.signal.stft(sound, nperseg=1024, noverlap=768)
        turns = np.angle(estimate[:, : turns.shape[1]])
    return np.asarray(sound[: len(speech)])


@pytest.mark.parametrize("delay", [0, 37, -37, 1_100, -1_100])
@pytest.mark.parametrize("sign", [1, -1])
def test_align_undoes_a_delay_and_a_turned_polarity(
    speech: np.ndarray, delay: int, sign: int
) -> None:
    late = np.pad(sign * speech, (max(delay, 0), 0))[max(-delay, 0) :]
    reference, aligned = align(speech, late, SAMPLE_RATE)
    assert len(reference) == len(aligned) == len(speech) - max(-delay, 0)
    np.testing.assert_allclose(aligned, reference, atol=5e-4)


def test_align_undoes_a_fraction_of_a_sample(speech: np.ndarray) -> None:
    # At four times the rate a whole sample is a quarter of one.
    fine = soxr.resample(speech.astype(np.float64), 1, 4, quality="VHQ")
    for quarters in (1, 2, -81):
        late = soxr.resample(np.roll(fine, quarters), 4, 1, quality="VHQ")
        delay, sign = find_delay(speech, late, SAMPLE_RATE)
        assert delay == pytest.approx(quarters / 4, abs=0.01)
        assert sign == 1
        reference, aligned = align(speech, late, SAMPLE_RATE)
        middle = slice(1_000, -1_000)
        error = np.linalg.norm((aligned - reference)[middle]) / np.linalg.norm(reference[middle])
        assert error < 0.01


def test_align_finds_the_delay_of_another_waveform(speech: np.ndarray) -> None:
    # Its cross-correlation peaks anywhere within pitch periods; to be off by 1 ms is harmless.
    other = random_phase(speech)
    assert find_delay(speech, other, SAMPLE_RATE)[0] == pytest.approx(0, abs=22)
    late = np.concatenate([np.zeros(500), other])
    assert find_delay(speech, late, SAMPLE_RATE)[0] == pytest.approx(500, abs=22)


def test_align_cuts_to_the_shorter(speech: np.ndarray) -> None:
    reference, aligned = align(speech, speech[:-500], SAMPLE_RATE)
    assert len(reference) == len(aligned) == len(speech) - 500


def test_align_refuses_what_is_too_short() -> None:
    blip = np.random.default_rng(0).standard_normal(1_000)
    with pytest.raises(BadInput, match=r"0\.05 s .* too short to be aligned"):
        align(blip, blip, SAMPLE_RATE)


def test_estoi_of_equal_sounds_is_one_and_blind_to_level(speech: np.ndarray) -> None:
    assert estoi(speech, 0.1 * speech, SAMPLE_RATE) == pytest.approx(1, abs=1e-6)


def test_estoi_equals_its_definition(speech: np.ndarray) -> None:
    """Jensen and Taal 2016, section III, written down anew at 10 kHz, without pauses to remove."""
    voiced = soxr.resample(speech.astype(np.float64), SAMPLE_RATE, 10_000)[2_000:12_000]
    worse = noisy(voiced, 5)
    window = np.hanning(258)[1:-1]
    centres = 150 * 2 ** (np.arange(15) / 3)
    freqs = np.linspace(0, 5_000, 257)
    edges = [np.abs(freqs[:, None] - centres * 2 ** (k / 6)).argmin(axis=0) for k in (-1, 1)]

    def bands(sound: np.ndarray) -> np.ndarray:
        starts = range(0, len(sound) - 256, 128)
        power = [np.abs(np.fft.rfft(window * sound[i : i + 256], 512)) ** 2 for i in starts]
        return np.sqrt([[p[a:b].sum() for p in power] for a, b in zip(*edges, strict=True)])

    def normalised(segment: np.ndarray) -> np.ndarray:
        for axis in (1, 0):
            segment = segment - segment.mean(axis=axis, keepdims=True)
            segment = segment / np.linalg.norm(segment, axis=axis, keepdims=True)
        return segment

    x, y = bands(voiced), bands(worse)
    scores = [
        (normalised(x[:, m - 30 : m]) * normalised(y[:, m - 30 : m])).sum() / 30
        for m in range(30, x.shape[1] + 1)
    ]
    assert estoi(voiced, worse, 10_000) == pytest.approx(np.mean(scores), abs=0.005)


def test_estoi_refuses_too_little_speech(speech: np.ndarray) -> None:
    short = speech[20_000:26_000]
    with pytest.raises(BadInput, match=r"at least 0\.4 s of speech"):
        estoi(short, short, SAMPLE_RATE)


@needs_pesq
def test_pesq_of_equal_sounds_is_the_top_of_the_scale(speech: np.ndarray) -> None:
    # P.862.2: 0.999 + 4 / (1 + exp(3.8224 - 1.3669 * 4.5)), the raw score being at most 4.5.
    top = 0.999 + 4 / (1 + np.exp(3.8224 - 1.3669 * 4.5))
    assert pesq_wb(speech, speech, SAMPLE_RATE) == pytest.approx(top, abs=0.001)


@needs_pesq
def test_pesq_explains_what_it_refuses(speech: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"PESQ cannot compare sounds of 0\.18 s"):
        pesq_wb(speech[:4_000], speech[:4_000], SAMPLE_RATE)


def test_log_spectral_distance_equals_scipys_spectrogram(speech: np.ndarray) -> None:
    worse = noisy(speech, 20)
    win_length, hop_length, n_fft = 706, 176, 1_024
    decibels = []
    top = 0.0
    for sound in (speech, worse):
        padded = np.pad(sound.astype(np.float64), n_fft // 2, mode="reflect")
        offset = (n_fft - win_length) // 2
        _, _, transform = scipy.signal.stft(
            padded[offset : len(padded) - offset],
            window="hann",
            nperseg=win_length,
            noverlap=win_length - hop_length,
            nfft=n_fft,
            boundary=None,
            padded=False,
        )
        magnitude = np.abs(transform)
        top = top or magnitude.max()
        decibels.append(20 * np.log10(np.maximum(magnitude, top * 1e-4)))
    energy = (10 ** (decibels[0] / 10)).sum(axis=0)
    active = energy > energy.max() * 1e-4
    expected = np.sqrt(((decibels[0] - decibels[1])[:, active] ** 2).mean(axis=0)).mean()
    found = log_spectral_distance_db(speech, worse, SAMPLE_RATE)
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("distance", [log_spectral_distance_db, mel_distance_db])
def test_distances_are_the_gain_where_only_the_gain_differs(
    distance: Callable[[np.ndarray, np.ndarray, int], float],
) -> None:
    # White noise: hardly a bin is near the floor, 80 dB below the loudest.
    sound = 0.1 * np.random.default_rng(0).standard_normal(30_000)
    assert distance(sound, sound, SAMPLE_RATE) == 0
    assert distance(sound, sound * 10 ** (3 / 20), SAMPLE_RATE) == pytest.approx(3, abs=1e-3)


def test_level_difference(speech: np.ndarray) -> None:
    assert level_difference_db(speech, -0.5 * speech) == pytest.approx(-6.0206, abs=1e-4)


def test_spectral_convergence() -> None:
    target = np.array([[3.0, 0.0], [0.0, 4.0]])
    assert spectral_convergence(target, target) == 0
    assert spectral_convergence(target, 0 * target) == 1
    assert spectral_convergence(target, target + np.array([[0, 0.3], [0.4, 0]])) == pytest.approx(
        0.1
    )
    with pytest.raises(BadInput, match="different shapes"):
        spectral_convergence(target, target[:1])
    with pytest.raises(BadInput, match="target spectrogram is silent"):
        spectral_convergence(0 * target, target)


@pytest.mark.parametrize("pesq", [False, pytest.param(True, marks=needs_pesq)])
def test_every_measure_gets_worse_with_noise(speech: np.ndarray, pesq: bool) -> None:
    clean, better, worse = (
        measure(speech, sound, SAMPLE_RATE, pesq=pesq).to_dict()
        for sound in (speech, noisy(speech, 25), noisy(speech, 10))
    )
    for name in ("estoi", "pesq_wb") if pesq else ("estoi",):
        assert clean[name] > better[name] > worse[name]
    for name in ("log_spectral_distance_db", "mel_distance_db", "level_difference_db"):
        assert clean[name] < better[name] < worse[name]


def test_measure_tells_level_and_delay_from_quality(speech: np.ndarray) -> None:
    late = np.concatenate([np.zeros(300), -0.25 * speech])
    found = measure(speech, late, SAMPLE_RATE, pesq=False)
    assert found.estoi == pytest.approx(1, abs=1e-3)
    assert found.level_difference_db == pytest.approx(-12.04, abs=0.01)
    assert found.log_spectral_distance_db == pytest.approx(0, abs=0.01)
    assert "pesq_wb" not in found.to_dict()


@pytest.mark.parametrize(
    ("reference", "degraded", "message"),
    [
        (np.zeros(5_000), np.ones(5_000), "the reference is silent"),
        (np.ones(5_000), np.zeros(5_000), "the sound to compare is silent"),
        (np.ones(0), np.ones(5_000), "the reference is empty"),
        (np.ones((5_000, 2)), np.ones(5_000), r"shape \(5000, 2\)"),
        (np.full(5_000, np.nan), np.ones(5_000), "NaN or infinite"),
        (np.ones(5_000), np.ones(4_999), "5000 samples, the sound to compare 4999; align"),
    ],
)
@pytest.mark.parametrize("function", [estoi, pesq_wb, log_spectral_distance_db, mel_distance_db])
def test_unusable_sounds_are_refused(
    function: Callable[[np.ndarray, np.ndarray, int], float],
    reference: np.ndarray,
    degraded: np.ndarray,
    message: str,
) -> None:
    with pytest.raises(BadInput, match=message):
        function(reference, degraded, SAMPLE_RATE)


@pytest.mark.parametrize(
    ("function", "command"),
    [(visqol, r"pip install 'vocoder\[evaluate\]'"), (pesq_wb, r"pip install 'vocoder\[pesq\]'")],
)
def test_a_missing_extra_is_named(
    speech: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[[np.ndarray, np.ndarray, int], float],
    command: str,
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    perceptual._visqol.cache_clear()  # which other tests may have loaded
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(BadInput, match=command):
        function(speech, speech, SAMPLE_RATE)
