"""The one STFT and mel module, against librosa, against sums written out, and against physics."""

import math
from dataclasses import replace
from typing import Any

import librosa
import numpy as np
import pytest
import torch

from tests.refusals import refused
from tests.specs import OWN
from vocoder.config import load, options
from vocoder.image.dataset.bands import require_full_bands
from vocoder.spec import window_samples
from vocoder.spectrogram import (
    Constraint,
    Spectrogram,
    analyse,
    analyse_linear,
    istft,
    istft_to_padded,
    mel_filters,
    stft,
    stft_of_padded,
)

SPECS = OWN
CPU = torch.device("cpu")
MEL = load("spec", "mel256")
LINEAR = load("spec", "linear512")
LIBROSA_NORM: dict[str, Any] = {"sum": 1, "slaney": "slaney", "none": None}

# What a spec can ask for beyond the five files.
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "not centred": {"center": False},
    "short window": {"win_length": 800, "hop_length": 200, "n_fft": 2048},
    "odd window": {"win_length": 801, "hop_length": 200, "n_fft": 2048},
    "hop beside the window": {"hop_length": 150},
    "hamming": {"window": "hamming"},
}


@pytest.fixture(params=SPECS)
def spec(request):
    return load("spec", request.param)


@pytest.fixture(scope="module")
def second(speech):
    """One second of speech, ``(1, samples)``; its length is no multiple of any hop."""
    return torch.from_numpy(speech[: 22_050 + 11])[None]


def librosa_stft(sound, spec):
    return librosa.stft(
        sound[0].numpy(),
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        win_length=spec.win_length,
        window=spec.window,
        center=spec.center,
        pad_mode=spec.pad_mode,
    )


def librosa_filters(spec):
    return librosa.filters.mel(
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        n_mels=spec.n_mels,
        fmin=spec.fmin,
        fmax=spec.fmax,
        htk=spec.mel_scale == "htk",
        norm=LIBROSA_NORM[spec.mel_norm],
    )


def assert_same(ours, theirs, tolerance):
    """Equal shapes, and equal to ``tolerance`` of the greatest value."""
    theirs = np.asarray(theirs)
    assert tuple(ours.shape) == theirs.shape
    assert np.abs(np.asarray(ours) - theirs).max() < tolerance * np.abs(theirs).max()


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_analysis_agrees_with_librosa(spec, changes, power, second):
    spec = replace(spec, **changes, power=power)
    values = analyse_linear(second, spec)
    theirs = np.abs(librosa_stft(second, spec)) ** power
    theirs = librosa_filters(spec) @ theirs if spec.kind == "mel" else theirs[: spec.bins]
    assert values.dtype == torch.float32
    assert_same(values[0], theirs, 1e-4)


@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
@pytest.mark.parametrize("mel_norm", ["sum", "slaney", "none"])
@pytest.mark.parametrize("ends", [(0.0, 11_025.0), (80.0, 7_600.0)])
# Bands narrower than a bin hold nothing; librosa says so, and 256 of them are wanted.
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_mel_filters_agree_with_librosa(mel_scale, mel_norm, ends):
    for n_mels in (80, 256):
        spec = replace(
            MEL, n_mels=n_mels, mel_scale=mel_scale, mel_norm=mel_norm, fmin=ends[0], fmax=ends[1]
        )
        assert_same(mel_filters(spec, CPU), librosa_filters(spec), 1e-4)


def test_every_filter_of_the_default_weighs_the_same():
    sums = mel_filters(MEL, CPU).sum(1)
    assert torch.all((sums - 1).abs() < 1e-6), "an empty filter, or a norm that is none"


def test_mel_filters_need_a_mel_spec():
    with refused("spec.kind.range"):
        mel_filters(LINEAR, CPU)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
def test_stft_is_the_sum_that_defines_it(changes, second):
    """A discrete Fourier transform of a few frames, written out in float64."""
    spec = replace(LINEAR, **changes)
    half = spec.n_fft // 2 if spec.center else 0
    padded = np.pad(second[0].double().numpy(), half, mode="reflect")
    n = np.arange(spec.n_fft)
    basis = np.exp(-2j * np.pi * np.outer(np.arange(spec.n_freqs), n) / spec.n_fft)
    ours = stft(second, spec)
    for t in (0, 1, 17, ours.shape[2] - 1):
        frame = padded[t * spec.hop_length :][: spec.n_fft] * window_samples(spec)
        assert_same(ours[0, :, t], basis @ frame, 1e-5)


