"""Multi-resolution discriminator: STFTs of several lengths, band by band."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from vocoder.errors import expect
from vocoder.model.discriminator.base import Discriminator, Layers, Output, normed, scaled
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import stft

CHANNELS = (32, 32, 32, 32, 32)
# (frames, bins)
KERNELS = ((3, 9), (3, 9), (3, 9), (3, 9), (3, 3))
STRIDES = ((1, 1), (1, 2), (1, 2), (1, 2), (1, 1))
LAST_KERNEL = (3, 3)
EDGES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # of the bands, relative to Nyquist
OVERLAP = 4  # windows on one sample
LEVEL = 0.8  # that every waveform's peak is brought to, so that loudness tells nothing
QUIET = 1e-9


class MultiResolution(Discriminator):
    """One network for each resolution and band; 1.4 M parameters for three at full width.

    Looks at the real and imaginary parts of STFTs (Jang et al. 2021 began this with magnitudes) in
    five bands with weights of their own, as in the Descript Audio Codec (Kumar et al. 2023) and in
    Vocos (Siuzdak 2023), whose numbers these are; ``width`` is relative to the published layers'.
    """

    def __init__(self, *, width: float, n_ffts: list[int]) -> None:
        super().__init__()
        fits = n_ffts and all(n_fft >= 64 and not n_fft % 2 for n_fft in n_ffts)
        expected = "even numbers from 64, as 2048, 1024, 512"
        expect(fits, "discriminators.n_ffts", n_ffts, expected)
        self.parts = nn.ModuleList(_Resolution(n_fft, width) for n_fft in n_ffts)

    def forward(self, samples: Tensor) -> list[Output]:
        """Waveforms ``(batch, samples)`` to an `Output` for each resolution."""
        level = samples - samples.mean(dim=1, keepdim=True)
        level = LEVEL * level / (level.abs().amax(dim=1, keepdim=True) + QUIET)
        return [part(level) for part in self.parts]


class _Resolution(nn.Module):
    """The view of STFTs with one window."""

    def __init__(self, n_fft: int, width: float) -> None:
        super().__init__()
        self.spec = _spec(n_fft)
        edges = [int(edge * self.spec.n_freqs) for edge in EDGES]
        self.band_sizes = [high - low for low, high in pairwise(edges)]
        sizes = [2, *scaled(CHANNELS, width)]
        shapes = list(zip(sizes[:-1], sizes[1:], KERNELS, STRIDES, strict=True))
        self.bands = nn.ModuleList(Layers([_conv(*s) for s in shapes]) for _ in self.band_sizes)
        self.last = _conv(sizes[-1], 1, LAST_KERNEL, (1, 1))

    def forward(self, samples: Tensor) -> Output:
        transform = torch.view_as_real(stft(samples, self.spec).mT).movedim(3, 1)
        bands = torch.split(transform, self.band_sizes, dim=3)
        maps = [layers(band) for layers, band in zip(self.bands, bands, strict=True)]
        logits = self.last(torch.cat([of_band[-1] for of_band in maps], dim=3))
        return logits.flatten(1), [*(m for of_band in maps for m in of_band), logits]


def _conv(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int]) -> nn.Conv2d:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return normed(nn.Conv2d(inputs, outputs, kernel, stride, padding))


def _spec(n_fft: int) -> SpectrogramSpec:
    """Of the STFT; the sample rate plays no part in it."""
    return SpectrogramSpec.stft(
        sample_rate=n_fft, n_fft=n_fft, hop_length=n_fft // OVERLAP, pad_mode="reflect", power=1.0
    )
