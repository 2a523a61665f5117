"""The network: what each step depends on, where frames land, and what the loss means."""

import math
from dataclasses import replace

import pytest
import torch

from tests.inverter.wavenet.networks import (
    MEL,
    pair_of,
    quantile,
    shift_of,
    small,
    teacher_forced,
)
from tests.refusals import refused
from tests.specs import OWN
from vocoder.config import load
from vocoder.decibels import SILENCE_DB, to_decibels
from vocoder.inverter.wavenet.network import (
    ESTIMATE_CONTEXT,
    FRAMES_CONTEXT,
    WaveNet,
    excitation_of,
    log_density,
)
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.spectrogram import analyse


@pytest.fixture
def pair(speech):
    """Decibels and waveform of 40 frames of speech."""
    return pair_of(speech[8_000:], 40)


def test_steps_depend_on_those_before_as_far_as_they_should():
    """Of noise as loud as the spectrogram."""
    decibels = to_decibels(torch.full((1, 256, 20), 0.2), MEL)
    model = small()
    assert model.receptive_steps == 1 + (1 + 2 + 4 + 1 + 2)
    steps = decibels.shape[2] * model.steps_per_frame
    subbands = 0.01 * torch.randn(1, 4, steps, generator=torch.Generator().manual_seed(1))
    subbands.requires_grad_()
    at = 1_000
    forced = model.teacher_forced(decibels, subbands, model.bank.split(model.estimate(decibels)))
    (grad,) = torch.autograd.grad(forced.parameters[:, at].square().sum(), subbands)
    (seen,) = grad.abs().sum((0, 1)).nonzero(as_tuple=True)
    assert seen.tolist() == list(range(at - model.receptive_steps, at))


