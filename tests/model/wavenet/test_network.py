"""The network: what each step depends on, where frames land, and what the loss means."""

import math
from dataclasses import replace

import pytest
import torch

from tests.model.wavenet.networks import CONFIGS, MEL, configured, drafted, picture_of, small
from vocoder.config import load, options
from vocoder.errors import BadInput
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.wavenet.conditioning import Upsampling
from vocoder.model.wavenet.network import WaveNet
from vocoder.spectrogram import analyse


@pytest.fixture
def pair(speech):
    """Values and sound of 40 frames of speech."""
    return picture_of(speech[8_000:], 40)


def forced(model, values, subbands):
    with torch.no_grad():
        return model.teacher_forced(values, subbands, drafted(model, values)).parameters


def test_steps_depend_on_those_before_as_far_as_they_should():
    """Without linear prediction, whose reach is another; of noise as loud as the picture."""
    values = torch.full((1, 256, 20), 0.2)
    model = small(order=0)
    assert model.receptive_steps == 1 + (1 + 2 + 4 + 1 + 2)
    steps = values.shape[2] * model.steps_per_frame
    subbands = 0.01 * torch.randn(1, 4, steps, generator=torch.Generator().manual_seed(1))
    subbands.requires_grad_()
    at = 1_000
    forced = model.teacher_forced(values, subbands, drafted(model, values))
    forced.parameters[:, :, at].square().sum().backward()
    assert subbands.grad is not None
    (seen,) = subbands.grad.abs().sum((0, 1)).nonzero(as_tuple=True)
    assert seen.tolist() == list(range(at - model.receptive_steps, at))


