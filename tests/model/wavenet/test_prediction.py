"""Linear prediction from the picture: against scipy, known processes and real speech."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from vocoder.config import load, options
from vocoder.model.wavenet.pqmf import FilterBank
from vocoder.model.wavenet.prediction import (
    BLOCKS_PER_FRAME,
    WHITENING,
    levinson,
    predict_from,
)
from vocoder.spectrogram import analyse

MEL = load("spec", "mel256")
LINEAR = load("spec", "linear512")


def ended(values):
    """With the frame that only ends the last blocks."""
    return torch.nn.functional.pad(values, (0, 1), mode="replicate")


def test_levinson_solves_the_normal_equations():
    rng = np.random.default_rng(0)
    signals = rng.standard_normal((3, 400)).cumsum(axis=1)
    order = 20
    lags = np.stack([[s[: 400 - k] @ s[k:] for k in range(order + 1)] for s in signals])
    coefficients, left = levinson(torch.from_numpy(lags))
    for row, mine, energy in zip(lags, coefficients.numpy(), left.numpy(), strict=True):
        loaded = row.copy()
        loaded[0] *= 1 + WHITENING
        theirs = solve_toeplitz(loaded[:-1], row[1:])
        assert mine == pytest.approx(theirs, abs=1e-6)
        assert energy == pytest.approx(loaded[0] - row[1:] @ theirs, rel=1e-6)


def test_levinson_of_silence_is_silence():
    coefficients, left = levinson(torch.zeros(2, 9, dtype=torch.float64))
    assert coefficients.abs().max() == 0 and left.abs().max() == 0


def test_a_known_process_is_found_from_its_spectrogram():
    """Two poles: the picture gives their coefficients and the level of what drives them."""
    rng = np.random.default_rng(1)
    pole = 0.9 * np.exp(1j * 0.6)
    expected = [2 * pole.real, -(abs(pole) ** 2)]
    driver = 0.01 * rng.standard_normal(60 * 1024)
    sound = lfilter([1.0], [1, -expected[0], -expected[1]], driver).astype(np.float32)
    values = analyse(torch.from_numpy(sound)[None], LINEAR).values
    steady = values.square().mean(2, keepdim=True).sqrt()
    found = predict_from(ended(steady), LINEAR, FilterBank(1), 2, 0.0)
    assert found.coefficients[0, 0, 0].numpy() == pytest.approx(expected, abs=0.02)
    assert float(found.scale[0, 0, 0]) == pytest.approx(0.01, rel=0.05)
    assert float(found.level[0, 0, 0]) == pytest.approx(sound.std(), rel=0.03)


def test_pre_emphasis_changes_the_spectrum_as_it_does_the_signal():
    rng = np.random.default_rng(2)
    sound = rng.standard_normal(40_000).cumsum().astype(np.float32)
    sound = 0.001 * lfilter([1, -1], [1, -0.99], sound).astype(np.float32)
    emphasised = np.append(sound[:1], sound[1:] - 0.85 * sound[:-1])
    bank = FilterBank(1)
    by_picture = predict_from(
        ended(analyse(torch.from_numpy(sound)[None], LINEAR).values), LINEAR, bank, 0, 0.85
    )
    by_signal = predict_from(
        ended(analyse(torch.from_numpy(emphasised)[None], LINEAR).values), LINEAR, bank, 0, 0.0
    )
    assert by_picture.level[0, 20:-20].mean() == pytest.approx(
        float(by_signal.level[0, 20:-20].mean()), rel=0.02
    )


@pytest.mark.parametrize("name", options("spec"))
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_level_and_scale_are_the_bands_own(name, power, speech):
    """Of real speech, from any picture: root mean squares where the picture shows."""
    spec = replace(load("spec", name), power=power)
    bank = FilterBank(4)
    n_frames = len(speech) // spec.hop_length
    sound = torch.from_numpy(speech[: n_frames * spec.hop_length])[None]
    found = predict_from(ended(analyse(sound, spec).values[:, :, :n_frames]), spec, bank, 16, 0.0)
    split = bank.split(sound)
    steps = split.shape[2]
    assert found.coefficients.shape == (1, n_frames * BLOCKS_PER_FRAME, 4, 16)
    rest = split - found.predict(split)
    rest[:, :, :64] = split[:, :, :64] = 0  # cut in the middle of a word: nothing to predict from
    for true, given in ((split, found.level), (rest, found.scale)):
        wanted = true.square().mean((0, 2)).sqrt()
        shown = found.at_steps(given, steps).square().mean((0, 2)).sqrt()
        off = 20 * torch.log10(shown / wanted)
        assert off[:3].abs().max() < 4.5  # above 8 kHz some pictures show nothing
    gain_db = 10 * torch.log10(split.square().sum((0, 2)) / rest.square().sum((0, 2)))
    assert gain_db[0] > 8, "the picture's predictor predicts little"
    assert gain_db[1] > 1


def test_predictors_are_stable(speech):
    values = analyse(torch.from_numpy(speech)[None], MEL).values
    found = predict_from(ended(values), MEL, FilterBank(4), 32, 0.0)
    some = found.coefficients[0, ::37].reshape(-1, 32).double().numpy()
    for coefficients in some:
        assert np.abs(np.roots(np.append(1, -coefficients))).max() < 1


def test_twice_as_loud_has_twice_the_scale(speech):
    values = ended(analyse(torch.from_numpy(speech)[None], MEL).values)
    one, two = (predict_from(factor * values, MEL, FilterBank(4), 8, 0.0) for factor in (1, 2))
    assert torch.allclose(two.scale, 2 * one.scale, rtol=1e-5)
    assert torch.allclose(two.coefficients, one.coefficients, atol=1e-5)


def test_every_step_is_predicted_from_those_before(speech):
    """One step by hand."""
    bank, order = FilterBank(4), 8
    sound = torch.from_numpy(speech[: 100 * 256])[None]
    found = predict_from(ended(analyse(sound, MEL).values[:, :, :100]), MEL, bank, order, 0.0)
    split = bank.split(sound)
    predicted = found.predict(split)
    for step in (0, 40, 2_000, 6_399):
        block = step // (split.shape[2] // found.scale.shape[1])
        past = torch.nn.functional.pad(split, (order, 0))[0, :, step : step + order].flip(1)
        by_hand = (past * found.coefficients[0, block]).sum(1)
        assert torch.allclose(predicted[0, :, step], by_hand, atol=1e-6)


def test_silence_has_no_scale():
    found = predict_from(torch.zeros(1, 256, 5), MEL, FilterBank(4), 16, 0.0)
    assert found.scale.abs().max() == found.level.abs().max() == 0
    assert math.isfinite(float(found.coefficients.abs().max()))
