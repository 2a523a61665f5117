"""Several spectrograms inverted at once become what each becomes alone."""

from dataclasses import replace

import pytest
import torch

from vocoder.config import load
from vocoder.image.codec.jpeg import JpegCells, JpegConstraint
from vocoder.inverter.joint import JointStft
from vocoder.spectrogram import Spectrogram, analyse, istft_to_padded, stft, stft_of_padded

INVERTERS = ["griffin_lim", "admm"]
SPECS = ["mel256", "linear256"]
# On this machine not a bit differs; another FFT may round otherwise in a batch, and 9 iterations
# make little of that.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def lines(speech):
    """Of 0.5, 1.9 and 1.1 s, from different places and of different loudness."""
    cuts = [speech[:11_025], 0.2 * speech[12_000:54_000], speech[30_000:54_255]]
    return [torch.from_numpy(cut.copy())[None] for cut in cuts]


def joined(inverter, spectrograms):
    pieces: list[list[torch.Tensor]] = [[] for _ in spectrograms]
    for which, piece in inverter.invert_batch(spectrograms):
        assert piece.ndim == 1 and piece.device.type == "cpu"
        pieces[which].append(piece)
    return [torch.cat(some) for some in pieces]


@pytest.mark.parametrize("block_frames", [640, 64])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", INVERTERS)
def test_each_sounds_as_alone(name, spec, center, block_frames, lines):
    spec = replace(load("spec", spec), center=center)
    inverter = load("inverter", name, n_iter=9, block_frames=block_frames)
    spectrograms = [analyse(line, spec) for line in lines]
    for line, together, one in zip(
        lines, joined(inverter, spectrograms), spectrograms, strict=True
    ):
        alone = inverter(one)[0]
        assert together.shape == alone.shape == line.shape[1:]
        assert (together - alone).abs().max() <= TOLERANCE * alone.abs().max()


def test_what_an_image_leaves_open_is_each_ones_own(lines):
    """One line comes from a JPEG, the other does not."""
    spec, codec = load("spec", "mel256"), load("codec", "gray8")
    spectrograms = [analyse(line, spec) for line in lines]
    decibels = spectrograms[0].decibels[0].numpy()
    cells = JpegCells(codec.encode(decibels, spec), torch.full((8, 8), 20).numpy())
    constraint = JpegConstraint([(0, cells)], decibels, codec, 0.0)
    spectrograms[0] = replace(spectrograms[0], constraint=constraint)
    inverter = load("inverter", "griffin_lim", n_iter=9, block_frames=64)
    for together, one in zip(joined(inverter, spectrograms), spectrograms, strict=True):
        alone = inverter(one)[0]
        assert (together - alone).abs().max() <= TOLERANCE * alone.abs().max()


def test_the_end_of_a_shorter_one_is_as_if_nothing_came_after(lines):
    """The least-squares inverse divides by the windows that are there, and by no others."""
    spec = load("spec", "mel256")
    transforms = [stft(line, spec) for line in lines]
    counts = tuple(one.shape[2] for one in transforms)
    rubbish = torch.randn(3, spec.n_freqs, max(counts), dtype=torch.complex64)
    for row, one in enumerate(transforms):
        rubbish[row, :, : one.shape[2]] = one
    batch = JointStft((spec,), (1.0,)).inverse(rubbish, counts)
    for signal, one in zip(batch, transforms, strict=True):
        alone = istft_to_padded(one, spec)[0]
        torch.testing.assert_close(signal[: len(alone)], alone)
        assert not signal[len(alone) :].any()
        again = stft_of_padded(signal[None, : len(alone)], spec)
        assert again.shape == one.shape


def test_of_one_spec_only():
    spectrograms = [
        Spectrogram(torch.ones(1, load("spec", name).bins, 9), load("spec", name)) for name in SPECS
    ]
    with pytest.raises(ValueError, match="different specs"):
        next(load("inverter", "griffin_lim").invert_batch(spectrograms))
