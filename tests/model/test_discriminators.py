"""Discriminators: their published sizes, one interface, and what the views see."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.refusals import refused
from vocoder.model.discriminator.base import Discriminator
from vocoder.model.discriminator.mpd import MultiPeriod
from vocoder.model.discriminator.mrd import MultiResolution
from vocoder.model.discriminator.msd import MultiScale

PERIODS = [2, 3, 5, 7, 11]
N_FFTS = [2048, 1024, 512]
MADE = {
    "mpd": lambda width: MultiPeriod(width=width, periods=PERIODS),
    "msd": lambda width: MultiScale(width=width, scales=3),
    "mrd": lambda width: MultiResolution(width=width, n_ffts=N_FFTS),
}
NARROW = 0.125


@pytest.fixture
def sounds():
    torch.manual_seed(0)
    return torch.randn(3, 3_001) * 0.3


@pytest.fixture(params=MADE)
def discriminator(request) -> Discriminator:
    torch.manual_seed(1)
    made: Discriminator = MADE[request.param](NARROW)
    return made


@pytest.mark.parametrize(
    ("name", "width", "millions"),
    # Kong et al. 2020 (their code, its biases and norms included), and Vocos' for the last.
    [("mpd", 1, 41.1), ("msd", 1, 29.6), ("mrd", 1, 1.41), ("mpd", 0.25, 2.58)],
)
def test_as_many_parameters_as_published(name, width, millions):
    found = sum(p.numel() for p in MADE[name](width).parameters())
    assert found / 1e6 == pytest.approx(millions, rel=0.005)


def test_every_view_gives_logits_and_maps_that_end_in_them(discriminator, sounds):
    judgements = discriminator(sounds)
    assert len(judgements) == (5 if isinstance(discriminator, MultiPeriod) else 3)
    for logits, maps in judgements:
        assert logits.ndim == 2 and len(logits) == len(sounds)
        assert torch.equal(maps[-1].flatten(1), logits)
        assert len(maps) > 5 and all(len(m) == len(sounds) for m in maps)


def test_sounds_are_judged_each_for_itself(discriminator, sounds):
    discriminator.eval()  # spectral norm goes on with its power iteration in training
    together, alone = discriminator(sounds), discriminator(sounds[1:2])
    for (logits, maps), (own_logits, own_maps) in zip(together, alone, strict=True):
        assert torch.allclose(logits[1:2], own_logits, atol=1e-5)
        for m, own in zip(maps, own_maps, strict=True):
            assert torch.allclose(m[1:2], own, rtol=1e-4, atol=1e-4)


def test_every_weight_and_every_sample_gets_a_gradient(discriminator, sounds):
    sounds.requires_grad_()
    sum((logits**2).sum() for logits, _ in discriminator(sounds)).backward()
    assert all(bool(p.grad.abs().sum() > 0) for p in discriminator.parameters())
    assert sounds.grad is not None and bool((sounds.grad != 0).float().mean() > 0.99)


def test_telling_noise_from_a_tone_is_learnt(discriminator):
    """A few steps on the loss that it is for (least squares, Mao et al. 2017)."""
    torch.manual_seed(2)
    time = torch.arange(2_048)
    optimizer = torch.optim.AdamW(discriminator.parameters(), 2e-3)
    losses = []
    for _ in range(9):
        tones = 0.3 * torch.sin(0.05 * (1 + torch.rand(2, 1)) * time)
        judgements = discriminator(torch.cat([tones, 0.2 * torch.randn(2, 2_048)]))
        halves = [logits.chunk(2) for logits, _ in judgements]
        loss = sum(((1 - real) ** 2).mean() + (fake**2).mean() for real, fake in halves)
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]


def test_a_period_sees_every_nth_sample():
    """What the paper writes: the sound as rows of ``period`` samples, convolved down columns."""
    torch.manual_seed(3)
    sound = torch.randn(2, 700)
    discriminator = MultiPeriod(width=NARROW, periods=[3])
    ((logits, maps),) = discriminator(sound)
    part: Any = discriminator.parts[0]
    x = functional.pad(sound[:, None], (0, 2), mode="reflect").view(2, 1, 234, 3)
    for conv, found in zip(part.layers.convs, maps, strict=False):
        stride = (conv.stride[1], 1)
        x = functional.conv2d(x, conv.weight.mT, conv.bias, stride, (2, 0))
        x = functional.leaky_relu(x, 0.1)
        assert torch.allclose(found.mT, x, atol=1e-5)
    x = functional.conv2d(x, part.last.weight.mT, part.last.bias, 1, (1, 0))
    assert torch.allclose(x.mT.flatten(1), logits, atol=1e-5)


def test_scales_are_slower_copies(sounds):
    """The second scale hears of the sound what averages over four samples leave."""
    discriminator = MultiScale(width=NARROW, scales=3).eval()
    alternating = torch.ones(1, 2_000)
    alternating[:, ::2] = -1
    first, *slower = discriminator(alternating)
    silent = discriminator(torch.zeros(1, 2_000))
    assert (first[0] - silent[0][0]).abs().max() > 1e-3
    for (logits, _), (of_silence, _) in zip(slower, silent[1:], strict=True):
        middle = slice(logits.shape[1] // 2, logits.shape[1] // 2 + 1)
        assert torch.allclose(logits[:, middle], of_silence[:, middle], atol=1e-6)


def test_resolutions_do_not_hear_loudness_or_offset(sounds):
    discriminator = MADE["mrd"](NARROW)
    for (logits, _), (changed, _) in zip(
        discriminator(sounds), discriminator(sounds * 0.1 + 0.05), strict=True
    ):
        assert torch.allclose(logits, changed, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: MultiPeriod(width=1, periods=[]), "discriminators.periods.range"),
        (lambda: MultiPeriod(width=1, periods=[2, 0]), "discriminators.periods.range"),
        (lambda: MultiPeriod(width=0.001, periods=[2]), "discriminators.width.range"),
        (lambda: MultiScale(width=1, scales=0), "discriminators.scales.range"),
        (lambda: MultiScale(width=0.1, scales=1), "discriminators.width.range"),
        (lambda: MultiResolution(width=1, n_ffts=[]), "discriminators.n_ffts.range"),
        (lambda: MultiResolution(width=1, n_ffts=[511]), "discriminators.n_ffts.range"),
        (lambda: MADE["mrd"](NARROW)(torch.zeros(1, 500)), "waveform.short"),
    ],
)
def test_refuses_what_does_not_fit(make, key):
    with refused(key):
        make()
