"""The straight implementation is HiFi-GAN's, so that what is compared is time alone."""

import pytest
import torch

from recipes.training_speed import Ours, Straight, main, noise_batch, straight_verdict, vocoding


@pytest.mark.parametrize("name", ["mpd", "msd"])
def test_both_judge_alike(name):
    judge = vocoding().networks()[name].eval()
    sound = noise_batch(2, 16).waveform
    with torch.no_grad():
        ours, straight = judge(sound), straight_verdict(judge, sound)
    for (logits, maps), (wanted, wanted_maps) in zip(ours, straight, strict=True):
        for seen, theirs in zip(maps, wanted_maps, strict=True):
            # Periods lie the other way round.
            theirs = theirs.mT if theirs.ndim == 4 else theirs
            assert torch.allclose(seen, theirs, rtol=0, atol=1e-5)
        assert logits.shape == wanted.shape


def test_both_learn():
    batch = noise_batch(1, 16)
    for trainer in (Ours(), Straight()):
        model = trainer.task.model if isinstance(trainer, Ours) else trainer.model
        before = [parameter.clone() for parameter in model.parameters()]
        trainer.step(batch)
        assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_the_command_prints_both_and_where_time_goes(capsys):
    assert main(["--steps", "1", "--batch-size", "1", "--frames", "16"]) == 0
    told = capsys.readouterr().out
    for word in ("| ours | ", "| straight | ", "| mpd, backward | ", "| optimisers | "):
        assert word in told
