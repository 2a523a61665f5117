"""What networks see of a spectrogram."""

from dataclasses import replace

import pytest
import torch

from vocoder.config import load
from vocoder.model.features import CENTRE_DB, FLOOR_DB, SCALE_DB, features, from_db, to_db
from vocoder.spectrogram import analyse

MEL, LOG = load("spec", "mel256"), load("spec", "tacotron2")


def test_a_full_scale_sine_is_at_zero_decibels():
    seconds = torch.arange(22_050) / 22_050
    tone = torch.sin(2 * torch.pi * 46 * 22_050 / 512 * seconds)[None]  # at a bin's centre
    for name in ("linear512", "linear256"):
        spec = load("spec", name)
        for power in (1.0, 2.0):
            given = replace(spec, power=power)
            assert abs(to_db(analyse(tone, given).values, given).max()) < 0.5
            assert to_db(analyse(0.1 * tone, given).values, given).max() == pytest.approx(
                -20, abs=0.5
            )


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_silence_is_the_floor_and_the_floor_is_silence(power):
    spec = replace(MEL, power=power)
    values = torch.tensor([0.0, 1e-20, 1e-3, 1.0])[None, None] * spec.full_scale
    decibels = to_db(values, spec)
    assert decibels[0, 0].tolist() == pytest.approx([FLOOR_DB, FLOOR_DB, -60 / power, 0], abs=1e-4)
    back = from_db(decibels, spec)
    assert back[0, 0, :2].tolist() == [0, 0]
    assert torch.allclose(back[0, 0, 2:], values[0, 0, 2:], rtol=1e-4)
    assert from_db(torch.tensor([[[FLOOR_DB - 50]]]), spec) == 0


def test_features_of_speech_have_about_zero_mean_and_unit_variance(speech):
    seen = features(analyse(torch.from_numpy(speech)[None], MEL).values, MEL)
    assert abs(seen.mean()) < 0.8 and 0.5 < seen.std() < 1.5
    assert seen.min() == (FLOOR_DB - CENTRE_DB) / SCALE_DB


def test_a_spec_with_logarithms_keeps_them(speech):
    values = analyse(torch.from_numpy(speech)[None], LOG).values
    assert LOG.compression == "log"
    expected = torch.log(torch.clamp(values, min=LOG.floor))
    assert torch.equal(features(values, LOG), expected)
    assert features(torch.zeros(1, 80, 3), LOG).max() == pytest.approx(torch.tensor(1e-5).log())
