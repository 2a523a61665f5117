"""A sound held to its picture: against the equation in float64, and in pieces."""

import numpy as np
import pytest
import scipy.signal
import torch

from tests.model.wavenet.networks import MEL, picture_of
from vocoder.model.wavenet.hold import Hold
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

FRAMES = 60
CUTS = [1, 2, 9, 9, 31]


def whole(values, sound):
    hold = Hold(MEL, len(values))
    return torch.cat([hold.push(values, sound), hold.finish(sound[:, :0])], 1)


def off(values, sound):
    """How far a sound is from a picture, relative to it; the ends aside."""
    shown = analyse(sound, MEL).values[:, :, 4 : values.shape[2] - 4]
    wanted = values[:, :, 4:-4]
    return float((shown - wanted).norm() / wanted.norm())


@pytest.fixture
def heard(speech):
    """A picture, its sound, and the sound with noise."""
    values, sound = picture_of(speech[20_000:], FRAMES)
    noise = torch.randn(sound.shape, generator=torch.Generator().manual_seed(0))
    return values, sound, sound + 0.02 * noise


def test_it_is_an_iteration_of_griffin_and_lim(speech):
    """Linear magnitudes, by scipy in float64: the windows' magnitudes replaced, then added up."""
    spec = SpectrogramSpec.stft(
        sample_rate=22050, n_fft=1024, hop_length=256, pad_mode="reflect", power=1.0
    )
    sound = torch.from_numpy(speech[20_000 : 20_000 + FRAMES * 256])[None]
    noisy = sound + 0.05 * torch.randn(sound.shape, generator=torch.Generator().manual_seed(0))
    values = analyse(sound, spec).values[:, :, :FRAMES]
    hold = Hold(spec, 1)
    found = torch.cat([hold.push(values, noisy), hold.finish(noisy[:, :0])], 1)[0].numpy()

    window = scipy.signal.get_window("hann", 1024)
    padded = np.pad(noisy[0].numpy().astype(np.float64), 512)
    total, weight = np.zeros(FRAMES * 256 + 1024), np.zeros(FRAMES * 256 + 1024)
    for frame in range(FRAMES):
        at = slice(frame * 256, frame * 256 + 1024)
        transform = np.fft.rfft(padded[at] * window)
        transform *= values[0, :, frame].numpy() / np.maximum(np.abs(transform), 1e-30)
        total[at] += np.fft.irfft(transform) * window
        weight[at] += window**2
    expected = (total / np.maximum(weight, 1e-30))[512 : 512 + FRAMES * 256]
    assert np.abs(found - expected)[:-256].max() < 1e-4
    assert np.abs(noisy[0].numpy() - expected)[:-256].max() > 0.01


def test_it_brings_a_sound_nearer_to_its_picture(heard):
    values, sound, noisy = heard
    assert off(values, whole(values, noisy)) < 0.5 * off(values, noisy)
    assert (whole(values, sound) - sound)[:, 1024:-1024].abs().max() < 1e-3, "the true one stays"


def test_pieces_are_the_whole(heard):
    values, _, noisy = heard
    expected = whole(values, noisy)
    assert expected.shape == (1, FRAMES * 256)
    hold = Hold(MEL, 1)
    # Sound comes after its frames, and now and then none does.
    sounds = noisy.tensor_split([0, 700, 701, 5000, 9000], dim=1)
    pieces = [
        hold.push(*pair) for pair in zip(values.tensor_split(CUTS, dim=2), sounds, strict=True)
    ]
    pieces.append(hold.finish(noisy[:, :0]))
    assert torch.allclose(torch.cat(pieces, 1), expected, rtol=0, atol=1e-5)


def test_sound_comes_as_soon_as_stated_and_little_is_kept(heard):
    values, _, noisy = heard
    hold = Hold(MEL, 1)
    given = 0
    for frame in range(FRAMES):
        sound = noisy[:, frame * 256 : (frame + 1) * 256]
        given += hold.push(values[:, :, frame : frame + 1], sound).shape[1]
        assert (frame + 1) * 256 - given <= hold.latency_samples
        assert hold._frames.shape[2] <= 2 and hold._sound.shape[1] <= 1024


def test_silence_is_kept(heard):
    values, sound, _ = heard
    nothing, quiet = torch.zeros_like(values), torch.zeros_like(sound)
    assert whole(nothing, quiet).abs().max() == 0
    assert whole(nothing, sound)[:, 1024:-1024].std() < 0.1 * sound.std(), "what no filter sees"
    assert whole(values, quiet).isfinite().all()


def test_no_frames_give_no_sound():
    hold = Hold(MEL, 2)
    assert hold.finish(torch.zeros(2, 0)).shape == (2, 0)
