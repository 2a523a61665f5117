"""The filter bank: it gives back what it gets, and each band holds its own frequencies."""

import math

import pytest
import torch

from vocoder.inverter.wavenet.filter_bank import FilterBank

BANDS = [2, 4, 8]


def decibels(ratio):
    return 10 * math.log10(float(ratio))


@pytest.fixture(params=BANDS)
def bank(request):
    return FilterBank(request.param)


@pytest.fixture
def noise():
    return torch.randn(2, 4_000, generator=torch.Generator().manual_seed(0))


def test_joined_bands_are_the_signal(bank, noise, speech):
    for signal in (noise, torch.from_numpy(speech[: len(speech) // 8 * 8])[None]):
        joined = bank.join(bank.split(signal))
        assert joined.shape == signal.shape
        inner = slice(2 * bank.reach, signal.shape[1] - 2 * bank.reach)
        error = (joined - signal)[:, inner].square().sum() / signal[:, inner].square().sum()
        assert float(error) <= 4e-6  # -54 dB


def test_bands_hold_the_energy(bank, noise):
    split = bank.split(noise)
    assert split.shape == (2, bank.bands, 4_000 // bank.bands)
    assert abs(decibels(split.square().sum() / noise.square().sum())) < 0.02


def test_a_tone_is_in_its_band(bank):
    n = torch.arange(4_000, dtype=torch.float64)
    for band in range(bank.bands):
        frequency = (band + 0.5) / (2 * bank.bands)  # cycles a sample: the middle of the band
        tone = torch.sin(2 * math.pi * frequency * n).float()[None]
        energies = bank.split(tone)[0, :, 50:-50].square().sum(1)
        assert int(energies.argmax()) == band
        others = energies.sum() - energies[band]
        assert float(others) <= 1e-6 * float(energies[band])  # 60 dB


def test_a_step_lies_at_its_sample(bank):
    impulse = torch.zeros(1, 800)
    impulse[0, 400] = 1
    energy = bank.split(impulse)[0].square().sum(0)
    centre = float((energy * torch.arange(len(energy))).sum() / energy.sum())
    assert centre * bank.bands == pytest.approx(400, abs=0.6 * bank.bands)
    heard = bank.join(bank.split(impulse))[0]
    assert int(heard.abs().argmax()) == 400
    away = torch.cat([heard[: 400 - 2 * bank.reach], heard[401 + 2 * bank.reach :]])
    assert float(away.abs().max()) == 0


def test_power_response_is_that_of_the_filters(bank):
    """White noise of unit power comes out with the response's mean in every band."""
    white = torch.randn(1, 200_000, generator=torch.Generator().manual_seed(1))
    response = bank.response(512)
    assert response.shape == (bank.bands, 257)
    both_sides = (response[:, 1:-1].sum(1) * 2 + response[:, 0] + response[:, -1]) / 512
    measured = bank.split(white)[0].square().mean(1)
    assert measured.numpy() == pytest.approx(both_sides, rel=0.03)
