"""``train.init``: an earlier training's weights, the discriminators' included, or a clear no."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.refusals import refused
from tests.train.tiny import (
    SPEC,
    equal,
    hifigan_net,
    interrupts,
    last,
    plan,
    repair_net,
    repairing,
    same_results,
    scored,
    shaken,
    train,
    vocoding,
)
from vocoder.errors import BadInput
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.hifigan import HifiGan
from vocoder.model.weights import BEST_NAME
from vocoder.spec import SpectrogramSpec
from vocoder.train.loop import DISCRIMINATORS_NAME, LAST_NAME, write_discriminators, write_model
from vocoder.train.state import new_state
from vocoder.train.tasks.base import Task
from vocoder.train.training import initialise
from vocoder.train.validation import Scores


def adversarial(spec: SpectrogramSpec = SPEC, seed: int = 0, channels: int = 16) -> Task:
    task = vocoding(net=hifigan_net(spec, seed, channels))
    for network in task.networks().values():
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return task


def written(task: Task, folder: Path) -> str:
    """As the loop leaves it."""
    state = new_state(task.networks(), plan(), {})
    write_model(folder / "best.safetensors", task, state, {})
    write_discriminators(folder / DISCRIMINATORS_NAME, task.networks())
    return str(folder)


def test_fine_tuning_begins_with_all_weights_the_discriminators_included(tmp_path):
    before, after = adversarial(seed=1), adversarial(seed=2)
    initialise(after, written(before, tmp_path))
    for name, network in before.networks().items():
        mine = after.networks()[name].state_dict()
        assert all(torch.equal(mine[key], value) for key, value in network.state_dict().items())


def hifigan(rates: int | list[int], kernels: list[int] | None) -> HifiGan:
    return HifiGan(
        SPEC,
        channels=16,
        upsample_rates=rates,
        upsample_kernels=kernels,
        block=1,
        kernels=[3],
        dilations=[[1]],
    )


WRITTEN_OUT = ([8, 8, 2, 2], [16, 16, 4, 4])
DERIVED = (4, None)


@pytest.mark.parametrize("ours", [WRITTEN_OUT, DERIVED])
@pytest.mark.parametrize("theirs", [WRITTEN_OUT, DERIVED])
def test_one_network_is_the_same_however_its_rates_are_given(ours, theirs, tmp_path):
    """As an imported HiFi-GAN has them, and as conf/ says."""
    before = hifigan(*theirs)
    settings = dict(zip(("upsample_rates", "upsample_kernels"), theirs, strict=True))
    checkpoint = Checkpoint({**settings_of(before), **settings}, SPEC, before.state_dict(), {})
    checkpoint.write(tmp_path / "import.safetensors", overwrite=False)
    alone: dict[str, Any] = {"adversarial": 0.0, "features": 0.0}  # no discriminators
    after = vocoding(net=hifigan(*ours), **alone)
    initialise(after, str(tmp_path / "import.safetensors"))
    assert all(torch.equal(after.model.state_dict()[k], v) for k, v in checkpoint.tensors.items())
    other = vocoding(net=hifigan([8, 4, 4, 2], None), **alone)
    with refused("train.init.conflict"):
        initialise(other, str(tmp_path / "import.safetensors"))


def test_fine_tuning_refuses_what_does_not_fit(tmp_path):
    source = written(adversarial(), tmp_path)
    with refused("train.init.conflict"):
        initialise(adversarial(channels=32), source)
    with pytest.raises(
        BadInput, match=r"this training and .*\(fmax: 8000.* hop_length: 128 != 256\)"
    ):
        initialise(adversarial(replace(SPEC, hop_length=128, fmax=8000.0)), source)
    with refused("train.init.conflict"):
        initialise(adversarial(), written(repairing(), tmp_path / "repair"))
    beside = tmp_path / "discriminators.pt"
    contents: list[Any] = [{"other": {}}, {"mpd": 3}, {"mpd": {"w": 1}}, [1]]
    for content in contents:
        torch.save(content, beside)
        with refused("train.init.discriminators.missing"):
            initialise(adversarial(), source)
    torch.save({"mpd": {"w": torch.zeros(1)}}, beside)
    with pytest.raises(BadInput, match=r"discriminators.pt, mpd does not fit MultiPeriod"):
        initialise(adversarial(), source)
    beside.write_bytes(b"PK")
    with refused("checkpoint.damaged"):
        initialise(adversarial(), source)
    beside.unlink()
    with refused("train.init.discriminators.missing"):
        initialise(adversarial(), source)
    with refused("weights.unknown"):
        initialise(adversarial(), "nothing")


@pytest.mark.usefixtures("curves")
def test_a_share_of_the_first_weights_is_validated_and_ships(tmp_path):
    """Also where a run goes on, whatever it is given to begin with."""
    numbers = plan(init_share=0.25, checkpoint_every=100, validate_every=100)
    first = {name: value.clone() for name, value in repair_net().state_dict().items()}
    seen = []

    def validation(_, model, *__):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return Scores([0.1 * len(seen)], [1.0])

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(repairing(), whole, numbers, validation=validation)
    assert equal(seen[0], first)
    average = last(whole)["average"]
    for name, value in load_file(whole / BEST_NAME).items():
        expected = 0.75 * average[f"module.{name}"] + 0.25 * first[name]
        assert torch.allclose(value, expected, atol=1e-7)
    assert equal(seen[1], load_file(whole / LAST_NAME))
    moved = max(float((average[f"module.{name}"] - first[name]).abs().max()) for name in first)
    assert moved > 1e-4

    train(interrupts(repairing(), 2), parts, numbers, validation=scored(0.1, 0.2))
    other = repairing(shaken(repair_net()))
    train(other, parts, numbers, resume=True, validation=scored(0.2))
    same_results(whole, parts)
