"""What networks see of a spectrogram."""

import math

import pytest
import torch

from vocoder.config import load
from vocoder.model.features import CENTRE_DB, FLOOR_DB, SCALE_DB, features
from vocoder.spectrogram import analyse

MEL, LOG = load("spec", "mel256"), load("spec", "tacotron2")


def test_features_of_speech_have_about_zero_mean_and_unit_variance(speech):
    seen = features(analyse(torch.from_numpy(speech)[None], MEL).decibels, MEL)
    assert abs(seen.mean()) < 0.8 and 0.5 < seen.std() < 1.5
    assert seen.min() == (FLOOR_DB - CENTRE_DB) / SCALE_DB


def test_a_spec_with_logarithms_gets_them(speech):
    given = analyse(torch.from_numpy(speech)[None], LOG)
    expected = torch.log(torch.clamp(given.linear, min=LOG.floor))
    assert torch.allclose(features(given.decibels, LOG), expected, atol=1e-4)
    silent = features(torch.full((1, 80, 3), -200.0), LOG)
    assert silent.max() == pytest.approx(math.log(1e-5))
