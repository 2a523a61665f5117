"""The inverse STFT without complex numbers and without an FFT, for formats that have neither."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.spec import LEAST_COVERAGE, SpectrogramSpec, window_samples


class RealIstft(nn.Module):
    """`vocoder.spectrogram.istft_to_padded` as a matrix product.

    For exported models, in which the number of frames stays free; several times slower than the
    FFT (a frame takes ``n_fft`` squared multiplications).

    Parameters
    ----------
    spec : SpectrogramSpec
    """

    synthesis: Tensor
    squared_window: Tensor

    def __init__(self, spec: SpectrogramSpec) -> None:
        super().__init__()
        self.hop_length = spec.hop_length
        window = torch.from_numpy(window_samples(spec))
        numbers = torch.arange(spec.n_freqs)[:, None] * torch.arange(spec.n_fft)
        # The remainder first, so that large angles lose no digits.
        angles = (numbers % spec.n_fft) * (2 * math.pi / spec.n_fft)
        basis = torch.cat([angles.cos(), -angles.sin()]) * window
        # A real signal's negative frequencies mirror the positive ones, but for the two ends.
        weights = torch.full((spec.n_freqs, 1), 2 / spec.n_fft)
        weights[0] = weights[-1] = 1 / spec.n_fft
        for name, value in (
            ("synthesis", basis * weights.repeat(2, 1)),
            ("squared_window", window.square()),
        ):
            self.register_buffer(name, value.float(), persistent=False)

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Both ``(batch, n_freqs, frames)`` to ``(batch, (frames - 1) * hop_length + n_fft)``."""
        frames = torch.cat([real, imaginary], dim=1).mT @ self.synthesis
        weights = self._overlap_add(torch.ones_like(frames[:1, :, :1]) * self.squared_window)
        return self._overlap_add(frames) / torch.maximum(weights, LEAST_COVERAGE * weights.max())

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Sum frames ``(batch, frames, n_fft)`` at their places, a hop at a time."""
        n_fft, hop = frames.shape[2], self.hop_length
        blocks = -(-n_fft // hop)
        pieces = torch.split(functional.pad(frames, (0, blocks * hop - n_fft)), hop, dim=2)
        placed = [
            functional.pad(piece, (0, 0, k, blocks - 1 - k)) for k, piece in enumerate(pieces)
        ]
        total: Tensor = torch.stack(placed).sum(dim=0)
        return total.flatten(1)[:, : (frames.shape[1] - 1) * hop + n_fft]
