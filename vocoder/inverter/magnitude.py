"""From what an image shows to the magnitudes of the STFT: mel to linear, non-negative."""

from __future__ import annotations

from functools import cached_property, lru_cache

import torch
from torch import Tensor

from vocoder.decibels import to_decibels, to_linear
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, mel_filters, to_bins

# Ridge of the filter bank's pseudo-inverse. Low mel filters fall between the same two bins, so
# that the bank has singular values of zero; those that matter are above 0.25 (mel256).
RIDGE = 1e-2
# Residual after 4 steps from the clipped pseudo-inverse is below that of librosa's L-BFGS-B on
# speech with 80, 128 and 256 bands; with 40 it is not.
SOLVER_STEPS = 4


class Target:
    """The STFT magnitudes that a spectrogram asks for.

    A spectrogram rarely fixes them all: mel bands sum many bins at high frequencies, the Nyquist
    bin may have been dropped, and a JPEG only says in which cells its coefficients lie. So there
    is a best guess to begin with (`start`), and the magnitudes that explain the image and are
    nearest to those of a signal at hand (`nearest`), which an iterative inverter can move to.

    Parameters
    ----------
    spectrogram : Spectrogram
        ``(batch, bins, frames)``.
    """

    def __init__(self, spectrogram: Spectrogram) -> None:
        self._spectrogram = spectrogram
        self._wanted = spectrogram.linear

    @cached_property
    def start(self) -> Tensor:
        """The best guess, ``(batch, n_freqs, frames)``."""
        return mel_to_linear(self._wanted, self._spectrogram.spec)

    @property
    def is_loose(self) -> bool:
        """Whether other magnitudes than `start` explain the image as well."""
        return self._spectrogram.spec.kind == "mel" or self._spectrogram.constraint is not None

    def nearest(self, magnitude: Tensor) -> Tensor:
        """Of the magnitudes that explain the image, the nearest to given ones.

        Both have the shape ``(batch, n_freqs, frames)``.
        """
        constraint, spec = self._spectrogram.constraint, self._spectrogram.spec
        linear = magnitude if spec.power == 1 else magnitude.square()
        shown, wanted = to_bins(linear, spec), self._wanted
        if constraint is not None:
            wanted = to_linear(constraint.project(to_decibels(shown, spec), 0), spec)
        return _magnitude(_step(linear, wanted - shown, spec), spec)


def mel_to_linear(wanted: Tensor, spec: SpectrogramSpec, n_iter: int = SOLVER_STEPS) -> Tensor:
    """Non-negative least squares, mel bands to STFT bins, on any device.

    Projected Landweber iteration preconditioned with the filter bank's regularised
    pseudo-inverse: ``x <- max(0, x + P (b - A x))`` from ``x = max(0, P b)``. The bank being
    nearly orthogonal (each filter overlaps its two neighbours only), it converges in a few steps.
    Linear spectrograms are returned as they are, a dropped Nyquist bin as zeros.

    Parameters
    ----------
    wanted : Tensor
        Magnitudes or powers, as the spec says, ``(batch, bins, frames)``.
    spec : SpectrogramSpec
    n_iter : int
        Steps after the clipped pseudo-inverse.

    Returns
    -------
    Tensor
        Magnitudes, ``(batch, n_freqs, frames)``, float32.
    """
    batch, _, n_frames = wanted.shape
    linear = wanted.new_zeros(batch, n_frames, spec.n_freqs).mT
    linear = _step(linear, wanted, spec)
    if spec.kind == "mel":
        for _ in range(n_iter):
            linear = _step(linear, wanted - to_bins(linear, spec), spec)
    return _magnitude(linear, spec)


def _step(linear: Tensor, residual: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Move STFT values towards explaining a residual in the spec's bins; stay non-negative."""
    if spec.kind == "mel":
        lift = _pseudo_inverse(spec, residual.device)
        return (linear.mT + residual.mT @ lift.mT).clamp_(min=0).mT
    moved = linear.clone()
    moved[:, : spec.bins] += residual
    moved[:, spec.bins :] = 0
    return moved.clamp_(min=0)


def _magnitude(values: Tensor, spec: SpectrogramSpec) -> Tensor:
    if spec.power == 1:
        return values
    some = values > 0  # the root's slope at zero is no number
    return values.where(some, 1).sqrt().where(some, 0)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is cached here, training uses too
def _pseudo_inverse(spec: SpectrogramSpec, device: torch.device) -> Tensor:
    """Tikhonov-regularised pseudo-inverse of the mel filters, ``(n_freqs, n_mels)``.

    Scaled to the bank's largest singular value, so that it suits every mel norm.
    """
    bank = mel_filters(spec, torch.device("cpu")).double()
    gram = bank @ bank.mT
    ridge = RIDGE * torch.linalg.matrix_norm(gram, 2) / 2
    inverse = torch.linalg.inv(gram + ridge * torch.eye(len(gram), dtype=gram.dtype))
    lift: Tensor = bank.mT @ inverse
    # It fades exponentially away from the diagonal, into denormal numbers, with which matrix
    # products take ten times as long.
    lift[lift.abs() < 1e-9 * lift.abs().max()] = 0
    return lift.to(device, torch.float32)
