"""Alignment, ESTOI, PESQ and spectral distances: known values and second implementations."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
import scipy.signal
import soxr

from tests.refusals import refused
from vocoder.evaluate.alignment import Pair, find_delay
from vocoder.evaluate.metrics import (
    estoi,
    level_difference_db,
    log_spectral_distance_db,
    measure,
    mel_distance_db,
    pesq_wb,
)

needs_pesq = pytest.mark.skipif(find_spec("pesq") is None, reason="the extra pesq is opt-in")
SAMPLE_RATE = 22_050
NOISE = np.random.default_rng(0).standard_normal(5_000)


def noisy(speech: np.ndarray, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(speech))
    return np.asarray(speech + noise * speech.std() * 10 ** (-snr_db / 20))


def random_phase(speech: np.ndarray) -> np.ndarray:
    """Another waveform with roughly the same spectrogram."""
    _, _, transform = scipy.signal.stft(speech, nperseg=1024, noverlap=768)
    turns = np.random.default_rng(0).uniform(0, 2 * np.pi, transform.shape)
    for _ in range(16):
        _, sound = scipy.signal.istft(np.abs(transform) * np.exp(1j * turns), noverlap=768)
        _, _, estimate = scipy.signal.stft(sound, nperseg=1024, noverlap=768)
        turns = np.angle(estimate[:, : turns.shape[1]])
    return np.asarray(sound[: len(speech)])


@pytest.mark.parametrize("delay", [0, 37, -37, 1_100, -1_100, 6_615, 22_050])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_delay_and_an_inverted_polarity_are_undone(
    speech: np.ndarray, delay: int, sign: int
) -> None:
    late = np.pad(sign * speech, (max(delay, 0), 0))[max(-delay, 0) :]
    pair = Pair(speech, late, SAMPLE_RATE)
    assert len(pair.reference) == len(pair.degraded) == len(speech) - max(-delay, 0)
    assert pair.delay_s == pytest.approx(delay / SAMPLE_RATE, abs=1e-6)
    assert pair.inverted == (sign < 0)
    np.testing.assert_allclose(pair.degraded, pair.reference, atol=5e-4)


@pytest.mark.parametrize(
    ("delay_ms", "cut"),
    [
        (55, False),
        (55, True),
        (120, True),
        (300, False),
        (300, True),
        (1_000, False),
        (1_000, True),
    ],
)
def test_a_late_recording_measures_as_the_recording(
    speech: np.ndarray, delay_ms: int, cut: bool
) -> None:
    late = np.concatenate([np.zeros(delay_ms * SAMPLE_RATE // 1000), speech])
    found = measure(speech, late[: len(speech)] if cut else late, SAMPLE_RATE, ["estoi", "lsd"])
    assert found["estoi"] == pytest.approx(1, abs=1e-3)
    assert found["log_spectral_distance_db"] < 0.5  # where it is cut, it ends abruptly


@pytest.mark.parametrize("offsets", [(0.003, 0), (0, 0.01), (-0.01, 0.02)])
def test_a_constant_offset_is_not_measured(
    speech: np.ndarray, offsets: tuple[float, float]
) -> None:
    worse = noisy(speech, 25)
    names = ["estoi", "lsd", "mel", "level"]
    clean = measure(speech, worse, SAMPLE_RATE, names)
    found = measure(speech + offsets[0], worse + offsets[1], SAMPLE_RATE, names)
    assert found["estoi"] == pytest.approx(clean["estoi"], abs=2e-3)
    assert found == pytest.approx(clean, abs=0.1)
    pair = Pair(speech + offsets[0], worse + offsets[1], SAMPLE_RATE)
    assert (pair.reference_offset, pair.offset) == pytest.approx(offsets, abs=5e-4)
    assert Pair(speech, worse, SAMPLE_RATE).reference_offset == pytest.approx(0, abs=5e-4)


def test_a_fraction_of_a_sample_is_undone(speech: np.ndarray) -> None:
    # At four times the rate a whole sample is a quarter of one.
    fine = soxr.resample(speech.astype(np.float64), 1, 4, quality="VHQ")
    for quarters in (1, 2, -81):
        late = soxr.resample(np.roll(fine, quarters), 4, 1, quality="VHQ")
        delay, sign = find_delay(speech, late, SAMPLE_RATE)
        assert delay == pytest.approx(quarters / 4, abs=0.01)
        assert sign == 1
        pair = Pair(speech, late, SAMPLE_RATE)
        middle = slice(1_000, -1_000)
        error = np.linalg.norm((pair.degraded - pair.reference)[middle])
        assert error < 0.01 * np.linalg.norm(pair.reference[middle])


@pytest.mark.parametrize("delay", [0, 500, 6_615])
def test_the_delay_of_another_waveform_is_found(speech: np.ndarray, delay: int) -> None:
    # Its cross-correlation peaks anywhere within pitch periods; to be off by 1 ms is harmless.
    late = np.concatenate([np.zeros(delay), random_phase(speech)])
    assert find_delay(speech, late, SAMPLE_RATE)[0] == pytest.approx(delay, abs=22)


def test_noise_does_not_make_a_delay(speech: np.ndarray) -> None:
    assert find_delay(speech, noisy(speech, -5), SAMPLE_RATE)[0] == pytest.approx(0, abs=22)


def test_a_pair_is_cut_to_the_shorter(speech: np.ndarray) -> None:
    pair = Pair(speech, speech[:-500], SAMPLE_RATE)
    assert len(pair.reference) == len(pair.degraded) == len(speech) - 500


def test_what_is_too_short_is_not_aligned() -> None:
    blip = np.random.default_rng(0).standard_normal(1_000)
    with refused("audio.short"):
        Pair(blip, blip, SAMPLE_RATE)


def test_estoi_of_equal_sounds_is_one_and_blind_to_level(speech: np.ndarray) -> None:
    assert estoi(speech, 0.1 * speech, SAMPLE_RATE) == pytest.approx(1, abs=1e-6)


def test_equal_sounds_have_equal_estoi(speech: np.ndarray) -> None:
    """pystoi draws noise from NumPy's common generator."""
    worse = noisy(speech, 10)
    assert len({estoi(speech, worse, SAMPLE_RATE) for _ in range(5)}) == 1


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
    with refused("estoi.short"):
        estoi(short, short, SAMPLE_RATE)