def test_the_window_is_centred_in_the_transform():
    spec = replace(LINEAR, n_fft=1024, win_length=512, hop_length=128)
    window = window_samples(spec)
    assert (window[:256] == 0).all()
    assert (window[768:] == 0).all()
    assert window.argmax() == 512
    assert window[512] == 1
    assert window_samples(spec).sum() == pytest.approx(256)  # periodic: exactly half its length


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
def test_istft_undoes_stft(spec, changes, second):
    spec = replace(spec, **changes)
    n_samples = second.shape[1]
    again = istft(stft(second, spec), spec, n_samples)
    assert again.shape == second.shape
    error = (again - second).abs()[0]
    # Where frames are not centred, only the tips of windows reach the sound's outermost samples.
    margin = 0 if spec.center else (spec.n_fft - spec.win_length) // 2 + spec.win_length // 8
    last = n_samples if spec.center else spec.n_samples(spec.n_frames(n_samples))
    assert error[margin : last - margin].max() < 1e-5 * second.abs().max()
    assert again[:, last:].abs().sum() == 0
    assert again.abs().max() < 1.01 * second.abs().max()


def test_istft_is_the_least_squares_inverse(second):
    """No other signal has an STFT nearer to a given one: the error is orthogonal to every STFT."""
    spec = LINEAR
    generator = torch.Generator().manual_seed(0)
    shape = (2, 1, spec.n_freqs, 20)
    real, imaginary = torch.randn(shape, generator=generator, dtype=torch.float64)
    wanted = torch.complex(real, imaginary).to(torch.complex64)
    wanted[:, [0, -1]] = wanted[:, [0, -1]].real.to(torch.complex64)
    nearest = stft_of_padded(istft_to_padded(wanted, spec), spec)
    # Silent where the envelope is bounded, under the tips of the first and the last window.
    quiet = torch.nn.functional.pad(
        second[:, : spec.n_fft + 19 * spec.hop_length - 400], (200, 200)
    )
    direction = stft_of_padded(quiet, spec)
    # The negative frequencies count as well: all bins twice but 0 Hz and Nyquist.
    twice = torch.full((spec.n_freqs, 1), 2.0)
    twice[[0, -1]] = 1
    product = ((wanted - nearest) * direction.conj() * twice).sum().real
    size = torch.linalg.norm(wanted - nearest) * torch.linalg.norm(direction)
    assert abs(product) < 1e-5 * size
    assert torch.linalg.norm(wanted - nearest) > 0.5 * torch.linalg.norm(wanted)


@pytest.mark.parametrize("hz", [200.0, 1_000.0, 7_000.0])
def test_a_tone_stays_in_its_bin(spec, hz):
    seconds = torch.arange(11_025, dtype=torch.float64) / spec.sample_rate
    tone = (0.5 * torch.sin(2 * math.pi * hz * seconds)).float()[None]
    values = analyse_linear(tone, spec)[0, :, 4:-4]
    if spec.kind == "mel":
        # Half-overlapping triangles: the tone is within the loudest band or beside it.
        centres = librosa.mel_frequencies(spec.n_mels + 2, fmin=spec.fmin, fmax=spec.fmax)[1:-1]
        expected = int(np.abs(centres - hz).argmin())
        reach = 1 if spec.n_mels == 80 else 2
    else:
        expected, reach = round(hz * spec.n_fft / spec.sample_rate), 0
    assert ((values.argmax(0) - expected).abs() <= reach).all()
    far = torch.ones(spec.bins, dtype=torch.bool)
    far[max(0, expected - 12) : expected + 13] = False
    # Hann's side lobes fall by 18 dB an octave.
    assert values[far].max() < 1e-3 * values.max()


