"""HiFi-GAN's shapes, alignment and reach, measured from outside."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from tests.model.shapes import MEL, ODD, hifigan
from tests.refusals import refused
from vocoder.config import load
from vocoder.model.generator import fold_weight_norm, generate
from vocoder.model.hifigan import split_hop

NAMES = ("hifigan_v1", "hifigan_v2", "hifigan_v3")
NARROW = 16  # channels: neither reach nor alignment depend on them
ODD_KERNELS = {"upsample_rates": [10, 6, 5], "upsample_kernels": [10, 18, 7]}


def values_for(spec, frames, batch=1):
    torch.manual_seed(0)
    return torch.rand(batch, spec.bins, frames) * 60 - 70


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)


@pytest.mark.parametrize(
    ("name", "millions"), [("hifigan_v1", 13.92), ("hifigan_v2", 0.92), ("hifigan_v3", 1.46)]
)
def test_as_many_parameters_as_published(name, millions):
    model = hifigan(name)  # Kong et al. 2020, table 1
    fold_weight_norm(model)
    found = sum(p.numel() for p in model.parameters())
    assert found / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("spec", [MEL, ODD, load("spec", "mel256"), load("spec", "seed")])
def test_speaks_any_spec(spec):
    model = hifigan("hifigan_v2", spec, channels=NARROW)
    sound = model(values_for(spec, 9, batch=2))
    assert sound.shape == (2, 9 * spec.hop_length)
    assert 0 < sound.abs().max() < 1


@pytest.mark.parametrize("chunk_frames", [1, 7, 100])
@pytest.mark.parametrize(
    ("name", "spec", "changes"),
    [*((name, MEL, {}) for name in NAMES), ("hifigan_v3", ODD, ODD_KERNELS)],
)
def test_pieces_join_to_the_whole(name, spec, changes, chunk_frames):
    model = hifigan(name, spec, channels=NARROW, **changes)
    values = values_for(spec, 31)
    with torch.inference_mode():
        whole = model(values)
    joined = torch.cat(list(generate(model, values, chunk_frames)), dim=1)
    assert joined.shape == whole.shape
    assert (joined - whole).abs().max() < 1e-4 * whole.abs().max()


@pytest.mark.parametrize(
    ("name", "spec", "changes"),
    [
        *((name, MEL, {}) for name in NAMES),
        ("hifigan_v2", ODD, {}),
        ("hifigan_v3", ODD, ODD_KERNELS),
    ],
)
def test_a_frame_is_heard_around_its_centre_and_no_farther_than_told(name, spec, changes):
    # As a derivative in double precision, since the outermost samples hear very little of it.
    model = hifigan(name, spec, channels=NARROW, **changes).double()
    frame = model.context_frames + 2
    values = values_for(spec, 2 * frame + 1).double()
    change = torch.zeros_like(values)
    change[:, :, frame] = values[:, :, frame]
    heard = torch.func.jvp(model, (values,), (change,))[1][0].nonzero()
    first, last = int(heard.min()), int(heard.max())
    hop = spec.hop_length
    assert max(frame - first // hop, last // hop - frame) == model.context_frames
    centre = frame * hop - model.first_sample
    assert abs((first + last + 1) / 2 - centre) <= hop % 2 + 1


@pytest.mark.parametrize("name", NAMES)
def test_folded_weights_sound_the_same(name):
    model = hifigan(name, channels=NARROW)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.1 * torch.rand_like(parameter))
    folded = copy.deepcopy(model)
    fold_weight_norm(folded)
    fold_weight_norm(folded)  # twice does nothing more
    values = values_for(MEL, 12)
    with torch.inference_mode():
        assert (folded(values) - model(values)).abs().max() < 1e-5
    assert {name.rsplit(".")[-1] for name in folded.state_dict()} == {"weight", "bias"}
    # The copy that it was made from can still be trained, copied and folded.
    model(values).sum().backward()
    fold_weight_norm(copy.deepcopy(model))


@pytest.mark.parametrize(
    ("hop_length", "stages", "rates"),
    [
        (256, 4, [8, 8, 2, 2]),  # V1 and V2 of the paper
        (256, 3, [8, 8, 4]),  # V3
        (512, 4, [8, 8, 4, 2]),
        (300, 4, [6, 5, 5, 2]),
        (1024, 3, [16, 16, 4]),
        (275, 3, [11, 5, 5]),
        (275, 4, []),
        (257, 2, []),
    ],
)
def test_rates_follow_from_the_hop(hop_length, stages, rates):
    assert split_hop(hop_length, stages) == rates
    if rates:
        assert math.prod(rates) == hop_length


@pytest.mark.parametrize(
    ("changes", "hop_length", "key"),
    [
        ({"upsample_rates": [8, 8, 2, 2]}, 512, "upsample_rates.range"),
        ({"upsample_rates": 4}, 275, "upsample_rates.range"),
        ({"upsample_rates": [8, 8, 4]}, 257, "upsample_rates.range"),
        ({"upsample_rates": 0}, 256, "upsample_rates.range"),
        ({"upsample_rates": []}, 256, "upsample_rates.range"),
        ({"upsample_rates": ["8", 32]}, 256, "upsample_rates.type"),
        ({"upsample_rates": [-16, -16]}, 256, "upsample_rates.range"),
        ({"upsample_kernels": [16, 16, 4]}, 256, "upsample_kernels.range"),
        ({"upsample_kernels": [16, 6, 4, 4]}, 256, "upsample_kernels.range"),
        ({"channels": 24}, 256, "channels.range"),
        ({"channels": 0}, 256, "channels.range"),
        ({"block": 3}, 256, "block.range"),
        ({"kernels": [3, 6, 7]}, 256, "kernels.range"),
        ({"kernels": []}, 256, "kernels.range"),
        ({"dilations": [[1, 3]]}, 256, "dilations.range"),
        ({"dilations": [[1], [], [2]]}, 256, "dilations.range"),
        ({"dilations": [1, 2, 3]}, 256, "dilations.type"),
        ({"chanels": 3}, 256, "chanels.unknown"),
    ],
)
def test_refuses_what_does_not_fit(changes, hop_length, key):
    with refused(f"model.{key}"):
        hifigan("hifigan_v2", replace(MEL, hop_length=hop_length), **changes)


def test_in_half_precision_its_samples_are_whole():
    """Losses would hear steps of bfloat16; what is left is what its layers lose."""
    model, values = hifigan("hifigan_v3", channels=NARROW), values_for(MEL, 20)
    with torch.no_grad():
        whole = model(values)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(values)
    assert half.dtype == torch.float32
    assert not torch.equal(half, half.bfloat16().float())
    assert float((half - whole).norm() / whole.norm()) < 0.05