@needs_pesq
def test_pesq_of_equal_sounds_is_the_top_of_the_scale(speech: np.ndarray) -> None:
    # P.862.2: 0.999 + 4 / (1 + exp(3.8224 - 1.3669 * 4.5)), the raw score being at most 4.5.
    top = 0.999 + 4 / (1 + np.exp(3.8224 - 1.3669 * 4.5))
    assert pesq_wb(speech, speech, SAMPLE_RATE) == pytest.approx(top, abs=0.001)


@needs_pesq
def test_pesq_explains_what_it_refuses(speech: np.ndarray) -> None:
    with refused("pesq.short"):
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


@pytest.mark.parametrize(
    ("reference", "degraded", "key"),
    [
        (np.zeros(5_000), NOISE, "audio.silent"),
        (NOISE, np.full(5_000, 0.5), "audio.silent"),
        (np.ones(0), NOISE, "audio.empty"),
        (np.ones((5_000, 2)), NOISE, "audio.shape"),
        (np.full(5_000, np.nan), NOISE, "audio.infinite"),
        (NOISE, NOISE[:-1], "audio.length"),
    ],
)
@pytest.mark.parametrize("function", [estoi, pesq_wb, log_spectral_distance_db, mel_distance_db])
def test_unusable_waveforms_are_refused(
    function: Callable[[np.ndarray, np.ndarray, int], float],
    reference: np.ndarray,
    degraded: np.ndarray,
    key: str,
) -> None:
    with refused(key):
        function(reference, degraded, SAMPLE_RATE)
