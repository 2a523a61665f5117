"""``train.init``: an earlier training's weights, the discriminators' included, or a clear no."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.train.tiny import SPEC, hifigan_net, repairing
from vocoder.errors import BadInput
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.discriminator.mpd import MultiPeriod
from vocoder.model.hifigan import HifiGan
from vocoder.spec import SpectrogramSpec
from vocoder.train.loop import JUDGES_NAME, _write_judges, _write_model
from vocoder.train.objective.base import Objective
from vocoder.train.objective.vocoding import SoundWeights, Vocoding
from vocoder.train.training import initialise

WEIGHTS = SoundWeights(convergence=1, log=1, loudness=1, mel=1, adversarial=1, features=1)


def adversarial(spec: SpectrogramSpec = SPEC, seed: int = 0, channels: int = 16) -> Objective:
    model = hifigan_net(spec, seed, channels)
    judges = {"mpd": MultiPeriod(width=0.03, periods=[2])}
    objective = Vocoding(model, spec, WEIGHTS, judges, 0)
    for network in objective.networks().values():
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return objective


def written(objective: Objective, folder: Path) -> str:
    """As the loop leaves it."""
    ema = dict(objective.model.state_dict())
    _write_model(folder / "best.safetensors", objective, ema, {})
    _write_judges(folder / JUDGES_NAME, objective.networks())
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
    weights = replace(WEIGHTS, adversarial=0, features=0)
    after = Vocoding(hifigan(*ours), SPEC, weights, {}, 0)
    initialise(after, str(tmp_path / "import.safetensors"))
    assert all(torch.equal(after.model.state_dict()[k], v) for k, v in checkpoint.tensors.items())
    other = Vocoding(hifigan([8, 4, 4, 2], None), SPEC, weights, {}, 0)
    with pytest.raises(BadInput, match=r"upsample_rates: \[8, 4, 4, 2\] != \[8, 8, 2, 2\]"):
        initialise(other, str(tmp_path / "import.safetensors"))


def test_fine_tuning_refuses_what_does_not_fit(tmp_path):
    source = written(adversarial(), tmp_path)
    with pytest.raises(BadInput, match=r"another model than model= says \(channels: 32 != 16\)"):
        initialise(adversarial(channels=32), source)
    with pytest.raises(BadInput, match=r"this training and .*\(hop_length: 128 != 256; fmax: 8000"):
        initialise(adversarial(replace(SPEC, hop_length=128, fmax=8000.0)), source)
    with pytest.raises(BadInput, match=r"_target_: vocoder.model.hifigan.HifiGan != vocoder.r"):
        initialise(adversarial(), written(repairing(), tmp_path / "repair"))
    judges = tmp_path / "discriminators.pt"
    torch.save({"other": {}}, judges)
    with pytest.raises(BadInput, match=r"has no discriminator mpd; it has other"):
        initialise(adversarial(), source)
    torch.save({"mpd": {"w": torch.zeros(1)}}, judges)
    with pytest.raises(BadInput, match=r"discriminators.pt, mpd does not fit MultiPeriod"):
        initialise(adversarial(), source)
    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {mark}",))

    torch.save({"mpd": Evil()}, judges)
    with pytest.raises(BadInput, match=r"discriminators\.pt cannot be read"):
        initialise(adversarial(), source)
    assert not mark.exists()
    judges.unlink()
    with pytest.raises(BadInput, match=r"is missing; fine-tuning needs the discriminators"):
        initialise(adversarial(), source)
    with pytest.raises(BadInput, match="weights=nothing is unknown"):
        initialise(adversarial(), "nothing")