def test_frames_reach_as_far_as_stated(pair):
    decibels, _ = pair
    model = small()
    per_frame, reach = model.steps_per_frame, FRAMES_CONTEXT + 1
    assert reach <= model.context_frames
    silence = torch.zeros(1, 4, decibels.shape[2] * per_frame)
    changed, at = decibels.clone(), 20
    changed[:, :, at] += 10
    with torch.no_grad():
        one, other = (model.teacher_forced(v, silence, silence) for v in (decibels, changed))
    moved = (one.parameters - other.parameters).abs().amax((0, 2, 3))
    begin = (at - reach) * per_frame
    assert moved[: begin + 1].max() == 0
    assert moved[begin + per_frame // 2 : (at + 1) * per_frame].min() > 0
    # Afterwards it goes on for as long as the stack remembers.
    assert moved[(at + reach) * per_frame + model.receptive_steps :].max() == 0


@pytest.mark.parametrize("bands", [2, 4])
def test_an_estimate_reaches_as_far_as_stated(bands, pair):
    decibels, _ = pair
    model = small(bands=bands)
    silence = torch.zeros(1, bands, decibels.shape[2] * model.steps_per_frame)
    estimate = model.bank.split(model.estimate(decibels))
    changed, at = estimate.clone(), 20 * model.steps_per_frame
    changed[:, 0, at] += 0.1
    with torch.no_grad():
        one, other = (
            model.teacher_forced(decibels, silence, e).parameters for e in (estimate, changed)
        )
    first, *_, last = (one - other).abs().amax((0, 2, 3)).nonzero()[:, 0].tolist()
    assert at - first == ESTIMATE_CONTEXT
    assert last <= at + ESTIMATE_CONTEXT + model.receptive_steps
    in_samples = bands * ESTIMATE_CONTEXT + model.bank.reach
    assert in_samples <= (model.context_frames - 1) * MEL.hop_length


def test_an_impulse_in_a_frame_lands_in_its_steps():
    """Full at the frame's centre, nothing a hop away: a transposed convolution of triangles."""
    steps = 64
    frames = torch.zeros(1, 11, 3)
    frames[0, 5] = torch.tensor([1.0, 2.0, -1.0])
    landed = small()._at_steps(frames)[0]
    assert torch.equal(landed[5 * steps], frames[0, 5])
    triangle = 1 - (torch.arange(2 * steps) - steps).abs() / steps
    theirs = torch.nn.functional.conv_transpose1d(
        frames.mT.reshape(3, 1, 11), triangle[None, None], stride=steps
    )
    assert torch.allclose(theirs[:, 0, steps : 11 * steps].mT, landed, atol=1e-6)


@pytest.mark.parametrize("components", [1, 4])
def test_densities_are_those_of_what_is_drawn(components):
    """As many draws lie below each of a density's deciles as should."""
    noise = torch.Generator().manual_seed(0)
    parameters = torch.randn(3, 1, 3 * components, generator=noise).double()
    uniform = torch.rand(3, 40_000, 2, generator=noise).double()
    drawn = quantile(parameters.expand(-1, 40_000, -1), uniform, 1.0)
    grid = 32 * torch.sinh(torch.linspace(-8, 8, 64_001).double()) / math.sinh(8)
    below = torch.cumulative_trapezoid(log_density(parameters, grid.expand(3, -1)).exp(), grid)
    assert below[:, -1].numpy() == pytest.approx(1, abs=2e-3)
    for one, curve in zip(drawn, below, strict=True):
        share = [float((one < grid[1:][int(torch.searchsorted(curve, q / 10))]).double().mean())
                 for q in range(1, 10)]  # fmt: skip
        assert share == pytest.approx([q / 10 for q in range(1, 10)], abs=0.012)


@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_extreme_parameters_have_densities(extreme):
    parameters = torch.full((3, 12), extreme)
    assert torch.isfinite(log_density(parameters, torch.tensor([-40.0, 0.0, 40.0]))).all()


def test_twice_the_amplitude_costs_its_logarithm(pair):
    """A density of x / 2 is twice that of x; nothing else changes if the network sees the same."""
    decibels, waveform = pair
    model = small()
    model.frame_net[0].weight.data.zero_()
    with torch.no_grad():
        one, two = (
            model.loss(decibels + 20 * math.log10(gain), gain * waveform) for gain in (64, 128)
        )
    assert float(two - one) == pytest.approx(math.log(2), abs=0.02)


@pytest.mark.parametrize("bands", [2, 4])
def test_the_loss_is_that_of_white_noise(bands):
    """Noise of a known density: no network can do better, and one that expects it does as well."""
    level = 0.1
    noise = level * torch.randn(1, 60 * 256, generator=torch.Generator().manual_seed(2))
    linear = replace(load("spec", "linear512"), nyquist=True)
    decibels = analyse(noise, linear).linear[:, :, :60]
    decibels = decibels.square().mean((1, 2), keepdim=True).sqrt().expand_as(decibels)
    decibels = to_decibels(decibels, linear)
    model = small(linear, bands=bands)
    silence = torch.zeros(1, bands, noise.shape[1] // bands)
    with torch.no_grad():
        model.last.weight.zero_()
        model.last.bias.zero_()  # a logistic density of the noise's deviation
        deviation = math.log(math.sqrt(3) / math.pi)
        model.last.bias[: bands * 9].view(bands, 9)[:, 6:] = deviation
        forced = model.teacher_forced(decibels, model.bank.split(noise), silence)
        subbands = model.bank.split(noise).mT
        excitation = excitation_of(subbands, forced.estimate, forced.level)
        density = log_density(forced.parameters, excitation) - forced.level.log()
    entropy = math.log(level * math.sqrt(2 * math.pi * math.e))
    assert entropy - 0.03 < -float(density.mean()) < entropy + 0.08


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_levels_are_the_bands_own(name, power, speech):
    """Of real speech, from any spec: root mean squares where the spectrogram shows."""
    spec = replace(load("spec", name), power=power)
    model = small(spec)
    decibels, waveform = pair_of(speech, len(speech) // spec.hop_length, spec)
    assert torch.isfinite(model.loss(decibels[:, :, :8], waveform[:, : 8 * spec.hop_length]))
    levels, subbands = model.levels(decibels), model.bank.split(waveform).mT
    assert levels.shape == subbands.shape
    wanted, shown = (each.square().mean((0, 1)).sqrt() for each in (subbands, levels))
    off_db = 20 * torch.log10(shown / wanted)
    assert off_db[:3].abs().max() < 4.5  # above 8 kHz some spectrograms show nothing
    louder = model.levels(decibels + 20 * math.log10(2))
    assert torch.allclose(louder, 2 * levels, rtol=1e-5)


def test_a_few_steps_of_training_help(pair):
    decibels, waveform = (part[..., : part.shape[-1] // 2] for part in pair)
    model = small(gain=1.0)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        loss = model.loss(decibels, waveform)
        optimiser.zero_grad()
        loss.backward()
        assert all(
            parameter.grad is not None and torch.isfinite(parameter.grad).all()
            for parameter in model.parameters()
        )
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


def test_silence_costs_nothing_and_breaks_nothing(pair):
    decibels, waveform = pair
    model = small()
    silent = model.loss(torch.full_like(decibels, SILENCE_DB), torch.zeros_like(waveform))
    assert silent.item() == 0
    silent.backward()
    half = decibels.clone()
    half[:, :, 20:] = SILENCE_DB
    loss = model.loss(half, waveform)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_lower_bands_inform_higher_ones_of_the_same_step(pair):
    decibels, waveform = pair
    model = small()
    forced = teacher_forced(model, decibels, model.bank.split(waveform))
    subbands = model.bank.split(waveform).mT
    excitation = excitation_of(subbands, forced.estimate, forced.level)
    shift = shift_of(forced, excitation)
    assert shift[:, :, 0].abs().max() == 0, "the lowest band has none below it"
    assert (shift[:, :, 1:].abs().amax(1) > 0).all()
    other = excitation.clone()
    other[:, :, 2] += 1
    moved = (shift_of(forced, other) - shift).abs().amax((0, 1))
    assert moved[:3].max() == 0 and moved[3] > 0


def test_a_checkpoint_builds_the_same_network(pair):
    decibels, waveform = pair
    model = small()
    again = Checkpoint(settings_of(model), MEL, model.state_dict(), {}).build()
    assert isinstance(again, WaveNet)
    assert torch.equal(again.loss(decibels, waveform), model.loss(decibels, waveform))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"initial_iterations": 0}, "model.initial_iterations.range"),
        ({"bands": 1}, "model.bands.range"),
        ({"bands": 3}, "model.bands.range"),
        ({"layers": 0}, "model.layers.range"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, key):
    with refused(key):
        small(**changes)


def test_the_loss_of_a_batch_is_the_mean_of_its_examples(pair):
    """As every other, so that processes that share a batch learn what one does."""
    decibels, waveform = pair
    quiet = decibels.clone()
    quiet[:, :, : decibels.shape[2] // 2] = SILENCE_DB
    model = small(gain=1.0)
    with torch.no_grad():
        alone = [float(model.loss(one, waveform)) for one in (decibels, quiet)]
        both = model.loss(torch.cat([decibels, quiet]), torch.cat([waveform, waveform]))
        with torch.autocast("cpu", torch.bfloat16):  # whose steps are coarser than what it tells
            half = model.loss(decibels, waveform)
    assert alone[0] != pytest.approx(alone[1])
    assert float(both) == pytest.approx(sum(alone) / 2, rel=1e-5)
    assert float(half) == pytest.approx(alone[0], rel=1e-6)
