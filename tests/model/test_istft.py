"""The inverse-STFT net: a projection at first, and no more than it reaches."""

import math
from dataclasses import replace

import pytest
import torch

from tests.train.tiny import griffin_lim, istft_net, shaken
from vocoder.composition import load
from vocoder.errors import BadInput
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.inverter.phase import initial_phase
from vocoder.model.istft import MAX_LOG_GAIN, IstftNet, apply_correction, magnitude_of
from vocoder.spectrogram import analyse, istft_to_padded, stft_of_padded

SPEC = load("spec", "mel256")
SMALL = replace(load("spec", "linear256"), n_fft=128, win_length=128, hop_length=32)


@pytest.fixture(scope="module")
def values(speech):
    return analyse(torch.from_numpy(speech[:20_000])[None], SPEC).values


@pytest.mark.parametrize("name", ["mel256", "linear256", "tacotron2"])
def test_untrained_it_is_one_projection_of_integrated_phases(name, speech):
    spec = load("spec", name)
    given = analyse(torch.from_numpy(speech[:20_000])[None], spec)
    magnitude = mel_to_linear(given)
    generator = torch.Generator().manual_seed(0)
    guess = initial_phase(magnitude, spec, "phase_gradient", generator, None)
    once = stft_of_padded(istft_to_padded(guess, spec), spec)
    expected = istft_to_padded(magnitude * torch.exp(1j * once.angle()), spec)
    with torch.inference_mode():
        sound = istft_net(spec)(given.values)
    half, frames = spec.n_fft // 2, given.values.shape[2]
    assert sound.shape == (1, frames * spec.hop_length) and sound.dtype == torch.float32
    expected = expected[:, half : half + frames * spec.hop_length]
    assert (sound - expected).abs().max() < 1e-4
    # And so is Griffin-Lim's first iteration.
    plain = griffin_lim(n_iter=1, momentum=0.0, init="phase_gradient", refine_every=0)
    assert (sound[:, : given.length] - plain(given)).abs().max() < 1e-4


def test_silence_gives_silence():
    net = shaken(istft_net()).eval()
    with torch.inference_mode():
        assert not net(torch.zeros(2, 256, 20)).any()


def test_a_sound_does_not_depend_on_the_batch_it_is_in(values):
    net = shaken(istft_net()).eval()
    batch = torch.cat([0.1 * values.flip(2), values, 0 * values])
    with torch.inference_mode():
        together = net(batch)
        for one, alone in zip(together, (net(item[None])[0] for item in batch), strict=True):
            assert (one - alone).abs().max() < 1e-4
        assert torch.equal(net(values), net(values))


def test_corrections_reach_as_far_as_it_says():
    """From the guess on: the guess itself is integrated over all frames."""
    net = IstftNet(SMALL, channels=4, blocks=2, expansion=8).double()
    shaken(net, 0.5)
    total, frame, hop = 60, 30, SMALL.hop_length
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(1, SMALL.bins, total, generator=generator, dtype=torch.float64) + 0.1
    parts = torch.randn(2, 1, SMALL.n_freqs, total, generator=generator, dtype=torch.float64)
    values.requires_grad_(), parts.requires_grad_()
    sound = net.sound(net.correct(values, torch.complex(*parts)))
    assert sound.shape == (1, total * hop)
    gradients = torch.autograd.grad(
        sound[0, frame * hop : (frame + 1) * hop].sum(), [values, parts]
    )
    furthest = 0
    for gradient in gradients:
        touched = gradient.abs().flatten(0, -2).sum(0)
        places = (touched > 1e-12 * touched.max()).nonzero().ravel()
        furthest = max(furthest, frame - int(places[0]), int(places[-1]) - frame)
    assert 2 * 3 + 3 <= furthest <= net.reach_frames


def test_gradients_arrive_everywhere_and_are_numbers(values):
    net = istft_net()
    given = torch.cat([values, 0 * values])[:, :, :24]
    for _ in range(2):  # the last layer is zero at first, and lets nothing through
        net.zero_grad()
        net(given).square().sum().backward()
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        with torch.no_grad():
            net.leave.weight += 0.01
    assert len(gradients) == len(list(net.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_corrections_are_gains_and_rotations():
    guess = torch.tensor([[[1.0 + 0j, 2.0]]])
    turned = torch.tensor([[[1j, 4j]]])

    def corrected(gain, along, across):
        parts = torch.tensor([gain, along, across]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
        return apply_correction(guess, turned, parts)

    assert torch.allclose(corrected(0.0, 0.0, 0.0), torch.tensor([[[1j, 2j]]]), atol=1e-5)
    assert torch.allclose(corrected(0.0, -1.0, 1.0), torch.tensor([[[-1.0 + 0j, -2.0]]]), atol=1e-5)
    assert corrected(0.1, 0.0, 0.0).abs()[0, 0, 0] == pytest.approx(1.105, abs=1e-3)
    limit = math.exp(MAX_LOG_GAIN)
    assert corrected(1e6, 0.0, 0.0).abs()[0, 0, 0] == pytest.approx(limit, rel=1e-3)
    assert magnitude_of(torch.tensor([3 + 4j, 0j])).tolist() == pytest.approx([5, 1e-7], rel=1e-4)


def test_what_does_not_fit_is_named():
    with pytest.raises(BadInput, match="needs a centred spec whose hop is at most half of n_fft"):
        istft_net(replace(SPEC, center=False))
    with pytest.raises(BadInput, match="whose hop is at most half"):
        istft_net(replace(SPEC, hop_length=600))
    with pytest.raises(BadInput, match=r"model\.blocks is 0; expected at least 1"):
        IstftNet(SPEC, channels=8, blocks=0, expansion=16)
