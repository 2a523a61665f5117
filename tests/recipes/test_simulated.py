"""The simulated generators degrade images as it was measured on generated ones."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from recipes.systems import SIMULATED, render
from vocoder.config import load
from vocoder.spectrogram import analyse

SPEC = load("spec", "mel256")
GREY, HUE = (load("codec", f"{name}:db_min=-92.04,db_max=-12.04") for name in ("gray8", "hue"))


@pytest.fixture(scope="module")
def decibels(speech):
    return analyse(torch.from_numpy(speech)[None], SPEC).decibels[0].numpy()


def degraded(name, codec, decibels):
    degradation = SIMULATED[name]
    return degradation._noisy(degradation.generate(decibels, codec, SPEC)).astype(float)


def test_one_guess_keeps_what_is_coarse_and_has_the_power_of_the_truth(decibels):
    true = GREY.encode(decibels, SPEC).astype(float)
    made = degraded("generator1", GREY, decibels)
    channels = made - made.mean(axis=2, keepdims=True)
    assert channels.std() == pytest.approx(2.6, abs=0.4)
    grey = made.mean(axis=2)
    coarse = [gaussian_filter(one, 4) for one in (true, grey)]
    assert np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1] > 0.99
    fine = [one - gaussian_filter(one, 1.3) for one in (true, grey)]
    assert abs(np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1]) < 0.4
    assert 0.3 < fine[1].var() / fine[0].var() < 1.2  # some of it is blurred again
    assert grey.var() / true.var() == pytest.approx(1, abs=0.1)


def test_blends_of_several_guesses_lie_off_the_path(decibels):
    distances = [
        np.median(HUE.path().nearest(degraded(f"generator{n}", HUE, decibels))[1])
        for n in (1, 2, 3)
    ]
    assert distances == sorted(distances)


@pytest.mark.parametrize("name", SIMULATED)
@pytest.mark.parametrize("codec", ["gray8", "hue:trust_steps=30"])
def test_they_are_roads_like_others(name, codec, speech, tmp_path):
    road = f"mel256/{codec}/{name}/none+griffin_lim:n_iter=1,init=zero"
    rendered = render(road, speech, SPEC.sample_rate, tmp_path)
    assert rendered.samples.shape == speech.shape
    assert rendered.picture_rms_db is not None and rendered.picture_rms_db > 1
