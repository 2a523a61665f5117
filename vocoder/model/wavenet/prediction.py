"""Linear prediction from the picture: what a spectrogram alone says of the next sample.

A power spectrum is the Fourier transform of an autocorrelation, from which the normal equations
give the best linear predictor and the energy of what it leaves over (Valin and Skoglund, "LPCNet",
ICASSP 2019, for the full band; Tian et al., "FeatherWave", Interspeech 2020, for bands). A fine
picture resolves the harmonics too, so that a long predictor knows the pitch. The network is left
with the shape of the excitation; level and formants are the picture's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vocoder.decibels import to_linear
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.model.wavenet.pqmf import FilterBank
from vocoder.spec import SpectrogramSpec, window_samples
from vocoder.spectrogram import mel_filters

# Predictors a frame. Four are worth 0.02 nats a sample on speech against one; more, nothing.
BLOCKS_PER_FRAME = 4
# White noise added to the spectrum before solving, as a part of its energy: keeps the equations
# well conditioned (LPCNet: 1e-4; with bands, ten times less fits speech better by 0.01 nats).
WHITENING = 1e-5
# Level below which a block counts as silent and nothing is excited: -100 dB, a third of a step of
# 16 bits.
SILENCE = 1e-5
# Greatest sample, in units of the band's level. Speech stays below 8; whatever a network does,
# the sound cannot leave the picture further behind than this.
CREST = 12.0


@dataclass(frozen=True)
class Prediction:
    """Predictors of a spectrogram, `BLOCKS_PER_FRAME` a frame.

    Parameters
    ----------
    coefficients : Tensor
        ``(batch, blocks, bands, order)``; the first belongs to the sample before.
    scale : Tensor
        Root mean square of what the prediction leaves over, ``(batch, blocks, bands)``; zero where
        the picture is silent.
    level : Tensor
        Root mean square of the band itself, likewise.
    """

    coefficients: Tensor
    scale: Tensor
    level: Tensor

    def at_steps(self, tensor: Tensor, steps: int) -> Tensor:
        """``(batch, blocks, bands)`` to ``(batch, bands, steps)``."""
        return tensor.repeat_interleave(steps // tensor.shape[1], dim=1).mT

    def bounded(self, subbands: Tensor) -> Tensor:
        """``(batch, bands, steps)``, no further out than `CREST` allows."""
        bound = CREST * self.at_steps(self.level, subbands.shape[2])
        return subbands.clamp(-bound, bound)

    def predict(self, subbands: Tensor) -> Tensor:
        """Predict every step of ``(batch, bands, steps)`` from those before it."""
        batch, bands, steps = subbands.shape
        blocks, order = self.coefficients.shape[1], self.coefficients.shape[3]
        if order == 0:
            return torch.zeros_like(subbands)
        past = functional.pad(subbands, (order, -1)).unfold(2, order, 1).flip(3)
        past = past.reshape(batch, bands, blocks, steps // blocks, order)
        predicted = torch.einsum("bkfso,bfko->bkfs", past, self.coefficients)
        return self.bounded(predicted.reshape(batch, bands, steps))


@torch.no_grad()
def predict_from(
    values: Tensor, spec: SpectrogramSpec, bank: FilterBank, order: int, preemphasis: float
) -> Prediction:
    """The predictors of all frames but the last, which only ends the last blocks.

    Parameters
    ----------
    values : Tensor
        ``(batch, bins, frames + 1)`` in the spec's units.
    spec : SpectrogramSpec
    bank : FilterBank
        Its bands are predicted, each by itself.
    order : int
        Steps of a band that a prediction looks back; with 0 the scale is the level.
    preemphasis : float
        The signal is ``x[n] - preemphasis * x[n - 1]``.
    """
    magnitude = mel_to_linear(to_linear(values, spec), spec, n_iter=0).double()
    power = magnitude[:, _nearest_shown(spec).to(values.device)].square()
    lags = _autocorrelation(spec, bank.bands, order, preemphasis).to(values.device)
    at_frames = (power.mT @ lags).reshape(*values.mT.shape[:2], bank.bands, order + 1)
    # A mean of autocorrelations is one again, so the predictors between two frames are stable.
    weight = (torch.arange(BLOCKS_PER_FRAME, device=values.device) + 0.5) / BLOCKS_PER_FRAME
    correlation = torch.lerp(
        at_frames[:, :-1, None], at_frames[:, 1:, None], weight.double()[:, None, None]
    ).flatten(1, 2)
    energy = correlation[..., 0].clamp(min=0)
    coefficients, left = levinson(correlation)
    return Prediction(coefficients.float(), left.sqrt().float(), energy.sqrt().float())


def levinson(correlation: Tensor) -> tuple[Tensor, Tensor]:
    """Levinson and Durbin's recursion (Makhoul, "Linear prediction", Proc. IEEE 63(4), 1975).

    Parameters
    ----------
    correlation : Tensor
        ``(..., order + 1)``, float64.

    Returns
    -------
    tuple of Tensor
        Coefficients ``(..., order)``, the first for the sample before, and the energy ``(...)`` of
        what they leave over. Silence gives zeros.
    """
    order = correlation.shape[-1] - 1
    tiny = torch.finfo(correlation.dtype).tiny
    left = correlation[..., 0].clamp(min=0) * (1 + WHITENING)
    coefficients = correlation[..., :0]
    for i in range(order):
        ahead = (coefficients * correlation[..., 1 : i + 1].flip(-1)).sum(-1)
        reflection = ((correlation[..., i + 1] - ahead) / left.clamp(min=tiny)).clamp(-1, 1)
        mirrored = reflection[..., None] * coefficients.flip(-1)
        coefficients = torch.cat([coefficients - mirrored, reflection[..., None]], -1)
        left = left * (1 - reflection.square())
    return coefficients, left


@lru_cache(maxsize=8)
def _autocorrelation(spec: SpectrogramSpec, bands: int, order: int, preemphasis: float) -> Tensor:
    """From STFT powers to the bands' autocorrelations, ``(n_freqs, bands * (order + 1))``."""
    angle = 2 * np.pi * np.arange(spec.n_freqs) / spec.n_fft
    both_sides = np.where((angle == 0) | (np.arange(spec.n_freqs) * 2 == spec.n_fft), 1, 2)
    # By Parseval, and over the window's energy: the mean square of the signal in the window.
    density = both_sides / spec.n_fft / np.square(window_samples(spec)).sum()
    emphasis = np.abs(1 - preemphasis * np.exp(-1j * angle)) ** 2
    seen = FilterBank(bands).response(spec.n_fft) * density * emphasis
    waves = np.cos(angle[:, None] * bands * np.arange(order + 1))
    return torch.from_numpy((seen.T[:, :, None] * waves[:, None]).reshape(spec.n_freqs, -1))


@lru_cache(maxsize=8)
def _nearest_shown(spec: SpectrogramSpec) -> Tensor:
    """For each STFT bin the nearest that the picture shows: beyond its edges the edge goes on."""
    first, last = 0, spec.bins - 1
    if spec.kind == "mel":
        peaks = mel_filters(spec, torch.device("cpu")).argmax(dim=1)
        first, last = int(peaks.min()), int(peaks.max())
    return torch.arange(spec.n_freqs).clamp(first, last)
