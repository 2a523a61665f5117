"""Decibels of a full-scale sine, and silence."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vocoder.config import load
from vocoder.decibels import SILENCE_DB, amplify, to_decibels, to_linear

MEL = load("spec", "mel256")


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_there_and_back_in_float64s_digits(power):
    spec = replace(MEL, power=power)
    linear = torch.logspace(-9 * power, 0, 50, dtype=torch.float64)[None, None] * spec.full_scale
    decibels = to_decibels(linear.float(), spec)
    expected = 20 / power * torch.log10(linear / spec.full_scale)
    assert (decibels - expected).abs().max() < 2e-5
    assert torch.allclose(to_linear(decibels, spec).double(), linear, rtol=1e-5)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_silence_is_exactly_nothing(power):
    spec = replace(MEL, power=power)
    silent = to_decibels(torch.zeros(1, 2, 3), spec)
    assert silent == pytest.approx(SILENCE_DB, abs=1e-4)
    for level in (SILENCE_DB, SILENCE_DB - 100, float("-inf")):
        assert not to_linear(torch.full((1, 2, 3), level), spec).any()


def test_a_gain_leaves_silence_silent():
    louder = amplify(np.array([[SILENCE_DB, -90.0, 0.0]], np.float32), 12.5)
    assert louder.tolist() == [[SILENCE_DB, -77.5, 12.5]] and louder.dtype == np.float32