def test_frames_reach_as_far_as_stated(pair):
    values, _ = pair
    model = small(draft_iterations=None)
    per_frame, reach = model.steps_per_frame, model.frame_net.reach_frames + 1
    assert reach <= model.reach_frames
    subbands = torch.zeros(1, 4, values.shape[2] * per_frame)
    changed = values.clone()
    at = 20
    changed[:, :, at] *= 3
    moved = (forced(model, changed, subbands) - forced(model, values, subbands)).abs()
    moved = moved.amax((0, 1, 3))
    begin = (at - reach) * per_frame
    assert moved[: begin + 1].max() == 0
    assert moved[begin + per_frame // 2 : (at + 1) * per_frame].min() > 0
    # Afterwards it goes on for as long as the stack remembers.
    last = (at + reach) * per_frame + model.receptive_steps
    assert moved[last:].max() == 0


@pytest.mark.parametrize("bands", [1, 4])
def test_a_draft_reaches_as_far_as_stated(bands, pair):
    values, _ = pair
    model = small(bands=bands, order=0)
    subbands = torch.zeros(1, bands, values.shape[2] * model.steps_per_frame)
    draft = drafted(model, values)
    changed, at = draft.clone(), 20 * model.steps_per_frame
    changed[:, 0, at] += 0.1
    with torch.no_grad():
        one, other = (
            model.teacher_forced(values, subbands, d).parameters for d in (draft, changed)
        )
    moved = (one - other).abs().amax((0, 1, 3))
    first, last = (int(place) for place in moved.nonzero()[[0, -1], 0])
    assert at - first == model.draft_net.reach_steps
    assert last <= at + model.draft_net.reach_steps + model.receptive_steps
    in_samples = bands * model.draft_net.reach_steps + model.bank.reach
    assert in_samples <= (model.reach_frames - 1) * MEL.hop_length


@pytest.mark.parametrize("kind", ["interpolation", "transposed"])
def test_an_impulse_in_a_frame_lands_in_its_samples(kind):
    """Full at the frame's centre, nothing a hop away; and it's a transposed convolution."""
    steps = 64
    frames = torch.zeros(1, 11, 3)
    frames[0, 5] = torch.tensor([1.0, 2.0, -1.0])
    upsampling = Upsampling(kind, steps)
    landed = upsampling(frames, torch.zeros(1, 10 * steps, 3))[0].detach()
    assert landed.shape == (10 * steps, 3)
    assert torch.equal(landed[5 * steps], frames[0, 5])
    assert landed[: 4 * steps + 1].abs().max() == 0
    assert landed[6 * steps :].abs().max() == 0
    assert (landed[4 * steps + 1 : 6 * steps, 0] > 0).all()
    this, following = upsampling.weights.detach()
    kernel = torch.cat([following, this])[None, None]
    theirs = torch.nn.functional.conv_transpose1d(frames.mT.reshape(3, 1, 11), kernel, stride=steps)
    assert torch.allclose(theirs[:, 0, steps : 11 * steps].mT, landed, atol=1e-6)


def test_twice_the_amplitude_costs_its_logarithm(pair):
    """A density of x / 2 is twice that of x; nothing else changes if the network sees the same."""
    values, sound = pair
    model = small()
    model.frame_net.first.weight.data.zero_()
    with torch.no_grad():
        one, two = (model.loss(gain * values, gain * sound) for gain in (64, 128))
    assert float(two - one) == pytest.approx(math.log(2), abs=0.02)


@pytest.mark.parametrize("changes", [{}, {"output": "mulaw", "components": 256}])
@pytest.mark.parametrize("bands", [1, 2, 4])
def test_the_loss_is_that_of_white_noise(bands, changes):
    """Noise of a known density: no network can do better, and one that expects it does as well."""
    level = 0.1
    noise = level * torch.randn(1, 60 * 256, generator=torch.Generator().manual_seed(2))
    linear = replace(load("spec", "linear512"), nyquist=True)
    values = analyse(noise, linear).values[:, :, :60]
    values = values.square().mean((1, 2), keepdim=True).sqrt().expand_as(values)
    model = small(linear, bands=bands, order=0, draft_iterations=None, **changes)
    scales = 1 if "output" not in changes else None
    with torch.no_grad():
        model.last.weight.zero_()
        model.last.bias.zero_()
        if scales:  # a logistic density of the noise's deviation
            model.last.bias.view(-1)[: bands * 9].view(bands, 9)[:, 6:] = math.log(
                math.sqrt(3) / math.pi
            )
        else:  # a normal density over the classes
            edges = model.output.edges
            middle, width = (edges[1:] + edges[:-1]) / 2, edges.diff()
            normal = -(middle**2) / 2 + width.log()
            model.last.bias[: bands * 256] = normal.repeat(bands)
        loss = float(model.loss(values, noise))
    entropy = math.log(level * math.sqrt(2 * math.pi * math.e))
    assert entropy - 0.03 < loss < entropy + 0.08


def test_a_few_steps_of_training_help(pair):
    values, sound = (part[..., : part.shape[-1] // 2] for part in pair)
    model = small(gain=1.0)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        loss = model.loss(values, sound)
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
    values, sound = pair
    model = small()
    silent = model.loss(torch.zeros_like(values), torch.zeros_like(sound))
    assert silent.item() == 0
    silent.backward()
    half = values.clone()
    half[:, :, 20:] = 0
    loss = model.loss(half, sound)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_option_fits_every_spec(name, speech):
    for spec_name in options("spec"):
        spec = load("spec", spec_name)
        sound = torch.from_numpy(speech[: 5 * spec.hop_length])[None]
        values = analyse(sound, spec).values[:, :, :5]
        model = configured(name, spec)
        assert torch.isfinite(model.loss(values, sound))


def test_lower_bands_inform_higher_ones_of_the_same_step(pair):
    values, sound = pair
    model = small()
    subbands = model.bank.split(sound)
    with torch.no_grad():
        forced = model.teacher_forced(values, subbands, drafted(model, values))
    shift = forced.from_lower_bands(forced.excitation)
    assert shift[:, 0].abs().max() == 0, "the lowest band has none below it"
    assert (shift[:, 1:].abs().amax(2) > 0).all()
    other = forced.excitation.clone()
    other[:, 2] += 1
    moved = (forced.from_lower_bands(other) - shift).abs().amax((0, 2))
    assert moved[:3].max() == 0 and moved[3] > 0


def test_folding_changes_no_result(pair):
    values, sound = pair
    model = small()
    before = model.loss(values, sound)
    model.fold()
    assert not any("parametrizations" in name for name in model.state_dict())
    assert torch.allclose(model.loss(values, sound), before, atol=1e-5)


def test_a_checkpoint_builds_the_same_network(pair):
    values, sound = pair
    model = small()
    checkpoint = Checkpoint(settings_of(model), MEL, model.state_dict(), {})
    again = checkpoint.build()
    assert isinstance(again, WaveNet)
    assert torch.equal(again.loss(values, sound), model.loss(values, sound))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draft_iterations": -1}, "model.draft_iterations is -1; expected at least 0"),
        ({"bands": 0}, "model.bands is 0; expected at least 1"),
        ({"bands": 3}, "model.bands is 3, but a hop of 256 samples is no multiple"),
        ({"order": -1}, "model.order is -1; expected at least 0"),
        ({"preemphasis": 1.0}, "model.preemphasis is 1.0; expected 0 to below 1"),
        ({"layers": 0}, "model.layers is 0; expected at least 1"),
        ({"residual_channels": 12}, "model.residual_channels is 12; expected a multiple of 8"),
        ({"upsampling": "nearest"}, "model.upsampling is 'nearest'; expected one of"),
        ({"output": "gauss"}, "model.output is 'gauss'; expected one of"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, message):
    with pytest.raises(BadInput) as refusal:
        small(**changes)
    assert str(refusal.value).startswith(message)


def test_in_half_precision_it_learns_the_same(pair):
    """Filter bank and prediction are no matter of layers: rounded, they tell another sound."""
    values, sound = pair
    for model in (small(gain=1.0), configured("wavenet_mulaw")):
        with torch.no_grad():
            whole = float(model.loss(values, sound, 4))
            with torch.autocast("cpu", torch.bfloat16):
                half = float(model.loss(values, sound, 4))
        assert half == pytest.approx(whole, abs=0.02) and half != whole


def test_the_loss_of_a_batch_is_the_mean_of_its_examples(pair):
    """As every other, so that machines that share a batch learn what one does."""
    values, sound = pair
    quiet = values.clone()
    quiet[:, :, : values.shape[2] // 2] = 0
    model = small(gain=1.0)
    with torch.no_grad():
        alone = [float(model.loss(one, sound)) for one in (values, quiet)]
        both = float(model.loss(torch.cat([values, quiet]), torch.cat([sound, sound])))
    assert alone[0] != pytest.approx(alone[1])
    assert both == pytest.approx(sum(alone) / 2, rel=1e-5)
