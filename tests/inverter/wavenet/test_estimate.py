"""Griffin-Lim around the network: initial estimates, recordings with their phases, an iteration."""

import numpy as np
import pytest
import scipy.signal
import torch
from torch.nn import functional

from tests.inverter.wavenet.networks import MEL, pair_of, small
from tests.train.tiny import griffin_lim
from vocoder.decibels import SILENCE_DB, to_linear
from vocoder.evaluate.metrics import estoi
from vocoder.inverter.magnitude import Target
from vocoder.inverter.wavenet.network import iterate, rephased
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse, stft

FRAMES = 150


def iterated(decibels, spec, waveform):
    return iterate(waveform, spec, Target(Spectrogram(decibels, spec)).nearest)


def estimate_of(decibels, n_iter):
    return small(initial_iterations=n_iter).estimate(decibels)


@pytest.fixture(scope="module")
def pair(speech):
    return pair_of(speech, FRAMES)


@pytest.fixture
def noisy(pair):
    _, waveform = pair
    noise = torch.randn(waveform.shape, generator=torch.Generator().manual_seed(0))
    return waveform + 0.02 * noise


def test_an_estimate_is_griffin_lims(pair):
    """As near to the spectrogram as in one block, though it is done in several."""
    decibels, waveform = pair
    whole = griffin_lim(n_iter=8, init="phase_gradient", refine_every=0)(Spectrogram(decibels, MEL))
    estimate = estimate_of(decibels, 8)
    assert estimate.shape == waveform.shape
    errors = [
        float((analyse(one, MEL).linear[:, :, :FRAMES] - to_linear(decibels, MEL)).norm())
        for one in (estimate, whole)
    ]
    assert errors[0] < 1.1 * errors[1]
    assert estoi(waveform[0].numpy(), estimate[0].numpy(), 22_050) > 0.93


def test_members_of_a_batch_are_estimated_as_they_are_alone(pair):
    decibels, _ = pair
    batch = torch.cat([decibels, decibels.flip(2) - 20, torch.full_like(decibels, SILENCE_DB)])
    for one, alone in zip(estimate_of(batch, 1), batch, strict=True):
        assert (one - estimate_of(alone[None], 1)[0]).abs().max() < 1e-3


def test_a_rephased_recording_is_the_recording_and_fits_the_estimate(pair):
    decibels, waveform = pair
    estimate = estimate_of(decibels, 2)
    found = rephased(waveform, estimate, MEL)
    assert found.shape == waveform.shape

    def shown(samples):
        return stft(samples, MEL).abs()[:, :, 8:-8]  # both are cut in the middle of a word

    def off(samples, wanted):
        return float(torch.linalg.norm(samples - wanted) / torch.linalg.norm(wanted))

    assert off(shown(found), shown(waveform)) < 0.85 * off(shown(estimate), shown(waveform))
    assert off(found, estimate) < 0.5 < off(waveform, estimate)
    assert estoi(waveform[0].numpy(), found[0].numpy(), 22_050) > 0.96


def test_a_recording_is_its_own_estimate(pair):
    quiet = functional.pad(pair[1], (2_560, 2_560))
    assert (rephased(quiet, quiet, MEL) - quiet).abs().max() < 1e-3


def test_an_iteration_is_griffin_and_lims(pair, noisy):
    """Linear magnitudes, by scipy in float64: the windows' magnitudes replaced, then added up."""
    spec = SpectrogramSpec.stft(
        sample_rate=22050, n_fft=1024, hop_length=256, pad_mode="reflect", power=1.0
    )
    spectrogram = analyse(pair[1], spec)
    decibels, linear = spectrogram.decibels[:, :, :FRAMES], spectrogram.linear
    found = iterated(decibels, spec, noisy)[0].numpy()

    window = scipy.signal.get_window("hann", 1024)
    padded = np.pad(noisy[0].numpy().astype(np.float64), 512)
    total, weight = np.zeros(FRAMES * 256 + 1024), np.zeros(FRAMES * 256 + 1024)
    for frame in range(FRAMES):
        at = slice(frame * 256, frame * 256 + 1024)
        transform = np.fft.rfft(padded[at] * window)
        transform *= linear[0, :, frame].numpy() / np.maximum(np.abs(transform), 1e-30)
        total[at] += np.fft.irfft(transform) * window
        weight[at] += window**2
    expected = (total / np.maximum(weight, 1e-30))[512 : 512 + FRAMES * 256]
    assert np.abs(found - expected)[:-256].max() < 1e-4
    assert np.abs(noisy[0].numpy() - expected)[:-256].max() > 0.01


def test_an_iteration_brings_a_waveform_nearer_to_its_spectrogram(pair, noisy):
    decibels, waveform = pair

    def off(samples):
        """The ends aside."""
        shown = analyse(samples, MEL).linear[:, :, 4 : FRAMES - 4]
        wanted = to_linear(decibels, MEL)[:, :, 4:-4]
        return float((shown - wanted).norm() / wanted.norm())

    assert off(iterated(decibels, MEL, noisy)) < 0.5 * off(noisy)
    assert (iterated(decibels, MEL, waveform) - waveform)[:, 1024:-1024].abs().max() < 1e-3


def test_silence_is_kept(pair):
    decibels, waveform = pair
    nothing, quiet = torch.full_like(decibels, SILENCE_DB), torch.zeros_like(waveform)
    assert iterated(nothing, MEL, quiet).abs().max() == 0
    heard = iterated(nothing, MEL, waveform)[:, 1024:-1024].std()
    assert heard < 0.1 * waveform.std(), "what no filter sees"
    assert iterated(decibels, MEL, quiet).isfinite().all()