def test_an_impulse_stays_in_its_frame():
    spec = LINEAR
    sound = torch.zeros(1, 8_192)
    sound[0, 16 * spec.hop_length] = 1
    values = analyse_linear(sound, spec)[0]
    # All frequencies alike, as loud as Hann's window is there: a quarter of it at a time.
    expected = torch.zeros(spec.bins, values.shape[1])
    expected[:, 15:18] = torch.tensor([0.5, 1.0, 0.5])
    assert torch.allclose(values, expected, rtol=0, atol=1e-5)


def test_a_batch_is_its_members(spec, second):
    other = second.flip(1)
    both = analyse(torch.cat([second, other]), spec)
    assert both.decibels.shape == (2, spec.bins, spec.n_frames(second.shape[1]))
    for i, one in enumerate((second, other)):
        assert torch.allclose(both.linear[i], analyse(one, spec).linear[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "shortest"),
    [
        ({}, 513),
        ({"pad_mode": "constant"}, 1),
        ({"center": False}, 1024),
        ({"n_fft": 2048}, 1025),
    ],
)
def test_too_short_a_sound_is_refused(changes, shortest):
    spec = replace(MEL, **changes)
    assert analyse(torch.zeros(1, shortest), spec).n_frames >= 1
    for n_samples in (0, shortest - 1):
        with refused("waveform.short"):
            analyse(torch.zeros(1, n_samples), spec)


def test_a_sound_without_a_batch_is_refused():
    with refused("waveform.shape"):
        analyse(torch.zeros(5_000), MEL)


@pytest.mark.parametrize(
    "decibels", [torch.zeros(1, 256, 10).double(), torch.zeros(1, 256, 10).half(), [[[0.0]]]]
)
def test_levels_of_another_type_are_refused(decibels):
    with refused("spectrogram.type"):
        Spectrogram(decibels, MEL)


@pytest.mark.parametrize("shape", [(256, 10), (1, 255, 10), (1, 256, 0), (1, 1, 256, 10)])
def test_values_that_do_not_fit_the_spec_are_refused(shape):
    with refused("spectrogram.shape"):
        Spectrogram(torch.zeros(shape), MEL)


def test_a_length_that_does_not_fit_the_frames_is_refused():
    values = torch.zeros(1, 256, 10)
    assert Spectrogram(values, MEL).length == 9 * 256
    assert Spectrogram(values, MEL, 9 * 256 + 255).length == 9 * 256 + 255
    assert Spectrogram(values, replace(MEL, center=False)).length == 9 * 256 + 1024
    for n_samples in (9 * 256 - 1, 10 * 256):
        with refused("spectrogram.length"):
            Spectrogram(values, MEL, n_samples)


def test_a_piece_knows_where_it_came_from():
    seen = []

    class Shift(Constraint):
        def project(self, decibels, first_frame):
            seen.append(first_frame)
            return decibels + first_frame

    values = torch.arange(100.0).expand(1, 256, 100)
    whole = Spectrogram(values, MEL, 99 * 256 + 7, Shift())
    piece = whole.frames(10, 50).frames(5, 25)
    assert torch.equal(piece.decibels, values[:, :, 15:35])
    assert piece.length == 19 * 256
    assert whole.frames(0, 100).length == whole.length
    assert piece.constraint
    assert torch.equal(piece.constraint.project(piece.decibels, 3), piece.decibels + 18)
    assert seen == [18]
    assert Spectrogram(values, MEL).frames(0, 5).constraint is None


def test_mel_bands_without_a_bin_are_refused_and_the_presets_have_none():
    with refused("spec.n_mels.empty") as caught:
        require_full_bands(replace(MEL, n_mels=512))
    assert "spec.n_fft=2048" in str(caught.value)
    require_full_bands(replace(MEL, n_mels=512, n_fft=2048))
    for name in options("spec"):
        if name != "torchaudio_mel":  # which is how its authors have it
            require_full_bands(load("spec", name))


def test_presets_for_large_images_and_the_full_band():
    """Rows that pix2pixHD takes without resampling, up to half the sample rate."""
    rows = {"mel512": 512, "mel256_44k": 256, "mel256_48k": 256, "mel512_44k": 512}
    for name, expected in (rows | {"linear1024": 1024}).items():
        spec = load("spec", name)
        assert spec.bins == expected and spec.sample_rate == 2 * (spec.fmax or 22_050)
        assert 86 <= spec.frame_rate_hz <= 94  # a tile shows as much time as mel256's
