"""Losses against second implementations, and what they must say of damage."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import stft as scipy_stft

from tests.refusals import refused
from tests.train.tiny import (
    SPEC,
    decibels,
    griffin_lim,
    hifigan_net,
    noisy,
    repair_net,
    shaken,
    vocoding,
)
from vocoder.config import load
from vocoder.spectrogram import analyse, mel_filters
from vocoder.train.examples import Batch, Example
from vocoder.train.losses import (
    LOG_FLOOR,
    WINDOWS,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    mel_loss,
    multi_resolution_loss,
    resolutions,
)
from vocoder.train.spectrogram_losses import LOSSES, spectrogram_losses
from vocoder.train.tasks.base import MODEL, weighted
from vocoder.train.tasks.repairing import Repairing

RESOLUTIONS = resolutions(SPEC)


def magnitudes(sound, n):
    """scipy's STFT of one sound, as `resolutions` has it."""
    padded = np.pad(sound, n // 2, mode="reflect")
    _, _, transform = scipy_stft(
        padded, window="hann", nperseg=n, noverlap=n - n // 4, boundary=None, padded=False
    )
    return np.abs(transform) * n / 2


def test_equal_sounds_and_pictures_lose_nothing(true):
    losses = multi_resolution_loss(true, true, RESOLUTIONS)
    assert {name: float(loss) for name, loss in losses.items()} == dict.fromkeys(losses, 0.0)
    assert float(mel_loss(true, true, SPEC)) == 0
    picture = decibels(true)
    found = spectrogram_losses(picture, picture, SPEC, 0.5)
    assert set(found) == set(LOSSES)
    assert all(0 <= float(loss) < 1e-5 for loss in found.values())
    silence = torch.full_like(picture, -90.0)
    assert all(
        float(loss) < 1e-5 for loss in spectrogram_losses(silence, silence, SPEC, 0.5).values()
    )


def test_windows_keep_their_length_in_time():
    assert [spec.n_fft for spec in RESOLUTIONS] == list(WINDOWS)
    for spec, window in zip(resolutions(load("spec", "seed")), WINDOWS, strict=True):
        assert spec.n_fft / spec.sample_rate == pytest.approx(window / 22_050, rel=0.02)
        assert spec.n_fft % 2 == 0 and spec.kind == "linear"


def test_the_multi_resolution_loss_is_its_equations(true):
    sound = noisy(true, 0.3)
    expected: dict[str, list[float]] = {"convergence": [], "log": [], "loudness": []}
    for n in WINDOWS:
        rows = []
        for ours, wanted in zip(sound.numpy(), true.numpy(), strict=True):
            a, b = magnitudes(ours, n), magnitudes(wanted, n)
            floor = b.max() * LOG_FLOOR
            rows.append([
                np.linalg.norm(a - b) / np.linalg.norm(b),
                np.abs(np.log(a + floor) - np.log(b + floor)).mean(),
                np.abs((a + 1e-5) ** 0.3 - (b + 1e-5) ** 0.3).mean() / (n / 4) ** 0.3,
            ])  # fmt: skip
        for name, value in zip(expected, np.mean(rows, axis=0), strict=True):
            expected[name].append(value)
    found = multi_resolution_loss(sound, true, RESOLUTIONS)
    for name, values in expected.items():
        assert float(found[name]) == pytest.approx(np.mean(values), rel=1e-3), name


def test_the_mel_loss_is_its_equation(true):
    sound = noisy(true, 0.3)
    bank = mel_filters(SPEC, torch.device("cpu")).numpy()
    rows = []
    for ours, wanted in zip(sound.numpy(), true.numpy(), strict=True):
        a, b = (np.log(np.maximum(bank @ magnitudes(x, 1024), 1e-5)) for x in (ours, wanted))
        rows.append(np.abs(a - b).mean())
    assert float(mel_loss(sound, true, SPEC)) == pytest.approx(np.mean(rows), rel=1e-3)


@pytest.mark.parametrize("kind", ["waveform", "spectrogram", "features"])
def test_losses_of_a_batch_are_means_over_its_examples(kind, true):
    """So that machines which share out a batch find the same."""
    sound = torch.cat([noisy(true[:1], 0.1), noisy(0.01 * true[1:], 2.0)])
    loud = torch.cat([true[:1], 0.01 * true[1:]])

    def losses(part):
        ours, wanted = sound[part], loud[part]
        if kind == "waveform":
            return multi_resolution_loss(ours, wanted, RESOLUTIONS) | {
                "mel": mel_loss(ours, wanted, SPEC)
            }
        if kind == "spectrogram":
            return spectrogram_losses(decibels(ours), decibels(wanted), SPEC, 0.4)
        seen = [[[x[:, None, :900], x[:, :50]], [x[:, 5:9]]] for x in (ours, wanted)]
        return {"features": feature_matching_loss(*seen)}

    whole, parts = losses(slice(0, 2)), [losses(slice(i, i + 1)) for i in (0, 1)]
    for name, loss in whole.items():
        mean = sum(float(part[name]) for part in parts) / 2
        assert float(loss) == pytest.approx(mean, rel=1e-4), name


def test_damage_costs_more_the_worse_it_is(true):
    picture = decibels(true)
    for name in ("convergence", "log", "loudness"):
        values = [
            float(multi_resolution_loss(noisy(true, level), true, RESOLUTIONS)[name])
            for level in (0.01, 0.03, 0.1, 0.3, 1.0)
        ]
        assert values == sorted(values) and values[0] < 0.5 * values[-1]
    for name in LOSSES:
        values = [
            float(spectrogram_losses(decibels(noisy(true, level)), picture, SPEC, 0.4)[name])
            for level in (0.01, 0.03, 0.1, 0.3, 1.0)
        ]
        assert values == sorted(values) and values[0] < 0.5 * values[-1]


@pytest.mark.parametrize("level", [0.0, 1e-7, 1.0, 100.0])
def test_gradients_are_numbers_for_silence_equality_and_noise(level, true):
    for wanted in (true, torch.zeros_like(true)):
        sound = (level * true).requires_grad_()
        losses = multi_resolution_loss(sound, wanted, RESOLUTIONS) | {
            "mel": mel_loss(sound, wanted, SPEC)
        }
        torch.stack(list(losses.values())).sum().backward()
        assert torch.isfinite(sound.grad).all()
        shown = decibels(level * true).requires_grad_()
        losses = spectrogram_losses(shown, decibels(wanted), SPEC, 0.4)
        torch.stack(list(losses.values())).sum().backward()
        assert shown.grad is not None and torch.isfinite(shown.grad).all()


def test_hinge_losses():
    good, bad = [torch.tensor([[2.0, 0.5]])], [torch.tensor([[-3.0, 0.0]])]
    assert float(discriminator_loss(bad, good)) == pytest.approx((0 + 0.5) / 2 + (0 + 1) / 2)
    assert float(generator_loss(bad)) == pytest.approx((4 + 1) / 2)
    assert float(discriminator_loss([torch.tensor([-1.0])], [torch.tensor([1.0])])) == 0


def test_feature_matching_is_relative_to_each_layer():
    true = [[torch.tensor([[1.0, -3.0]]), torch.tensor([[100.0]])]]
    fake = [[torch.tensor([[2.0, -3.0]]), torch.tensor([[150.0]])]]
    assert float(feature_matching_loss(fake, true)) == pytest.approx((0.5 / 2 + 50 / 100) / 2)


def batch(true):
    examples = []
    for sound in true.numpy()[:, : 40 * 256]:
        picture = analyse(torch.from_numpy(sound)[None], SPEC).decibels[0, :, :40].numpy()
        examples.append(Example(picture, picture, sound))
    return Batch.of(examples)


def numbers(losses):
    return {name: float(loss.detach()) for name, loss in losses.items()}


def test_discriminators_begin_when_told_and_learn_from_a_detached_waveform(true):
    task = vocoding(adversarial_from=3)
    shaken(task.model)
    assert task.order(2) == [MODEL] and task.order(3) == ["mpd", MODEL]
    early = numbers(task.losses(MODEL, batch(true), 2))
    assert set(early) == {"convergence", "log", "loudness", "mel", "total"}
    model, discriminator = task.model, task.networks()["mpd"]
    task.losses("mpd", batch(true), 3)["total"].backward()
    assert all(p.grad is None for p in model.parameters())
    assert any(p.grad is not None and p.grad.any() for p in discriminator.parameters())
    discriminator.zero_grad(set_to_none=True)
    late = task.losses(MODEL, batch(true), 3)
    late["total"].backward()
    late = numbers(late)
    assert set(late) == {*early, "adversarial", "features"}
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())
    assert all(p.grad is None and p.requires_grad for p in discriminator.parameters())
    total = sum(loss for name, loss in late.items() if name != "total")
    assert late["total"] == pytest.approx(total, rel=1e-5)


