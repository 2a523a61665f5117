"""The inverse-STFT net: integrated phases at first, and no more than it reaches."""

from dataclasses import replace

import pytest
import torch

from tests.train.tiny import griffin_lim, istft_net, shaken
from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.model.istft import IstftNet
from vocoder.spectrogram import Spectrogram, analyse

SPEC = load("spec", "mel256")
SMALL = replace(SPEC, n_mels=32, n_fft=256, win_length=256, hop_length=64)


@pytest.fixture(scope="module")
def values(speech):
    return analyse(torch.from_numpy(speech[:20_000])[None], SPEC).values


@pytest.mark.parametrize("name", ["mel256", "tacotron2"])
def test_untrained_it_is_the_integrated_phases(name, speech):
    spec = load("spec", name)
    given = analyse(torch.from_numpy(speech[:20_000])[None], spec)
    net = istft_net(spec)
    with torch.inference_mode():
        sound = net(given.values)
        same = net.repair.repair(given.values)  # but for rounding, which decides between equals
    plain = griffin_lim(n_iter=0, init="phase_gradient")(Spectrogram(same, spec, given.n_samples))
    frames = given.values.shape[2]
    assert sound.shape == (1, frames * spec.hop_length) and sound.dtype == torch.float32
    assert (sound[:, : given.length] - plain).abs().max() < 1e-3


def test_silence_gives_silence():
    with torch.inference_mode():
        assert not istft_net().eval()(torch.zeros(2, 256, 20)).any()


def test_a_sound_does_not_depend_on_the_batch_it_is_in(values):
    net = shaken(istft_net()).eval()
    batch = torch.cat([0.1 * values.flip(2), values, 0 * values])
    with torch.inference_mode():
        together = net(batch)
        for one, alone in zip(together, (net(item[None])[0] for item in batch), strict=True):
            assert (one - alone).abs().max() < 1e-3
        assert torch.equal(net(values), net(values))


def test_magnitudes_reach_as_far_as_it_says():
    """With the phases given: they are integrated over all frames."""
    torch.manual_seed(0)
    net = IstftNet(SMALL, channels=2, context=4, context_blocks=1)
    shaken(net, 0.1)
    total, hop = 400, SMALL.hop_length
    frame = total // 2
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(1, SMALL.bins, total, generator=generator) + 0.1
    values.requires_grad_()
    repaired = net.repair.repair(values)
    magnitude = repaired.new_ones(1, SMALL.n_freqs, total) * repaired.sum(1, keepdim=True)
    sound = net.sound(magnitude, torch.ones_like(magnitude, dtype=torch.complex64))
    assert sound.shape == (1, total * hop)
    (gradient,) = torch.autograd.grad(sound[0, frame * hop : (frame + 1) * hop].sum(), values)
    touched = gradient.abs().sum((0, 1))
    places = (touched > 1e-9 * touched.max()).nonzero().ravel()
    furthest = max(frame - int(places[0]), int(places[-1]) - frame)
    assert net.reach_frames // 2 <= furthest <= net.reach_frames


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_gradients_arrive_everywhere_and_are_numbers(power, values):
    net = istft_net(replace(SPEC, power=power))
    given = torch.cat([values, 0 * values])[:, :, :24] ** power
    shaken(net)  # what is zero at first lets nothing through
    net(given).square().sum().backward()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert len(gradients) == len(list(net.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(float(gradient.abs().max()) > 0 for gradient in gradients) == len(gradients)


def test_what_does_not_fit_is_named():
    with pytest.raises(BadInput, match="needs a centred spec whose hop is at most half of n_fft"):
        istft_net(replace(SPEC, center=False))
    with pytest.raises(BadInput, match="whose hop is at most half"):
        istft_net(replace(SPEC, hop_length=600))
    with pytest.raises(BadInput, match=r"model\.channels is 0; expected at least 1"):
        IstftNet(SPEC, channels=0, context=8, context_blocks=1)
    with pytest.raises(BadInput, match="multiple of 16 bins"):
        istft_net(load("spec", "seed"))
