"""The repair network: the identity at first, and no more context than it says."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.refusals import refused
from tests.train.tiny import repair_net, shaken
from vocoder.config import load
from vocoder.model.features import FLOOR_DB
from vocoder.repair.network import RepairNet
from vocoder.spectrogram import analyse

SPEC = load("spec", "mel256")
SMALL = replace(SPEC, n_mels=32, n_fft=256, win_length=256, hop_length=64)


@pytest.fixture(scope="module")
def decibels(speech):
    return analyse(torch.from_numpy(speech[:40_000])[None], SPEC).decibels


def test_an_untrained_net_changes_nothing(decibels):
    with torch.inference_mode():
        same = repair_net()(decibels)
    assert (same - decibels.clamp(min=FLOOR_DB)).abs().max() < 1e-4


def test_silence_and_loudness_stay_within_reason():
    net = repair_net()
    with torch.inference_mode():
        for level in (-200.0, FLOOR_DB, 40.0):
            flat = torch.full((1, 256, 20), level)
            assert torch.allclose(net(flat), flat.clamp(min=FLOOR_DB), atol=1e-3)


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 40])
def test_any_number_of_frames_and_batches_of_them(frames):
    net = shaken(repair_net()).eval()
    decibels = torch.rand(3, 256, frames, generator=torch.Generator().manual_seed(0)) * 60 - 80
    with torch.inference_mode():
        out = net(decibels)
        assert out.shape == decibels.shape and torch.isfinite(out).all()
        assert (out - decibels).abs().max() > 0.01
        for i in range(3):
            assert torch.allclose(net(decibels[i : i + 1])[0], out[i], atol=1e-3)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_it_reaches_as_far_as_it_says(blocks):
    """By its gradients: not a frame further, and not much less."""
    torch.manual_seed(0)
    net = RepairNet(SMALL, channels=2, context=4, context_blocks=blocks).double()
    shaken(net, 0.5)
    reach = net.context_frames
    length = 2 * reach + 3 * net.stride_frames
    start = reach // net.stride_frames * net.stride_frames + net.stride_frames
    decibels = (torch.rand(1, 32, length, dtype=torch.float64) * 60 - 80).requires_grad_()
    out = net(decibels)
    furthest = 0
    for frame in range(start, start + net.stride_frames, 3):
        (gradient,) = torch.autograd.grad(out[0, :, frame].sum(), decibels, retain_graph=True)
        touched = gradient[0].abs().sum(0).nonzero().ravel()
        furthest = max(furthest, frame - int(touched[0]), int(touched[-1]) - frame)
    assert reach - net.stride_frames < furthest <= reach


def test_pieces_on_its_grid_are_repaired_as_the_whole():
    net = shaken(repair_net(SMALL)).eval()
    reach, stride, total = net.context_frames, net.stride_frames, 420
    decibels = torch.rand(1, 32, total, generator=torch.Generator().manual_seed(0)) * 60 - 80
    with torch.inference_mode():
        whole = net(decibels)
        for begin, end in ((0, 30), (151, 250), (233, 420)):
            first = max(begin - reach, 0) // stride * stride
            piece = net(decibels[:, :, first : end + reach])
            piece = piece[:, :, begin - first : end - first]
            assert (piece - whole[:, :, begin:end]).abs().max() < 1e-4


def test_it_learns_to_take_away_a_constant(decibels):
    net = repair_net()
    decibels = decibels[:, :, :48].clamp(min=FLOOR_DB)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        loss = (net(decibels + 6) - decibels).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(6, abs=1e-3) and losses[-1] < 3


def test_repairs_are_averaged_over_shifts_of_the_grid(decibels):
    network = shaken(repair_net()).eval()
    with torch.inference_mode():
        assert torch.equal(network.averaged(decibels, 1), network(decibels))
        # A whole stride later the grid is where it was; less is another repair.
        later = [
            network(functional.pad(decibels, (shift, 0), value=FLOOR_DB))[:, :, shift:]
            for shift in (0, 8, network.stride_frames)
        ]
        inner = slice(network.context_frames, None)
        assert (later[2] - later[0])[:, :, inner].abs().max() < 1e-3
        assert (later[1] - later[0])[:, :, inner].abs().max() > 0.1
        mean = network.averaged(decibels, 2)
    assert torch.allclose(mean, (later[0] + later[1]) / 2, atol=1e-4)


def test_black_stays_black():
    """A shade above it would be noise where there is none."""
    decibels = torch.full((1, 256, 40), FLOOR_DB)
    decibels[:, 100:120, 10:20] = -30.0
    with torch.inference_mode():
        repaired = shaken(repair_net()).eval()(decibels)
    black = decibels == FLOOR_DB
    assert torch.equal(repaired[black], decibels[black])
    assert (repaired != decibels)[~black].all()


@pytest.mark.parametrize("name", ["linear512", "linear256", "tacotron2"])
def test_specs_whose_bins_divide_by_sixteen_will_do(name):
    spec = load("spec", name)
    assert repair_net(spec)(torch.zeros(1, spec.bins, 5) - 50).shape == (1, spec.bins, 5)


def test_what_does_not_fit_is_named():
    with refused("model.spec"):
        repair_net(load("spec", "seed"))
    for name in ("channels", "context", "context_blocks"):
        sizes: dict[str, Any] = {"channels": 4, "context": 4, "context_blocks": 1, name: 0}
        with refused(f"model.{name}.range"):
            RepairNet(SPEC, **sizes)
