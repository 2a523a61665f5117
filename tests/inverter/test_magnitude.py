"""Mel to linear, and the magnitudes that explain a picture: residuals, against librosa."""

from dataclasses import replace
from typing import Any

import librosa
import pytest
import torch

from vocoder.config import load
from vocoder.inverter.magnitude import Target, mel_to_linear
from vocoder.spectrogram import Spectrogram, analyse, stft, to_bins

MEL = load("spec", "mel256")
TACOTRON2 = load("spec", "tacotron2")
LINEAR = load("spec", "linear512")

BANKS: dict[str, Any] = {
    "mel256": MEL,
    "tacotron2": TACOTRON2,
    "128 bands": replace(MEL, n_mels=128),
    "40 bands": replace(MEL, n_mels=40),
    "htk, peaks of one": replace(MEL, mel_scale="htk", mel_norm="none", n_mels=128),
}
# Fewer bands tell less: residuals of the default number of steps, relative to the picture.
LEAST_RESIDUAL = {256: 1e-4, 128: 3e-3, 80: 1e-2, 40: 5e-2}


@pytest.fixture(params=list(BANKS))
def spec(request):
    return BANKS[request.param]


@pytest.fixture(scope="module")
def sound(speech):
    return torch.from_numpy(speech[20_000:35_000])[None]


def distance(found, wanted):
    return float(torch.linalg.norm(found - wanted) / torch.linalg.norm(wanted))


def residual(magnitude, spectrogram):
    """How far STFT magnitudes are from explaining a spectrogram, relative to it."""
    spec = spectrogram.spec
    return distance(to_bins(magnitude**spec.power, spec), spectrogram.values)


@pytest.mark.parametrize("spec", [MEL, TACOTRON2], ids=["mel256", "tacotron2"])
def test_mel_to_linear_leaves_less_than_librosa(spec, sound):
    spectrogram = analyse(sound, spec)
    ours = mel_to_linear(spectrogram)
    theirs = librosa.feature.inverse.mel_to_stft(
        spectrogram.values[0].numpy(),
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        power=1.0,
        fmin=spec.fmin,
        fmax=spec.fmax,
        norm=1 if spec.mel_norm == "sum" else spec.mel_norm,
    )
    assert ours.shape == (1, spec.n_freqs, spectrogram.values.shape[2])
    assert (ours >= 0).all()
    assert residual(ours, spectrogram) <= residual(torch.from_numpy(theirs)[None], spectrogram)


def test_mel_to_linear_explains_the_picture(spec, sound):
    spectrogram = analyse(sound, spec)
    residuals = [residual(mel_to_linear(spectrogram, n), spectrogram) for n in (0, 1, 2, 4, 16, 64)]
    assert residuals == sorted(residuals, reverse=True), "a step that explains less"
    assert residuals[-1] < 3e-3
    assert residual(mel_to_linear(spectrogram), spectrogram) < LEAST_RESIDUAL[spec.bins]
    in_power = analyse(sound, replace(spec, power=2.0))
    assert residual(mel_to_linear(in_power), in_power) < 0.1


def test_the_default_picture_nearly_tells_the_magnitudes(sound):
    assert distance(mel_to_linear(analyse(sound, MEL)), stft(sound, MEL).abs()) < 0.03


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("nyquist", [True, False])
def test_linear_magnitudes_are_taken_as_they_are(power, nyquist, sound):
    spec = replace(LINEAR, power=power, nyquist=nyquist)
    spectrogram = analyse(sound, spec)
    magnitude = mel_to_linear(spectrogram)
    assert magnitude.shape[1] == spec.n_freqs
    true = stft(sound, spec).abs()
    assert torch.allclose(magnitude[:, :512], true[:, :512], rtol=1e-5, atol=1e-6)
    if nyquist:
        assert torch.allclose(magnitude[:, 512], true[:, 512], rtol=1e-5, atol=1e-6)
    else:
        assert (magnitude[:, 512] == 0).all()
        moved = Target(spectrogram).nearest(true + 1)
        assert (moved[:, 512] == 0).all(), "a dropped bin came back"


def test_negative_values_of_a_picture_become_silence(sound):
    """A resized or blurred picture may decode to values a little below zero."""
    for spec in (MEL, LINEAR):
        values = analyse(sound, spec).values - 0.1
        assert (mel_to_linear(Spectrogram(values, spec)) >= 0).all()
        assert (Target(Spectrogram(values, spec)).nearest(stft(sound, spec).abs()) >= 0).all()


@pytest.mark.parametrize("spec", [MEL, replace(MEL, power=2.0), BANKS["128 bands"], TACOTRON2])
def test_nearest_explains_the_picture(spec, sound):
    """From magnitudes that are 20 % off, one step leaves a residual below 0.5 %."""
    spectrogram = analyse(sound, spec)
    target = Target(spectrogram)
    assert target.is_loose
    true = stft(sound, spec).abs()
    noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
    near = (true * (1 + 0.2 * noise)).clamp(min=0)
    once = target.nearest(near)
    assert (once >= 0).all()
    assert residual(near, spectrogram) > 0.15
    assert residual(once, spectrogram) < 5e-3
    # Towards the truth and no further than there; then it stays.
    assert distance(once, true) < 0.7 * distance(near, true)
    assert distance(once, near) < distance(true, near)
    twice = target.nearest(once)
    assert residual(twice, spectrogram) < residual(once, spectrogram)
    assert distance(twice, once) < 0.02 * distance(once, near)


def test_nearest_leaves_the_truth_alone(spec, sound):
    true = stft(sound, spec).abs()
    assert distance(Target(analyse(sound, spec)).nearest(true), true) < 1e-6


def test_nearest_moves_only_as_far_as_a_source_insists(sound):
    """A source that leaves half the values open pulls only those outside their range."""
    spectrogram = analyse(sound, LINEAR)
    low, high = spectrogram.values * 0.8, spectrogram.values * 1.25
    loose = Spectrogram(
        spectrogram.values, LINEAR, admit=lambda values, first: values.clamp(low, high)
    )
    assert Target(loose).is_loose
    assert not Target(spectrogram).is_loose
    inside = mel_to_linear(spectrogram) * 1.1
    assert torch.allclose(Target(loose).nearest(inside), inside, rtol=1e-5)
    outside = mel_to_linear(spectrogram) * 2
    assert torch.allclose(Target(loose).nearest(outside)[:, :512], high, rtol=1e-5, atol=1e-6)
    assert torch.equal(Target(loose).start[:, :512], spectrogram.values)
    assert torch.allclose(Target(spectrogram).nearest(outside)[:, :512], spectrogram.values)


def test_an_open_range_brings_the_sound_nearer_to_the_truth(sound):
    """Levels in steps of 6 dB: the middles of steps are wrong, the steps themselves are not."""
    spectrogram = analyse(sound, LINEAR)
    exponent = torch.log2(spectrogram.values.clamp(min=1e-6)).floor()
    low, high = 2**exponent, 2 ** (exponent + 1)

    def admit(values, first):
        n_frames = values.shape[2]
        return values.clamp(
            low[:, :, first : first + n_frames], high[:, :, first : first + n_frames]
        )

    admm = load("inverter", "admm")
    errors = []
    for rule in (None, admit):
        heard = admm(Spectrogram((low * high).sqrt(), LINEAR, sound.shape[1], rule))
        shown = analyse(heard, LINEAR)
        errors.append(distance(shown.values[:, :, 4:-4], spectrogram.values[:, :, 4:-4]))
    assert errors[1] < 0.9 * errors[0], errors
