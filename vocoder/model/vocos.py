"""Vocos: an inverse STFT whose transform a network gives, frame by frame."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from vocoder.errors import expect
from vocoder.model.features import features
from vocoder.model.generator import Generator, require_sizes
from vocoder.spec import MIN_COVERAGE, SpectrogramSpec
from vocoder.spectrogram import analysis_window, overlap_add, squared_windows

KERNEL = 7  # of all convolutions
MAX_MAGNITUDE = 100.0
EPS = 1e-6  # of the layers' norms


class Vocos(Generator):
    """Siuzdak 2023, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders
    for high-quality audio synthesis", for mels.

    Parameters
    ----------
    width, inner_width : int
        Channels between and inside the blocks.
    n_fft : int
        Of the inverse STFT.
    centred : bool
        Whether a frame's samples begin at its centre, or half a hop before.
    """

    def __init__(
        self,
        spec: SpectrogramSpec,
        *,
        width: int,
        inner_width: int,
        n_blocks: int,
        n_fft: int,
        centred: bool,
    ) -> None:
        super().__init__(spec)
        require_sizes({"width": width, "inner_width": inner_width, "n_blocks": n_blocks})
        hop = spec.hop_length
        fits = n_fft >= 2 * hop and not n_fft % 2
        expect(fits, "model.n_fft", n_fft, f"an even number of two hops, {2 * hop}, or more")
        self.settings = {
            "width": width,
            "inner_width": inner_width,
            "n_blocks": n_blocks,
            "n_fft": n_fft,
            "centred": centred,
        }
        self.enter = nn.Conv1d(spec.bins, width, KERNEL, padding=KERNEL // 2)
        self.enter_norm = nn.LayerNorm(width, eps=EPS)
        self.blocks = nn.ModuleList(_Block(width, inner_width, n_blocks) for _ in range(n_blocks))
        self.last_norm = nn.LayerNorm(width, eps=EPS)
        self.leave = nn.Linear(width, n_fft + 2)
        self.first_sample = 0 if centred else -(hop // 2)
        sharing = math.ceil(n_fft / 2 / hop) + 1  # frames on either side that share a sample
        self.context_frames = sharing + KERNEL // 2 * (1 + n_blocks)
        self._window_spec = replace(spec, n_fft=n_fft, win_length=n_fft, window="hann")

    def forward(self, decibels: Tensor) -> Tensor:
        """Decibels ``(batch, bins, frames)`` to samples ``(batch, frames * hop_length)``."""
        x = self.enter_norm(self.enter(features(decibels, self.spec)).mT)
        for block in self.blocks:
            x = block(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.waveform(self.leave(self.last_norm(x).to(self.leave.weight.dtype)))

    def waveform(self, numbers: Tensor) -> Tensor:
        """Logarithms of magnitudes, then phases, ``(batch, frames, n_fft + 2)``, to samples."""
        logarithm, phase = numbers.chunk(2, dim=2)
        magnitude = logarithm.exp().clamp(max=MAX_MAGNITUDE)
        transform = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        spec, n_frames = self._window_spec, numbers.shape[1]
        frames = torch.fft.irfft(transform, n=spec.n_fft) * analysis_window(spec, numbers.device)
        coverage = squared_windows(spec, n_frames, numbers.device).clamp(min=MIN_COVERAGE)
        samples = overlap_add(frames, spec.hop_length) / coverage
        begin = spec.n_fft // 2 + self.first_sample
        return samples[:, begin : begin + n_frames * spec.hop_length]


class _Block(nn.Module):
    """ConvNeXt's block in one dimension (Liu et al. 2022); ``(batch, frames, width)``."""

    def __init__(self, width: int, inner_width: int, n_blocks: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.widen = nn.Linear(width, inner_width)
        self.act = nn.GELU()
        self.narrow = nn.Linear(inner_width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1 / n_blocks))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x.mT).mT)
        changed: Tensor = self.gamma * self.narrow(self.act(self.widen(y)))
        return x + changed
