"""Losses of spectrograms against second implementations, and what they must say of damage."""

import math

import librosa
import numpy as np
import pytest
import torch

from tests.train.tiny import SPEC, decibels, noisy
from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.repair.pitch import MIN_PITCH_HZ, PITCHES_PER_OCTAVE, pitch_strengths
from vocoder.spectrogram import mel_filters
from vocoder.train.spectrogram_losses import (
    band_correlation_loss,
    envelope_loss,
    pitch_loss,
    spectrogram_losses,
)

pystoi = pytest.importorskip("pystoi")


def test_spectrogram_losses_are_in_their_units(true):
    picture = decibels(true)
    found = spectrogram_losses(picture + 2, picture, SPEC, 0.5)
    assert float(found["decibels"]) == pytest.approx(0.1, rel=1e-4)
    assert float(found["intelligibility"]) < 1e-4  # blind to the level
    loudness = 10 * np.abs(10 ** (0.3 * (picture.numpy() + 2) / 20)
                           - 10 ** (0.3 * picture.numpy() / 20)).mean()  # fmt: skip
    assert float(found["loudness"]) == pytest.approx(loudness, rel=1e-4)


@pytest.mark.parametrize("tau", [0.2, 0.5, 0.8])
def test_decibels_are_least_at_the_quantile_tau(tau):
    """Of many true pictures to one damaged one."""
    drawn = -60 + 9 * torch.randn(201, generator=torch.Generator().manual_seed(2))
    true = drawn[:, None, None].expand(-1, SPEC.bins, 40)
    levels = torch.quantile(drawn, torch.linspace(0.1, 0.9, 9))
    losses = [
        float(spectrogram_losses(level.expand_as(true), true, SPEC, tau)["decibels"])
        for level in levels
    ]
    assert min(range(9), key=losses.__getitem__) == round(10 * tau) - 1


@pytest.mark.parametrize("spec", ["mel256", "linear256", "linear512", "tacotron2"])
def test_the_intelligibility_loss_follows_estoi(spec, speech):
    """One minus it, on real speech in noise that grows: in order, and about as high."""
    spec, ours, theirs = load("spec", spec), [], []
    sound = torch.from_numpy(speech)[None]
    clean = decibels(sound, spec)
    for level in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 4.0):
        worse = noisy(sound, level)
        shown = decibels(worse, spec)
        ours.append(1 - float(band_correlation_loss(shown, clean, spec)))
        theirs.append(pystoi.stoi(speech, worse[0].numpy(), 22_050, extended=True))
    assert ours == sorted(ours, reverse=True)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert np.abs(np.array(ours) - theirs).max() < 0.12


def test_the_intelligibility_loss_is_estois_equations(true):
    """Eqs. 3 to 6 with loops, for pictures without a pause."""
    rng = np.random.default_rng(0)
    wanted = rng.uniform(-30, -10, (1, 256, 40)).astype(np.float32)
    given = wanted + rng.normal(0, 4, wanted.shape).astype(np.float32)
    freqs = np.linspace(0, 11_025, 513)
    bank = mel_filters(SPEC, torch.device("cpu")).numpy()
    centres = bank @ freqs / bank.sum(1)
    width = np.gradient(centres)

    def bands(db):
        rows = []
        for k in range(15):
            low, high = (150 * 2 ** ((2 * k + side) / 6) for side in (-1, 1))
            inside = (centres >= low) & (centres < high)
            rows.append(np.sqrt((width[inside, None] * 10 ** (db[inside] / 10)).sum(0)))
        return np.array(rows)

    a, b = bands(given[0]), bands(wanted[0])
    scores = []
    for start in range(0, 40 - 33 + 1, 3):
        x, y = (m[:, start : start + 33].astype(np.float64) for m in (a, b))
        for axis in (1, 0):
            x, y = (m - m.mean(axis, keepdims=True) for m in (x, y))
            x, y = (m / (np.linalg.norm(m, axis=axis, keepdims=True) + 1e-6) for m in (x, y))
        scores.append((x * y).sum() / 33)
    loss = band_correlation_loss(torch.from_numpy(given), torch.from_numpy(wanted), SPEC)
    assert float(loss) == pytest.approx(1 - np.mean(scores), abs=1e-4)


def test_pauses_and_silence_count_little(true):
    picture = decibels(true)
    worse = decibels(noisy(true, 0.5))
    alone = float(band_correlation_loss(worse, picture, SPEC))
    hiss = torch.empty(2, 256, 60).uniform_(-89.9, -80, generator=torch.Generator().manual_seed(0))
    hum = torch.empty(2, 256, 60).uniform_(-89.9, -80, generator=torch.Generator().manual_seed(1))
    longer = band_correlation_loss(torch.cat([worse, hiss], 2), torch.cat([picture, hum], 2), SPEC)
    assert float(longer) == pytest.approx(alone, abs=0.08)
    silence = torch.full_like(picture, -90.0)
    assert float(band_correlation_loss(worse, silence, SPEC)) == 0


def test_a_picture_shorter_than_a_segment_is_refused():
    short = torch.zeros(1, 256, 32)
    with pytest.raises(BadInput, match=r"train\.plan\.frames is 32; .*needs at least 33"):
        band_correlation_loss(short, short, SPEC)


