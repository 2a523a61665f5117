"""Mel to linear, and the magnitudes that explain a picture: residuals, against librosa."""

from dataclasses import replace
from typing import Any

import librosa
import pytest
import torch

from vocoder.config import load
from vocoder.decibels import to_linear
from vocoder.inverter.magnitude import Target, mel_to_linear
from vocoder.spectrogram import Constraint, analyse, analyse_linear, stft, to_bins

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
    return distance(to_bins(magnitude**spec.power, spec), spectrogram.linear)


@pytest.mark.parametrize("spec", [MEL, TACOTRON2], ids=["mel256", "tacotron2"])
def test_mel_to_linear_leaves_less_than_librosa(spec, sound):
    spectrogram = analyse(sound, spec)
    ours = mel_to_linear(spectrogram.linear, spectrogram.spec)
    theirs = librosa.feature.inverse.mel_to_stft(
        spectrogram.linear[0].numpy(),
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        power=1.0,
        fmin=spec.fmin,
        fmax=spec.fmax,
        norm=1 if spec.mel_norm == "sum" else spec.mel_norm,
    )
    assert ours.shape == (1, spec.n_freqs, spectrogram.n_frames)
    assert (ours >= 0).all()
    assert residual(ours, spectrogram) <= residual(torch.from_numpy(theirs)[None], spectrogram)


def test_mel_to_linear_explains_the_picture(spec, sound):
    spectrogram = analyse(sound, spec)
    residuals = [
        residual(mel_to_linear(spectrogram.linear, spec, n), spectrogram)
        for n in (0, 1, 2, 4, 16, 64)
    ]
    assert residuals == sorted(residuals, reverse=True), "a step that explains less"
    assert residuals[-1] < 3e-3
    assert (
        residual(mel_to_linear(spectrogram.linear, spectrogram.spec), spectrogram)
        < LEAST_RESIDUAL[spec.bins]
    )
    in_power = analyse(sound, replace(spec, power=2.0))
    assert residual(mel_to_linear(in_power.linear, in_power.spec), in_power) < 0.1


def test_the_default_picture_nearly_tells_the_magnitudes(sound):
    assert distance(mel_to_linear(analyse_linear(sound, MEL), MEL), stft(sound, MEL).abs()) < 0.03


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("nyquist", [True, False])
def test_linear_magnitudes_are_taken_as_they_are(power, nyquist, sound):
    spec = replace(LINEAR, power=power, nyquist=nyquist)
    spectrogram = analyse(sound, spec)
    magnitude = mel_to_linear(spectrogram.linear, spectrogram.spec)
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
        assert (mel_to_linear(analyse_linear(sound, spec) - 0.1, spec) >= 0).all()


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


class Range(Constraint):
    """Any decibels between two."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def project(self, decibels, first_frame):
        here = slice(first_frame, first_frame + decibels.shape[2])
        return decibels.clamp(self.low[:, :, here], self.high[:, :, here])


def test_nearest_moves_only_as_far_as_a_source_insists(sound):
    """A source that leaves a range open pulls only what lies outside of it."""
    spectrogram = analyse(sound, LINEAR)
    given = spectrogram.decibels
    loose = replace(spectrogram, constraint=Range(given - 2, given + 2))
    assert Target(loose).is_loose
    assert not Target(spectrogram).is_loose
    start = mel_to_linear(spectrogram.linear, LINEAR)
    assert torch.allclose(Target(loose).nearest(start * 1.1), start * 1.1, rtol=1e-4)
    highest = to_linear(given + 2, LINEAR)
    nearest = Target(loose).nearest(start * 2)[:, :512]
    assert torch.allclose(nearest, highest, rtol=1e-4, atol=1e-6)
    assert torch.equal(Target(loose).start[:, :512], spectrogram.linear)
    assert torch.allclose(Target(spectrogram).nearest(start * 2)[:, :512], spectrogram.linear)


def test_an_open_range_brings_the_waveform_nearer_to_the_truth(sound):
    """Levels in steps of 6 dB: the dequantised of steps are wrong, the steps themselves are not."""
    spectrogram = analyse(sound, LINEAR)
    low = (spectrogram.decibels / 6).floor() * 6
    admm, errors = load("inverter", "admm"), []
    for constraint in (None, Range(low, low + 6)):
        steps = replace(spectrogram, decibels=low + 3, constraint=constraint)
        shown = analyse_linear(admm(steps), LINEAR)
        errors.append(distance(shown[:, :, 4:-4], spectrogram.linear[:, :, 4:-4]))
    assert errors[1] < 0.9 * errors[0], errors
