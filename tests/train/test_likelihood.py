"""The WaveNet in the trainer that all vocoders have."""

from dataclasses import replace

import pytest
import torch

from tests.inverter.wavenet.networks import small
from tests.train.tiny import SPEC, judged, mixture, plan, repair_net, train
from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.inverter.wavenet.sampler import Sampler
from vocoder.train.objective.base import MODEL, Batch
from vocoder.train.objective.likelihood import Likelihood, LikelihoodTask
from vocoder.train.state import checkpoints, read_state


def likelihood():
    return Likelihood(small(gain=1.0), SPEC, temperature=0.7, n_iter=1, seed=0)


def last(run):
    return read_state(checkpoints(run)[-1])


def test_the_loss_is_that_of_the_damaged_picture_and_the_true_sound():
    objective = likelihood()
    batch = Batch.of([mixture()[0], mixture()[1]])
    with torch.no_grad():
        total = float(objective.losses(MODEL, batch, 0)["total"])
        density = objective.model(batch.damaged, batch.sound)
        density = density[:, :, 4 * 64 : -4 * 64]  # frames that share samples with the cut
        of_true = float(objective.model.loss(batch.true, batch.sound))
    assert total == pytest.approx(-float(density[~density.isnan()].mean()), rel=1e-5)
    assert total != pytest.approx(of_true)


def test_training_makes_the_sound_likelier(tmp_path):
    objective = likelihood()
    batch = Batch.of([mixture()[k] for k in range(4)])

    def loss():
        with torch.no_grad():
            return float(objective.losses(MODEL, batch, 0)["total"])

    before = loss()
    train(objective, tmp_path, plan(steps=30, learning_rate=3e-3, checkpoint_every=30))
    assert loss() < before - 0.1


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    train(likelihood(), tmp_path / "whole", plan(steps=4), validation=judged(0.5))
    train(likelihood(), tmp_path / "parts", plan(steps=4), validation=judged(0.5))
    for path in checkpoints(tmp_path / "parts")[-1:]:
        path.unlink()
    train(likelihood(), tmp_path / "parts", plan(steps=4), validation=judged(0.5), resume=True)
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    assert whole.step == parts.step == 4
    for name, tensor in whole.networks[MODEL].items():
        assert torch.equal(tensor, parts.networks[MODEL][name]), name
    assert all(torch.equal(tensor, parts.ema[name]) for name, tensor in whole.ema.items())


def test_what_is_validated_is_what_the_inverter_would_say():
    objective = likelihood()
    decibels = torch.from_numpy(mixture()[0].true)[None]
    with torch.inference_mode():
        sound = objective.render(objective.model, decibels)
    pieces = Sampler(objective.model)(decibels, seed=0, temperature=0.7, n_iter=1)
    assert torch.equal(sound, torch.cat(list(pieces), 1))
    assert sound.shape == (1, 40 * SPEC.hop_length)


def test_other_models_and_specs_are_refused():
    task = load("train", "likelihood").task
    assert isinstance(task, LikelihoodTask)
    with pytest.raises(BadInput, match="train=likelihood trains a WaveNet, and the model is a Rep"):
        task.objective(repair_net(), SPEC)
    early = replace(SPEC, center=False)
    with pytest.raises(BadInput, match="needs a spec with center=true"):
        task.objective(small(early), early)


def test_examples_of_nothing_but_edges_are_refused():
    batch = Batch.of([mixture(frames=8)[0]])
    with pytest.raises(BadInput, match=r"train.plan.frames is 8; expected more than 8"):
        likelihood().losses(MODEL, batch, 0)
