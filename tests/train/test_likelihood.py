"""The WaveNet in the trainer that all vocoders have."""

from dataclasses import replace

import pytest
import torch

from tests.inverter.wavenet.networks import small
from tests.refusals import refused
from tests.train.tiny import SPEC, equal, last, mixture, plan, repair_net, train
from vocoder.config import load
from vocoder.inverter.wavenet.inverter import sample
from vocoder.inverter.wavenet.network import rephased
from vocoder.train.examples import Batch
from vocoder.train.state import checkpoints
from vocoder.train.tasks.base import MODEL
from vocoder.train.tasks.likelihood import Likelihood


def likelihood():
    task = Likelihood()
    task.setup(small(gain=1.0), SPEC)
    return task


def test_the_loss_is_that_of_the_damaged_picture_and_the_true_sound():
    task = likelihood()
    batch = Batch.of([mixture()[0], mixture()[1]])
    with torch.no_grad():
        total = float(task.losses(MODEL, batch, 0)["total"])
        estimate = task.model.estimate(batch.degraded)
        samples = rephased(batch.waveform, estimate, SPEC)
        subbands, estimate = map(task.model.bank.split, (samples, estimate))
        forced = task.model.teacher_forced(batch.degraded, subbands, estimate)
        density = forced.logarithm(subbands.mT)[:, 4 * 64 : -4 * 64]  # frames of the cut aside
        of_true = float(task.model.loss(batch.true, batch.waveform))
    assert total == pytest.approx(-float(density[~density.isnan()].mean()), rel=1e-5)
    assert total != pytest.approx(of_true)


def test_training_makes_the_sound_likelier(tmp_path):
    task = likelihood()
    batch = Batch.of([mixture()[k] for k in range(4)])

    def loss():
        with torch.no_grad():
            return float(task.losses(MODEL, batch, 0)["total"])

    before = loss()
    train(task, tmp_path, plan(steps=30, learning_rate=3e-3, checkpoint_every=30))
    assert loss() < before - 0.1


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    train(likelihood(), tmp_path / "whole", plan())
    train(likelihood(), tmp_path / "parts", plan())
    checkpoints(tmp_path / "parts")[-1].unlink()
    train(likelihood(), tmp_path / "parts", plan(), resume=True)
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    assert whole["step"] == parts["step"] == 4 and equal(whole, parts)


def test_what_is_validated_is_what_the_inverter_would_say():
    task = likelihood()
    decibels = torch.from_numpy(mixture()[0].true)[None]
    with torch.inference_mode():
        sound = task.render(task.model, decibels)
    inverter = load("inverter", "wavenet")
    settings = {"temperature": inverter.temperature, "n_iter": inverter.n_iter}
    assert torch.equal(sound, sample(task.model, decibels, seed=0, **settings))
    assert sound.shape == (1, 40 * SPEC.hop_length)


def test_other_models_and_specs_are_refused():
    task = load("train", "likelihood").task
    assert isinstance(task, Likelihood)
    with refused("train.task.conflict"):
        task.setup(repair_net(), SPEC)
    early = replace(SPEC, center=False)
    with refused("spec.center.range"):
        task.setup(small(early), early)


def test_examples_of_nothing_but_edges_are_refused():
    batch = Batch.of([mixture(frames=8)[0]])
    with refused("train.plan.frames.range"):
        likelihood().losses(MODEL, batch, 0)
