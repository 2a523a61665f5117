"""Integrated phases: the physics of simple sounds, and the published algorithm with a real heap."""

import heapq
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from vocoder.config import load
from vocoder.inverter.differences import DEPTH_NEPER, GAUSSIAN_RATIO, log_above_floor
from vocoder.inverter.phase import (
    INITS,
    agree,
    initial_phase,
    integrate,
    integrated_phase,
)
from vocoder.spectrogram import istft_to_padded, stft, stft_of_padded

SPECS = {
    "256": replace(load("spec", "linear256"), nyquist=True),
    "512": replace(load("spec", "linear512"), nyquist=True),
    "seed": load("spec", "seed"),
}
SPEC = SPECS["512"]
RATE_HZ = 22_050


@pytest.fixture(params=list(SPECS))
def spec(request):
    return SPECS[request.param]


def simple_sounds():
    t = torch.arange(RATE_HZ // 2, dtype=torch.float64) / RATE_HZ
    impulse = torch.zeros_like(t)
    impulse[5_500] = 1
    return {
        "sine": 0.5 * torch.sin(2 * math.pi * 1_000 * t),
        "chirp": 0.5 * torch.sin(2 * math.pi * (500 * t + 2_000 * t**2)),
        "impulse": impulse,
    }


def magnitudes(sound, spec):
    return stft(sound.float().reshape(1, -1), spec).abs()[0]


def random_phase(magnitude):
    generator = torch.Generator().manual_seed(0)
    return 2 * math.pi * torch.rand(magnitude.mT.shape, generator=generator)


def integrated(magnitude, spec):
    """Phases ``(n_freqs, frames)`` for magnitudes of that shape."""
    by_frame = magnitude.mT.contiguous()
    return integrated_phase(by_frame, spec, random_phase(magnitude), None).mT


def convergence(magnitude, phase, spec):
    """Spectral convergence of the sound that magnitudes and phases become."""
    transform = torch.polar(magnitude, torch.as_tensor(phase).float().contiguous())[None]
    heard = stft_of_padded(istft_to_padded(transform, spec), spec).abs()[0]
    return float(torch.linalg.norm(heard - magnitude) / torch.linalg.norm(magnitude))


def heap_integration(magnitude, spec):
    """Algorithm 1 of Prusa, Balazs and Sondergaard (2017) word by word, in float64."""
    magnitude = magnitude.double().numpy()
    phase = random_phase(torch.from_numpy(magnitude)).mT.double().numpy().copy()
    loud = magnitude > magnitude.max() * math.exp(-DEPTH_NEPER)
    log = np.log(np.maximum(magnitude, magnitude.max() * math.exp(-2 * DEPTH_NEPER)))
    gamma = GAUSSIAN_RATIO["hann"] * spec.win_length**2
    hop, n_fft = spec.hop_length, spec.n_fft
    bins = np.arange(len(magnitude))[:, None]
    over_time = hop * n_fft / gamma * np.gradient(log, axis=0) + 2 * np.pi * hop * bins / n_fft
    over_frequency = -gamma / (hop * n_fft) * np.gradient(log, axis=1) - np.pi
    todo = loud.copy()
    while todo.any():
        m, n = np.unravel_index(np.argmax(np.where(todo, magnitude, -1)), magnitude.shape)
        todo[m, n] = False
        heap = [(-magnitude[m, n], m, n)]
        while heap:
            _, m, n = heapq.heappop(heap)
            for dm, dn in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                p, q = m + dm, n + dn
                inside = 0 <= p < todo.shape[0] and 0 <= q < todo.shape[1]
                if inside and todo[p, q]:
                    over = over_time if dn else over_frequency
                    phase[p, q] = phase[m, n] + (dm + dn) * (over[m, n] + over[p, q]) / 2
                    todo[p, q] = False
                    heapq.heappush(heap, (-magnitude[p, q], p, q))
    return phase


@pytest.mark.parametrize(
    ("name", "most"),
    [("sine", 0.06), ("chirp", 0.1), ("impulse", 0.1)],
    ids=lambda value: str(value),
)
def test_simple_sounds_are_nearly_consistent_at_once(name, most, spec):
    magnitude = magnitudes(simple_sounds()[name], spec)
    found = convergence(magnitude, integrated(magnitude, spec), spec)
    assert found < most
    assert found < convergence(magnitude, random_phase(magnitude).mT, spec) / 5


def test_speech_is_as_consistent_as_with_a_real_heap(spec, speech):
    magnitude = magnitudes(torch.from_numpy(speech[:RATE_HZ]), spec)
    found = convergence(magnitude, integrated(magnitude, spec), spec)
    assert found < 1.1 * convergence(magnitude, heap_integration(magnitude, spec), spec)
    assert found < (0.13 if spec.n_fft <= 1024 else 0.18)
    assert found < convergence(magnitude, random_phase(magnitude).mT, spec) / 3


def test_a_sine_turns_at_its_frequency(spec):
    magnitude = magnitudes(simple_sounds()["sine"], spec)
    loudest = int(magnitude[:, 20].argmax())
    phase = integrated(magnitude, spec)[loudest, 4:-4].double().numpy()
    turns = np.diff(phase) - 2 * math.pi * 1_000 * spec.hop_length / RATE_HZ
    wrapped = np.angle(np.exp(1j * turns))
    # 0.02 rad a hop is 0.3 Hz at 1024/256: the window is no Gaussian.
    assert abs(wrapped.mean()) < 0.02
    assert np.abs(wrapped).max() < 0.05


def test_an_impulse_lies_where_its_group_delay_says(spec):
    position = 5_500
    magnitude = magnitudes(simple_sounds()["impulse"], spec)
    frame = round(position / spec.hop_length)
    inside = position - (frame * spec.hop_length - spec.n_fft // 2)
    phase = integrated(magnitude, spec)[:, frame].double().numpy()
    turns = np.angle(np.exp(1j * (np.diff(phase) + 2 * math.pi * inside / spec.n_fft)))
    assert abs(np.median(turns)) * spec.n_fft / (2 * math.pi) < 0.1 * spec.hop_length


def test_windows_of_other_shapes_and_lengths_are_known(speech):
    sound = torch.from_numpy(speech[:RATE_HZ])
    for changes in (
        {"window": "hamming"},
        {"window": "blackman"},
        {"win_length": 800, "hop_length": 200},
        {"center": False},
    ):
        spec = replace(SPEC, **changes)
        magnitude = magnitudes(sound, spec)
        assert convergence(magnitude, integrated(magnitude, spec), spec) < 0.17, changes


def test_known_frames_stay_and_the_rest_goes_on_from_them(spec):
    transform = stft(simple_sounds()["sine"].float()[None], spec)
    # Two phases that integration on its own would not find.
    turned = torch.cat([transform * np.exp(2j), transform * np.exp(-1j)])
    k, generator = 8, torch.Generator().manual_seed(0)
    start = initial_phase(turned.abs(), spec, "phase_gradient", generator, turned[:, :, :k])
    loudest = int(transform[0, :, 20].abs().argmax())
    off = (start / turned).angle()[:, loudest, k : k + 8]
    assert off.abs().max() < 0.2


def test_known_frames_of_a_batch_are_put_in_place(speech):
    sounds = torch.from_numpy(speech[:16_384]).reshape(2, -1)
    transform = stft(sounds, SPEC)
    known = transform[:, :, :5] * 1j
    for init in INITS:
        start = initial_phase(
            transform.abs(), SPEC, init, torch.Generator().manual_seed(0), known.clone()
        )
        assert torch.equal(start[:, :, :5], known)
        assert torch.allclose(start.abs(), transform.abs(), rtol=1e-5, atol=1e-6)


def test_first_phases_are_what_they_are_called(speech):
    transform = stft(torch.from_numpy(speech[:RATE_HZ])[None], SPEC)
    magnitude = transform.abs()
    starts = {
        init: initial_phase(magnitude, SPEC, init, torch.Generator().manual_seed(0), None)
        for init in INITS
    }
    assert torch.equal(starts["zero"], magnitude + 0j)
    loud = magnitude > 1e-3
    phases = starts["random"].angle()[loud].double()
    # The mean of n random directions is 1 / sqrt(n) long.
    for harmonic in (1, 2, 3):
        direction = torch.polar(torch.ones_like(phases), harmonic * phases).mean().abs()
        assert direction < 4 / math.sqrt(len(phases))


def test_too_quiet_bins_keep_random_phases(speech):
    magnitude = magnitudes(torch.from_numpy(speech[:RATE_HZ]), SPEC)
    quiet = magnitude < 0.9 * magnitude.max() * math.exp(-DEPTH_NEPER)
    loud = magnitude > 1.1 * magnitude.max() * math.exp(-DEPTH_NEPER) * math.exp(0.25)
    same = torch.isclose(integrated(magnitude, SPEC), random_phase(magnitude).mT, atol=1e-5)
    assert same[quiet].all()
    assert same[loud].float().mean() < 0.2, "hardly any loud bin was integrated"


@pytest.mark.parametrize("shape", [(513, 1), (1, 40), (513, 40)])
def test_nothing_to_integrate_leaves_the_given_phases(shape):
    silence = torch.zeros(shape)
    assert torch.equal(integrated(silence, SPEC), random_phase(silence).mT)


def true_differences(transform):
    """Phase differences to the next frame and to the next bin, complex ``(2, frames, n_freqs)``."""
    by_frame = transform.mT
    pairs = torch.stack([by_frame.roll(-1, 0), by_frame.roll(-1, 1)]) * by_frame.conj()
    return pairs / pairs.abs().clamp(min=1e-20)


def off(transform, phase):
    """Mean phase error, weighted by magnitude, but for one angle that all share."""
    errors = transform.mT * torch.polar(torch.ones_like(phase), -phase)
    return 1 - float(errors.sum().abs() / errors.abs().sum())


def test_true_differences_give_the_true_phases(spec, speech):
    transform = stft(torch.from_numpy(speech[:RATE_HZ])[None], spec)[0].to(torch.complex128)
    magnitude = transform.abs().mT.contiguous()
    angles = true_differences(transform).angle()
    fallback = random_phase(magnitude.mT).double()
    phase = integrate(log_above_floor(magnitude), angles[0], angles[1], fallback, None)

    assert convergence(magnitude.mT.float(), phase.mT, spec) < 0.02


def test_neighbours_mend_what_one_path_gets_wrong(spec, speech):
    """Differences that are off at random: the mean of four is nearer, and the truth stays."""
    transform = stft(torch.from_numpy(speech[:RATE_HZ])[None], spec)[0]
    magnitude, true = transform.abs().mT.contiguous(), transform.mT.angle()
    certain = true_differences(transform)
    assert off(transform, agree(true, certain, magnitude, None)) < 1e-4
    drawn = torch.Generator().manual_seed(0)
    wrong = certain.angle() + 0.4 * torch.randn(certain.shape, generator=drawn)
    fallback = random_phase(magnitude.mT)
    phase = integrate(log_above_floor(magnitude), wrong[0], wrong[1], fallback, None)
    noisy = torch.polar(torch.ones_like(wrong), wrong)
    before = convergence(magnitude.mT, phase.mT, spec)
    agreed = agree(phase, noisy, magnitude, None)
    assert convergence(magnitude.mT, agreed.mT, spec) < 0.8 * before
    known = true[:5]
    assert torch.allclose(
        torch.polar(torch.ones_like(known), agree(phase, noisy, magnitude, known)[:5]),
        torch.polar(torch.ones_like(known), known),
        atol=1e-5,
    )
