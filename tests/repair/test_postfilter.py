"""Contrast along frequency, given back to blurred images."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter1d

from vocoder.config import load
from vocoder.repair.postfilter import NEIGHBOURS, postfilter

LINEAR = load("spec", "linear512")  # bins of 21.5 Hz
FULL = 48  # from this bin on, 1 kHz
BINS = torch.arange(float(LINEAR.bins))


def test_it_adds_what_differs_from_the_mean_of_the_neighbours():
    image = 20 * torch.randn(2, LINEAR.bins, 7, generator=torch.Generator().manual_seed(0)) - 50
    mean = uniform_filter1d(image.double().numpy(), NEIGHBOURS, axis=1, mode="nearest")
    weight = np.clip((np.arange(LINEAR.bins) * 22_050 / 1024 - 250) / 750, 0, 1)[:, None]
    expected = image.numpy() + 0.4 * weight * (image.numpy() - mean)
    assert np.abs(postfilter(image, 0.4, LINEAR).numpy() - expected).max() < 1e-4
    assert torch.equal(postfilter(image, 0.0, LINEAR), image)


def test_levels_and_slopes_stay_and_ripples_grow():
    for smooth in (torch.full_like(BINS, -40.0), -0.1 * BINS):
        after = postfilter(smooth[None, :, None], 1.0, LINEAR)[0, 4:-4, 0]
        assert torch.allclose(after, smooth[4:-4], atol=1e-3)
    # Harmonics of six bins, 3 dB high: the neighbours' mean hardly knows of them.
    ripple = 3 * torch.cos(2 * torch.pi * BINS / 6)
    after = postfilter(ripple[None, :, None] - 40, 0.5, LINEAR)[0, :, 0] + 40
    assert 1.4 < after[FULL:-8].abs().max() / 3 < 1.7
    assert torch.allclose(after[:11], ripple[:11], atol=1e-3)  # up to 250 Hz


@pytest.mark.parametrize("name", ["mel256", "tacotron2", "linear256"])
def test_every_spec_has_its_frequencies(name):
    """A ridge at 200 Hz stays as it is, one at 3 kHz rises."""
    spec = load("spec", name)
    waves = torch.full((1, spec.bins, 1), -60.0)
    low = round(spec.bins * 0.02) if spec.kind == "mel" else 2
    high = spec.bins * 2 // 3
    waves[:, [low, high]] = -40.0
    after = postfilter(waves, 0.5, spec)
    assert abs(after[0, low, 0] + 40) < 0.1 < after[0, high, 0] + 40 - 5