def test_a_model_that_begins_early_is_compared_and_rendered_in_place(true):
    """A generator whose sound starts half a hop before the first frame's centre: no loss."""
    sound = batch(true).waveform

    class Early(torch.nn.Module):
        first_sample = -128
        spec = SPEC

        def forward(self, decibels):
            return torch.nn.functional.pad(sound, (128, -128))[: len(decibels)]

    class Late(Early):
        first_sample = 128

        def forward(self, decibels):
            return torch.nn.functional.pad(sound, (-128, 128))

    models: list[Any] = [Early(), Late()]
    for model in models:
        task = vocoding(net=hifigan_net(), adversarial=0, features=0)
        task._first_sample, task.model = model.first_sample, model
        assert float(task.losses(MODEL, batch(true), 0)["total"].detach()) == 0
        rendered = task.render(model, batch(true).degraded)
        assert torch.equal(rendered[:, 256:9_000], sound[:, 256:9_000])


def repairing_of(**weights):
    return Repairing(
        weights={**dict.fromkeys(LOSSES, 0.0), **weights}, tau=0.5, inverter=griffin_lim()
    )


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: load("train", "repairing").task.setup(hifigan_net(), SPEC), "conflict"),
        (lambda: load("train", "vocoding").task.setup(repair_net(), SPEC), "conflict"),
        (lambda: replace(vocoding(), discriminators={}), "discriminators.missing"),
        (lambda: vocoding(mel=-1.0), "weights.range"),
        (lambda: vocoding(mel="x"), "weights.range"),
        (lambda: vocoding(other=1.0), "weights.range"),
        (lambda: vocoding(convergence=0, log=0, loudness=0, mel=0), "weights.range"),
        (repairing_of, "weights.range"),
        (lambda: replace(repairing_of(pitch=1.0), tau=1.0), "tau.range"),
    ],
)
def test_tasks_refuse_what_they_cannot_train(make, key):
    with refused(f"train.task.{key}"):
        make()


def test_discriminators_that_nobody_asks_are_not_trained():
    assert set(vocoding(adversarial=0, features=0).networks()) == {MODEL}


def test_weighted_sums():
    losses = {"a": torch.tensor(2.0), "b": torch.tensor(3.0), "c": torch.tensor(math.nan)}
    found = weighted(losses, {"a": 2.0, "b": 0.5, "c": 0.0})
    assert float(found["total"]) == 5.5 and set(found) == {"a", "b", "total"}
