"""The voice drawn anew: one pitch for all bands, under the envelope of the image."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.refusals import refused
from vocoder.config import load
from vocoder.decibels import SILENCE_DB
from vocoder.model.features import FLOOR_DB
from vocoder.repair.envelope import envelope_db, smoother
from vocoder.repair.pitch import NO_VOICE, pitch_strengths, pitch_track, pitches_hz
from vocoder.repair.source_filter import _combs, _noise_power
from vocoder.spectrogram import analyse

MEL = load("spec", "mel256")
THRESHOLD = 0.4


def voice(hz, n_samples=33_075):
    """Harmonics of one pitch, falling by 6 dB an octave; its pitch may change over time."""
    phase = 2 * math.pi * torch.cumsum(torch.as_tensor(hz).expand(n_samples) / 22_050, 0)
    tones = [torch.sin(k * phase) / k for k in range(1, 19)]
    return 0.2 * torch.stack(tones).sum(0)[None].float()


def track_of(samples, spec=MEL):
    decibels = analyse(samples, spec).decibels.clamp(min=FLOOR_DB)
    return pitch_track(pitch_strengths(decibels, spec)[0].numpy(), THRESHOLD)


@pytest.mark.parametrize("hz", [82.0, 130.0, 220.0, 400.0])
def test_the_track_is_the_pitch_of_a_voice(hz):
    track = track_of(voice(hz))[4:-4]
    assert (track != NO_VOICE).all()
    cents = 1200 * np.log2(pitches_hz()[track] / hz)
    assert np.abs(cents).max() < 40


def test_the_track_follows_a_gliding_voice_and_ends_with_it():
    glide = torch.linspace(110, 180, 33_075, dtype=torch.float64)
    samples = torch.cat([voice(glide), torch.zeros(1, 22_050)], 1)
    noise = torch.randn(samples.shape, generator=torch.Generator().manual_seed(0))
    track = track_of(samples + 1e-3 * noise)
    found = pitches_hz()[track[6:120]]
    expected = glide.numpy()[np.arange(6, 120) * 256]
    assert np.abs(1200 * np.log2(found / expected)).max() < 60
    assert (track[140:-4] == NO_VOICE).mean() > 0.9


def test_the_track_is_the_best_of_all_paths():
    """Against every path of a small lattice, by the sum that Viterbi maximises."""
    rng = np.random.default_rng(0)
    strengths = rng.uniform(0, 0.3, (4, 5))

    def score(path):
        total = 0.0
        for frame, here in enumerate(path):
            total += 0.15 if here == 4 else strengths[here, frame]
            if frame:
                before = path[frame - 1]
                voices = (here != 4) + (before != 4)
                total -= 0.012 * abs(here - before) if voices == 2 else 0.06 * (voices == 1)
        return total

    paths = np.stack(np.meshgrid(*[np.arange(5)] * 5, indexing="ij")).reshape(5, -1).T
    best = max(score(path) for path in paths)
    found = pitch_track(strengths, 0.15)
    assert score(np.where(found == NO_VOICE, 4, found)) == pytest.approx(best)


@pytest.mark.parametrize("name", ["mel256", "linear512"])
def test_harmonics_and_noise_have_a_mean_power_of_one(name):
    spec = load("spec", name)
    combs = _combs(spec)
    assert torch.isfinite(combs).all() and (combs >= 0).all()
    for pitch in (40, 100):
        smooth = smoother(spec, float(pitches_hz()[pitch])) @ combs[pitch]
        assert 0.5 < smooth[20:200].median() < 2
    noise = _noise_power(400, spec, 0)
    assert torch.allclose(noise.mean(1), torch.ones(spec.bins), atol=1e-4)
    # Power of noise that is Gaussian is exponential: as wide as its mean, over one bin.
    assert name == "mel256" or noise[50:400].std() == pytest.approx(1, abs=0.15)


def test_the_envelope_of_a_flat_image_is_flat():
    flat = torch.full((256, 9), -40.0)
    track = np.array([NO_VOICE, 0, 10, 60, 60, 120, 164, NO_VOICE, 5])
    assert torch.allclose(envelope_db(flat, track, MEL), flat, atol=1e-3)


def test_a_broken_voice_has_one_pitch_again():
    """Upper bands of another pitch than the lower ones: afterwards all agree."""
    low, high = (analyse(voice(hz), MEL).decibels for hz in (120.0, 163.0))
    broken = low.clone()
    broken[:, 90:] = high[:, 90:]
    given = replace(analyse(voice(120.0), MEL), decibels=broken)
    repair = load("repair", "source_filter", smooth_frames=0.0)
    drawn = repair(given)
    assert drawn.estimated == 1 and drawn.decibels.shape == broken.shape
    inner = drawn.decibels[0, 90:120, 8:-8].mean(1)
    own, foreign = (x[0, 90:120, 8:-8].mean(1) for x in (low, high))

    def likeness(a, b):
        return float(torch.corrcoef(torch.stack([a, b]))[0, 1])

    assert likeness(inner, own) > likeness(inner, foreign) + 0.1


def test_strength_black_and_seed(speech):
    given = analyse(torch.from_numpy(speech[:40_000])[None], MEL)
    repair = load("repair", "source_filter")
    assert load("repair", "source_filter", strength=0.0)(given) is given
    whole = repair(given).decibels
    assert torch.equal(repair(given).decibels, whole)
    assert not torch.equal(load("repair", "source_filter", seed=1)(given).decibels, whole)
    assert (whole[given.decibels <= FLOOR_DB] == SILENCE_DB).all()
    half = load("repair", "source_filter", strength=0.5)(given).decibels
    both = (whole > FLOOR_DB) & (half > FLOOR_DB)
    assert torch.allclose(half[both], (whole + given.decibels)[both] / 2, atol=1e-3)


@pytest.mark.parametrize(("name", "value"), [("threshold", 1.5), ("smooth_frames", -1.0)])
def test_settings_out_of_range_are_refused(name, value):
    with refused(f"repair.{name}.range"):
        load("repair", "source_filter", **{name: value})