def pitches_hz(strengths):
    """The strongest pitch of every frame."""
    return MIN_PITCH_HZ * 2 ** (strengths.argmax(1) / PITCHES_PER_OCTAVE)


def buzz(hz, seconds=0.5, rate=22_050):
    """Thirty harmonics that fall like a voice's, ``(1, samples)``."""
    time, orders = np.arange(int(seconds * rate)) / rate, np.arange(1, 31)
    sound = (np.sin(2 * math.pi * hz * orders[:, None] * time) / orders[:, None]).sum(0)
    return torch.from_numpy(0.2 * sound).float()[None]


@pytest.mark.parametrize("spec", ["mel256", "linear512"])
@pytest.mark.parametrize("hz", [90.0, 123.4, 200.0, 310.0, 450.0])
def test_the_strongest_pitch_is_the_fundamental(spec, hz):
    spec = load("spec", spec)
    picture = decibels(buzz(hz), spec)
    found = pitches_hz(pitch_strengths(picture, spec))[0, 5:-5]
    assert (1200 * torch.log2(found / hz)).abs().max() < 50


def test_the_strongest_pitch_of_speech_is_what_pyin_finds(speech):
    """Probabilistic YIN looks at periods, not at pictures (Mauch and Dixon 2014)."""
    speech = speech[:33_000]
    hz, voiced, _ = librosa.pyin(
        speech, fmin=80, fmax=400, sr=22_050, frame_length=1024, hop_length=256, resolution=0.3
    )
    found = pitches_hz(pitch_strengths(decibels(torch.from_numpy(speech)[None]), SPEC))[0]
    cents = 1200 * np.log2(found.numpy()[voiced] / hz[voiced])
    assert voiced.sum() > 50
    assert np.mean(np.abs(cents) < 100) > 0.9


def test_pitch_strengths_are_swipes_equation():
    """One frame of one pitch, bin by bin in float64."""
    rng = np.random.default_rng(0)
    frame = rng.uniform(-80, -10, 256)
    bank = mel_filters(SPEC, torch.device("cpu")).numpy().astype(np.float64)
    centres = bank @ np.linspace(0, 11_025, 513) / bank.sum(1)
    width = np.gradient(centres)
    pitch = 100
    pitch_hz = 55 * 2 ** (pitch / 48)
    kernel = np.zeros(256)
    for k, centre in enumerate(centres):
        if pitch_hz / 4 < centre < 3500:
            depth = 1 if abs(centre / pitch_hz - round(centre / pitch_hz)) < 1 / 4 else 1 / 2
            kernel[k] = depth * math.cos(2 * math.pi * centre / pitch_hz) * width[k] / centre
    kernel /= math.sqrt(sum(x**2 for x in kernel if x > 0))
    roots = np.sqrt(10 ** (frame / 20))
    expected = kernel @ roots / np.linalg.norm(roots)
    found = pitch_strengths(torch.from_numpy(frame).float()[None, :, None], SPEC)[0, pitch, 0]
    assert float(found) == pytest.approx(expected, abs=1e-4)


def test_a_wrong_pitch_costs_and_a_wrong_level_does_not():
    picture = decibels(buzz(150.0))
    losses = [float(pitch_loss(decibels(buzz(hz)), picture, SPEC)) for hz in (150, 153, 160, 300)]
    assert losses[0] < 1e-5 and losses == sorted(losses) and losses[-1] > 1
    assert float(pitch_loss(picture - 12, picture, SPEC)) < 1e-3


def test_the_envelope_says_how_much_there_is_and_not_where_harmonics_lie():
    picture, other = decibels(buzz(150.0)), decibels(buzz(161.0))
    loud = picture.clamp(min=-60)
    assert float(envelope_loss(loud - 6, loud, SPEC)) == pytest.approx(0.3, rel=0.01)
    moved = float(envelope_loss(other, picture, SPEC))
    assert moved < 0.2 * float((other - picture).abs().mean() / 20)


def test_a_voice_in_breath_costs_and_other_breath_little():
    hiss, other = (
        0.1 * torch.randn(1, 6_615, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 1)
    )
    voice, wrong = buzz(150.0, 0.3), buzz(170.0, 0.3)

    def cost(shown, true):
        return float(pitch_loss(decibels(torch.cat(shown, 1)), decibels(torch.cat(true, 1)), SPEC))

    alone = cost([wrong], [voice])
    assert cost([wrong, other], [voice, hiss]) == pytest.approx(alone, rel=0.15)
    assert cost([voice, other], [voice, hiss]) < 0.05 * alone
    assert cost([voice, other + wrong], [voice, hiss]) > 3 * cost([voice, other], [voice, hiss])


def test_losses_that_are_not_wanted_ask_for_nothing(true):
    """Intelligibility needs a third of a second; the others don't."""
    short = decibels(true)[:, :, :20]
    found = spectrogram_losses(short + 2, short, SPEC, 0.5, ("decibels", "pitch"))
    assert list(found) == ["decibels", "pitch"]
    with pytest.raises(BadInput, match="intelligibility"):
        spectrogram_losses(short + 2, short, SPEC, 0.5)
