"""Pseudo-quadrature mirror filters: a signal as a few bands of a fraction of its rate, and back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.signal import firwin
from torch import Tensor
from torch.nn import functional

# Taps on either side of the middle, per band, and the window's shape: the pair that reconstructs
# best (to -62 dB of noise) among 4 to 12 taps and beta 5 to 12; less attenuation lets bands leak.
REACH_PER_BAND, KAISER_BETA = 8, 9.0


class FilterBank:
    """Cosine-modulated filters that split a signal into ``bands`` and join it again.

    Nguyen, "Near-perfect-reconstruction pseudo-QMF banks", IEEE Trans. Signal Processing 42(1),
    1994; the prototype by Lin and Vaidyanathan, "A Kaiser window approach for the design of
    prototype filters of cosine modulated filterbanks", IEEE Signal Processing Letters 5(6), 1998.
    The filters are scaled so that the bands together hold the signal's energy, and centred, so
    that step ``m`` of every band lies at sample ``m * bands``.

    Parameters
    ----------
    bands : int
        1 leaves the signal as it is.

    Attributes
    ----------
    reach : int
        Samples on either side that a band's step depends on, and that it sounds for.
    """

    def __init__(self, bands: int) -> None:
        self.bands = bands
        analysis, synthesis = _filters(bands)
        self.reach = analysis.shape[1] // 2
        self._analysis = torch.from_numpy(analysis[:, ::-1].copy()).float()[:, None]
        self._synthesis = torch.from_numpy(synthesis).float()[:, None]

    def split(self, samples: Tensor) -> Tensor:
        """``(batch, samples)`` to ``(batch, bands, samples / bands)``.

        Mirrored at its ends: a sound cut in the middle would be a click in all bands otherwise.
        """
        padded = functional.pad(samples[:, None], (self.reach, self.reach), mode="reflect")
        weights = self._analysis.to(samples)
        return functional.conv1d(padded, weights, stride=self.bands)[
            ..., : samples.shape[1] // self.bands
        ]

    def join(self, subbands: Tensor) -> Tensor:
        """Inverse of `split`, to within -54 dB."""
        joiner = Joiner(self, subbands.shape[0])
        return torch.cat([joiner.push(subbands), joiner.finish()], dim=1)

    def response(self, n_fft: int) -> np.ndarray:
        """Power responses at the frequencies of an FFT, ``(bands, n_fft // 2 + 1)``, float64."""
        return np.asarray(np.abs(np.fft.rfft(_filters(self.bands)[0], n_fft)) ** 2)

    def spread(self, subbands: Tensor) -> Tensor:
        """The sound of ``(batch, bands, steps)``, from `reach` samples before the first step on."""
        return functional.conv_transpose1d(
            subbands, self._synthesis.to(subbands), stride=self.bands
        )[:, 0]


class Joiner:
    """`FilterBank.join` piece by piece; the output lags by `FilterBank.reach` samples."""

    def __init__(self, bank: FilterBank, batch: int) -> None:
        self._bank = bank
        self._tail = torch.zeros(batch, 2 * bank.reach + 1 - bank.bands)
        self._skip = bank.reach

    def push(self, subbands: Tensor) -> Tensor:
        """``(batch, bands, steps)`` to the samples that no later step changes."""
        if subbands.shape[2] == 0:
            return self._tail[:, :0]
        sound = self._bank.spread(subbands)
        sound[:, : self._tail.shape[1]] += self._tail
        ready = subbands.shape[2] * self._bank.bands
        self._tail = sound[:, ready:]
        skipped = min(self._skip, ready)
        self._skip -= skipped
        return sound[:, skipped:ready]

    def finish(self) -> Tensor:
        """The last samples."""
        return self._tail[:, self._skip : self._bank.reach]


@lru_cache(maxsize=8)
def _filters(bands: int) -> tuple[np.ndarray, np.ndarray]:
    """Analysis and synthesis filters, each ``(bands, 2 * reach + 1)``, float64."""
    if bands == 1:
        return np.ones((1, 1)), np.ones((1, 1))
    n = np.arange(2 * REACH_PER_BAND * bands - 1) - (REACH_PER_BAND * bands - 1)

    def prototype(cutoff: float) -> np.ndarray:
        return np.asarray(firwin(len(n), cutoff, window=("kaiser", KAISER_BETA)))

    def excess(cutoff: float) -> float:
        """Neighbours' powers add up to one where they cross if the prototype has half there."""
        edge = np.cos(np.pi / (2 * bands) * n) @ prototype(cutoff)
        return float(edge**2 - 0.5)

    k = np.arange(bands)[:, None]
    carrier, phase = (2 * k + 1) * np.pi / (2 * bands) * n, (-1.0) ** k * np.pi / 4
    scaled = 2 * np.sqrt(bands) * prototype(brentq(excess, 0.4 / bands, 0.9 / bands))
    return scaled * np.cos(carrier + phase), scaled * np.cos(carrier - phase)
