"""Pseudo-quadrature mirror filters: a signal as a few bands of a fraction of its rate, and back."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.signal import firwin
from torch import Tensor, nn
from torch.nn import functional

# Taps on either side of the middle, per band, and the window's shape: the pair that reconstructs
# best (to -62 dB of noise) among 4 to 12 taps and beta 5 to 12; less attenuation lets bands leak.
REACH_PER_BAND, KAISER_BETA = 8, 9.0


class FilterBank(nn.Module):
    """Cosine-modulated filters that split a signal into ``bands`` and join it again.

    Nguyen, "Near-perfect-reconstruction pseudo-QMF banks", IEEE Trans. Signal Processing 42(1),
    1994; the prototype by Lin and Vaidyanathan, "A Kaiser window approach for the design of
    prototype filters of cosine modulated filterbanks", IEEE Signal Processing Letters 5(6), 1998.
    The bands together hold the signal's energy, and step ``m`` of each lies at sample
    ``m * bands``; a step depends on, and sounds for, ``reach`` samples on either side.
    """

    analysis: Tensor
    synthesis: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bands, self.reach = bands, REACH_PER_BAND * bands - 1
        n, k = np.arange(-self.reach, self.reach + 1), np.arange(bands)[:, None]
        crossing = np.cos(np.pi / (2 * bands) * n)

        def prototype(cutoff: float) -> np.ndarray:
            return np.asarray(firwin(len(n), cutoff, window=("kaiser", KAISER_BETA)))

        def excess(cutoff: float) -> float:
            """Neighbours' powers add up to one where they cross if the prototype has half there."""
            return float((crossing @ prototype(cutoff)) ** 2 - 0.5)

        scaled = 2 * np.sqrt(bands) * prototype(brentq(excess, 0.4 / bands, 0.9 / bands))
        carrier, phase = (2 * k + 1) * np.pi / (2 * bands) * n, (-1.0) ** k * np.pi / 4
        self._filters = scaled * np.cos(carrier + phase)
        analysis = torch.from_numpy(self._filters[:, ::-1].copy()).float()[:, None]
        synthesis = torch.from_numpy(scaled * np.cos(carrier - phase)).float()[:, None]
        self.register_buffer("analysis", analysis, persistent=False)
        self.register_buffer("synthesis", synthesis, persistent=False)

    def split(self, samples: Tensor) -> Tensor:
        """Split ``(batch, samples)`` into ``(batch, bands, samples / bands)``.

        Mirrored at its ends: a waveform cut in the middle would be a click in all bands otherwise.
        """
        padded = functional.pad(samples[:, None], (self.reach, self.reach), mode="reflect")
        subbands = functional.conv1d(padded, self.analysis, stride=self.bands)
        return subbands[..., : samples.shape[1] // self.bands]

    def join(self, subbands: Tensor) -> Tensor:
        """Invert `split`, to within -54 dB; ``reach`` samples at the ends lack what is beyond."""
        waveform = functional.conv_transpose1d(subbands, self.synthesis, stride=self.bands)
        return waveform[:, 0, self.reach : self.reach + subbands.shape[2] * self.bands]

    def response(self, n_fft: int) -> np.ndarray:
        """Power responses at the frequencies of an FFT, ``(bands, n_fft // 2 + 1)``, float64."""
        return np.asarray(np.abs(np.fft.rfft(self._filters, n_fft)) ** 2)
