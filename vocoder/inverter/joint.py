"""One STFT, or several of one signal, between which and the signal phase retrieval goes."""

from __future__ import annotations

from functools import lru_cache, reduce

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vocoder.inverter.magnitude import stacked
from vocoder.inverter.projection import impose_magnitude
from vocoder.spec import SpectrogramSpec, window_samples
from vocoder.spectrogram import (
    Spectrogram,
    analysis_window,
    inverted_coverage,
    overlap_add,
    squared_windows,
    stft_of_padded,
)


class JointStft:
    """The STFTs of all analyses of a spectrogram, stacked into one.

    Transforms are complex, ``(batch, n_freqs, frames)``, the analyses' bins one below the other,
    the spectrogram's own first. Signals are padded as the longest STFT wants it, ``(batch,
    (frames - 1) * hop + n_fft)``; the frames of all are centred on the same samples.

    Parameters
    ----------
    specs : tuple of SpectrogramSpec
        On one grid, see `Spectrogram.others`.
    weights : tuple of float
        How much each counts in `inverse`, whatever its window's energy.
    """

    def __init__(self, specs: tuple[SpectrogramSpec, ...], weights: tuple[float, ...]) -> None:
        self.specs = specs
        self.longest = max(specs, key=lambda spec: spec.n_fft)
        self.sizes = [spec.n_freqs for spec in specs]
        self._shares = _shares(specs, weights)

    @classmethod
    def of(cls, spectrogram: Spectrogram) -> JointStft:
        """Those of a spectrogram."""
        return cls(spectrogram.specs, tuple(one.weight for one in spectrogram.analyses))

    def forward(self, signal: Tensor) -> Tensor:
        """Transform a signal."""
        parts = []
        for spec in self.specs:
            margin = self._margin(spec)
            inner = signal[:, margin : signal.shape[1] - margin]
            parts.append(stft_of_padded(inner, spec))
        return stacked(parts)

    def inverse(self, transform: Tensor, counts: tuple[int, ...] | None = None) -> Tensor:
        """The signal whose STFTs are nearest to given ones, by weighted least squares.

        What Griffin and Lim (1984, eq. 6) derive for one STFT holds for the sum of several: the
        overlap-add of all, divided by the sum of all squared windows.

        Parameters
        ----------
        transform : Tensor
        counts : tuple of int, optional
            How many of its frames each member of the batch has, the longest all of them; what
            stands behind them is left out, and its signal is silent from its own end on.
        """
        device = transform.device
        parts = zip(
            torch.split(transform, self.sizes, dim=1), self.specs, self._shares, strict=True
        )
        present = None if counts is None else _present(counts, device)
        signals = []
        for part, spec, share in parts:
            window = share * analysis_window(spec, device)
            frames = torch.fft.irfft(part.mT, n=spec.n_fft) * window
            if present is not None:
                frames *= present
            signal = overlap_add(frames, spec.hop_length)
            signals.append(functional.pad(signal, (self._margin(spec),) * 2))
        numerator = reduce(Tensor.add_, signals)
        counts = counts or (transform.shape[2],)
        return numerator * _inverse_envelopes(self.specs, self._shares, counts, device)

    def extended(
        self, first: Tensor, magnitude: Tensor, counts: tuple[int, ...] | None = None
    ) -> Tensor:
        """All STFTs from the first one.

        Parameters
        ----------
        first : Tensor
            Complex, ``(batch, n_freqs, frames)``, of the spectrogram's own analysis alone.
        magnitude : Tensor
            Of all; the others get the phases that the first one's signal has.
        counts : tuple of int, optional
            As for `inverse`.
        """
        if len(self.specs) == 1:
            return first
        signal = JointStft(self.specs[:1], (1.0,)).inverse(first, counts)
        transform = self.forward(functional.pad(signal, (self._margin(self.specs[0]),) * 2))
        transform = impose_magnitude(transform, magnitude)
        transform[:, : self.sizes[0]] = first
        return transform

    def _margin(self, spec: SpectrogramSpec) -> int:
        """Samples at either end of the signal that the padding of this STFT does not hold."""
        return (self.longest.n_fft - spec.n_fft) // 2


def _present(counts: tuple[int, ...], device: torch.device) -> Tensor:
    """1 for frames that are there, else 0, ``(batch, frames, 1)``."""
    numbers = torch.arange(max(counts), device=device)
    return (numbers < torch.tensor(counts, device=device)[:, None]).float()[..., None]


@lru_cache(maxsize=32)
def _shares(specs: tuple[SpectrogramSpec, ...], weights: tuple[float, ...]) -> tuple[float, ...]:
    """Factors by which analyses of one weight have one energy, the first one's being 1."""
    energies = [float(np.square(window_samples(spec)).sum()) for spec in specs]
    wanted = [weight / energy for weight, energy in zip(weights, energies, strict=True)]
    return tuple(one / wanted[0] for one in wanted)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is cached here, training uses too
def _inverse_envelopes(
    specs: tuple[SpectrogramSpec, ...],
    shares: tuple[float, ...],
    counts: tuple[int, ...],
    device: torch.device,
) -> Tensor:
    """One over the sum of weighted squared windows of each member, 0 behind its end."""
    longest = max(spec.n_fft for spec in specs)
    alone = []
    for count in counts:
        envelopes = [
            functional.pad(
                share * squared_windows(spec, count, device), ((longest - spec.n_fft) // 2,) * 2
            )
            for spec, share in zip(specs, shares, strict=True)
        ]
        alone.append(inverted_coverage(reduce(Tensor.add_, envelopes)))
    length = max(one.shape[1] for one in alone)
    return torch.cat([functional.pad(one, (0, length - one.shape[1])) for one in alone])
