"""One STFT, or several of one signal, between which and the signal phase retrieval goes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vocoder.inverter.projection import impose_magnitude
from vocoder.inverter.stack import Stack
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

    Transforms are complex, ``(batch, n_freqs, frames)``, the spectrogram's own bins first and those
    of others below as `vocoder.inverter.stack.Stack` says. Signals are padded as the longest STFT
    wants it, ``(batch, (frames - 1) * hop + n_fft)``; the frames of all are centred on the same
    samples.

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
        self._stack = Stack(specs)
        self._strided = [
            replace(spec, hop_length=stride * spec.hop_length)
            for spec, stride in zip(specs, self._stack.strides, strict=True)
        ]
        self._shares = _shares(specs, weights, tuple(self._stack.strides))

    @property
    def stride_frames(self) -> int:
        """Pieces that begin at a multiple of this use the frames that the whole uses."""
        return math.lcm(*self._stack.strides)

    @classmethod
    def of(cls, spectrogram: Spectrogram) -> JointStft:
        """Those of a spectrogram."""
        return cls(spectrogram.specs, tuple(one.weight for one in spectrogram.analyses))

    def forward(self, signal: Tensor) -> Tensor:
        """Transform a signal."""
        n_frames = (signal.shape[1] - self.longest.n_fft) // self.specs[0].hop_length + 1
        parts = []
        for spec, stride in zip(self._strided, self._stack.strides, strict=True):
            margin = self._margin(spec)
            inner = signal[:, margin : signal.shape[1] - margin]
            part = stft_of_padded(inner, spec)
            parts.append(part[:, :, : n_frames // stride])
        return self._stack.join(parts, n_frames)

    def inverse(self, transform: Tensor, counts: tuple[int, ...] | None = None) -> Tensor:
        """The signal whose STFTs are nearest to given ones, by weighted least squares.

        What Griffin and Lim (1984, eq. 6) derive for one STFT holds for the sum of several: the
        overlap-add of all, divided by the sum of all squared windows.

        Parameters
        ----------
        counts : tuple of int, optional
            How many of its frames each member of the batch has, the longest all of them; what
            stands behind them is left out, and its signal is silent from its own end on.
        """
        device, hop = transform.device, self.specs[0].hop_length
        length = (transform.shape[2] - 1) * hop + self.longest.n_fft
        strides, parts = self._stack.strides, self._stack.split(transform)
        numerator = transform.real.new_zeros(transform.shape[0], length)
        for part, spec, stride, share in zip(parts, self.specs, strides, self._shares, strict=True):
            if not part.shape[2]:  # of a single frame
                continue
            window = share * analysis_window(spec, device)
            frames = torch.fft.irfft(part.mT, n=spec.n_fft) * window
            if counts is not None:
                frames *= _present(counts, stride, device)
            signal = overlap_add(frames, stride * hop)
            begin = self._margin(spec)
            numerator[:, begin : begin + signal.shape[1]] += signal
        counts = counts or (transform.shape[2],)
        return numerator * _inverse_envelopes(
            self.specs, tuple(strides), self._shares, counts, device
        )

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
        transform[:, : self.specs[0].n_freqs] = first
        return transform

    def _margin(self, spec: SpectrogramSpec) -> int:
        """Samples at either end of the signal that the padding of this STFT does not hold."""
        return (self.longest.n_fft - spec.n_fft) // 2


def _present(counts: tuple[int, ...], stride: int, device: torch.device) -> Tensor:
    """1 for used frames that are there, else 0, ``(batch, frames, 1)``."""
    numbers = torch.arange(max(counts) // stride, device=device)
    there = torch.tensor(counts, device=device)[:, None] // stride
    return (numbers < there).float()[..., None]


@lru_cache(maxsize=32)
def _shares(
    specs: tuple[SpectrogramSpec, ...], weights: tuple[float, ...], strides: tuple[int, ...]
) -> tuple[float, ...]:
    """Factors by which analyses of one weight have one energy, the first one's being 1."""
    energies = [
        float(np.square(window_samples(spec)).sum()) / stride
        for spec, stride in zip(specs, strides, strict=True)
    ]
    wanted = [weight / energy for weight, energy in zip(weights, energies, strict=True)]
    return tuple(one / wanted[0] for one in wanted)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is cached here, training uses too
def _inverse_envelopes(
    specs: tuple[SpectrogramSpec, ...],
    strides: tuple[int, ...],
    shares: tuple[float, ...],
    counts: tuple[int, ...],
    device: torch.device,
) -> Tensor:
    """One over the sum of weighted squared windows of each member, 0 behind its end."""
    longest, hop = max(spec.n_fft for spec in specs), specs[0].hop_length
    alone = torch.zeros(len(counts), (max(counts) - 1) * hop + longest, device=device)
    for row, count in zip(alone, counts, strict=True):
        row = row[: (count - 1) * hop + longest]
        for spec, stride, share in zip(specs, strides, shares, strict=True):
            wide = replace(spec, hop_length=stride * hop)
            envelope = share * squared_windows(wide, count // stride, device)[0]
            begin = (longest - spec.n_fft) // 2
            row[begin : begin + len(envelope)] += envelope
        row.copy_(inverted_coverage(row[None])[0])
    return alone
