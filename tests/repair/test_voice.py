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
from vocoder.repair.pitch import (
    NO_VOICE,
    STEP_COST,
    SWITCH_COST,
    pitch_strengths,
    pitch_track,
    pitches_hz,
    smooth_hz,
)
from vocoder.repair.voice import NOISE_CONTRAST, Voice, _noise_power, combs
from vocoder.spectrogram import Spectrogram, analyse

MEL = load("spec", "mel256")
THRESHOLD = 0.4
SETTINGS = {
    "agree_none": 0.15,
    "agree_full": 0.35,
    "smooth_frames": 1.0,
    "smooth_pitch_frames": 4.0,
    "seed": 0,
}


def voice(hz, n_samples=33_075):
    """Harmonics of one pitch, falling by 6 dB an octave; its pitch may change over time."""
    phase = 2 * math.pi * torch.cumsum(torch.as_tensor(hz).expand(n_samples) / 22_050, 0)
    tones = [torch.sin(k * phase) / k for k in range(1, 19)]
    return 0.2 * torch.stack(tones).sum(0)[None].float()


def log_probabilities(samples, spec=MEL):
    """From strengths alone, as a network would say it."""
    decibels = analyse(samples, spec).decibels.clamp(min=FLOOR_DB)
    strengths = pitch_strengths(decibels, spec)[0]
    silent = torch.full((1, strengths.shape[1]), THRESHOLD)
    return (torch.cat([strengths, silent]) / 0.03).log_softmax(0).numpy()


def track_of(samples, spec=MEL):
    return pitch_track(log_probabilities(samples, spec))


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
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5) / 2, 5).T
    voiced = probabilities[:4]
    scores = np.log(voiced * voiced.sum(0) / voiced.max(0))

    def score(path):
        total = 0.0
        for frame, here in enumerate(path):
            total += np.log(probabilities[4, frame]) if here == 4 else scores[here, frame]
            if frame:
                before = path[frame - 1]
                voices = int(here != 4) + int(before != 4)
                total -= STEP_COST * abs(here - before) if voices == 2 else 0
                total -= SWITCH_COST if voices == 1 else 0
        return total

    paths = np.stack(np.meshgrid(*[np.arange(5)] * 5, indexing="ij")).reshape(5, -1).T
    best = max(score(path) for path in paths)
    found = pitch_track(np.log(probabilities))
    assert score(np.where(found == NO_VOICE, 4, found)) == pytest.approx(best)


def test_a_smoothed_pitch_glides_between_the_steps_of_its_track():
    """A whole tone in 60 frames is eight steps; nor do voices change each other."""
    hz = 110 * 2 ** np.linspace(0, 1 / 6, 60)
    one = np.abs(np.log2(pitches_hz()[:, None] / hz)).argmin(0)
    track = np.concatenate([one, [NO_VOICE], one + 48])
    smoothed = smooth_hz(track, 4.0)

    def cents(found):
        return 1200 * np.abs(np.log2(found / hz)).mean()

    assert cents(smoothed[:60]) < 0.5 * cents(smooth_hz(track, 0.0)[:60])
    np.testing.assert_allclose(smoothed[61:], 2 * smoothed[:60])
    np.testing.assert_allclose(smooth_hz(track, 0.0), pitches_hz()[np.maximum(track, 0)])


@pytest.mark.parametrize("name", ["mel256", "linear512"])
def test_harmonics_and_noise_have_a_mean_power_of_one(name):
    spec = load("spec", name)
    comb = combs(spec, pitches_hz()).T
    assert torch.isfinite(comb).all() and (comb >= 0).all()
    for pitch in (40, 100):
        smooth = smoother(spec, float(pitches_hz()[pitch])) @ comb[pitch]
        assert 0.5 < smooth[20:200].median() < 2
    noise = _noise_power(spec, 0)
    assert torch.allclose(noise.mean(1), torch.ones(spec.bins), atol=1e-4)
    if name == "linear512":  # the power of noise is exponential, so its deviation in dB is 5.57
        deviation_db = (10 * noise[50:400].log10()).std()
        assert deviation_db == pytest.approx(NOISE_CONTRAST * 5.57, rel=0.05)


def test_the_envelope_of_a_flat_image_is_flat():
    flat = torch.full((256, 9), -40.0)
    track = np.array([NO_VOICE, 0, 10, 60, 60, 120, 164, NO_VOICE, 5])
    assert torch.allclose(envelope_db(flat, track, MEL), flat, atol=1e-3)


def drawn(samples, image_db, **changes):
    voice_ = Voice(**{**SETTINGS, "smooth_frames": 0.0, **changes})
    pitches = torch.from_numpy(log_probabilities(samples))
    return voice_.draw(image_db, image_db, pitches, MEL)


def test_harmonics_that_agree_stay_and_broken_ones_are_drawn_anew():
    """Upper bands of another pitch than the lower ones: afterwards all agree."""
    low, high = (analyse(voice(hz), MEL).decibels[0].clamp(min=FLOOR_DB) for hz in (120.0, 163.0))
    whole, trust = drawn(voice(120.0), low)
    assert trust.mean() > 0.95 and (whole - low).abs().mean() < 0.5
    broken = low.clone()
    broken[40:] = high[40:]
    made, trust = drawn(voice(120.0), broken)
    assert trust.mean() < 0.3

    def likeness(a, b):
        pair = [x[60:110, 8:-8].mean(1) for x in (a, b)]
        return float(torch.corrcoef(torch.stack(pair))[0, 1])

    assert likeness(made, low) > likeness(made, high) + 0.1


def test_a_piece_is_drawn_as_in_the_whole(speech):
    samples = torch.from_numpy(np.resize(speech, 2400 * 256))[None]  # longer than what is seen
    image = analyse(samples, MEL).decibels[0].clamp(min=FLOOR_DB)
    noise = image + 9 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    repair = load("repair", "generated", chunk_frames=800)
    whole = load("repair", "generated")
    given = Spectrogram(noise[None], MEL)
    made, expected = repair(given), whole(given)
    assert torch.allclose(made.decibels, expected.decibels, atol=1e-2)
    assert torch.allclose(made.certainty, expected.certainty, atol=1e-3)


def test_strength_black_and_seed(speech):
    given = analyse(torch.from_numpy(speech[:40_000])[None], MEL)
    repair = load("repair", "generated", **{"voice.agree_none": 0.98, "voice.agree_full": 0.99})
    assert load("repair", "generated", strength=0.0)(given) is given
    whole = repair(given).decibels
    assert torch.equal(repair(given).decibels, whole)
    other = replace(repair, voice=replace(repair.voice, seed=1))
    assert not torch.equal(other(given).decibels, whole)
    assert (whole[given.decibels <= FLOOR_DB] == SILENCE_DB).all()
    half = replace(repair, strength=0.5)(given)
    both = (whole > FLOOR_DB) & (half.decibels > FLOOR_DB)
    expected = (whole + given.decibels)[both] / 2
    assert torch.allclose(half.decibels[both], expected, atol=1e-3)
    assert half.estimated == 0.5 and half.certainty.min() >= 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agree_none", 0.5),
        ("agree_none", -2.0),
        ("smooth_frames", -1.0),
        ("smooth_pitch_frames", 101),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with refused(f"repair.voice.{name}.range"):
        Voice(**{**SETTINGS, name: value})
