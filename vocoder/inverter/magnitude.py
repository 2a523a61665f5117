"""From what an image shows to the magnitudes of the STFT: mel to linear, non-negative."""

from __future__ import annotations

from functools import cached_property, lru_cache

import torch
from torch import Tensor

from vocoder.decibels import to_decibels, to_linear
from vocoder.inverter.stack import Stack
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, mel_filters, to_bins

# Ridge of the filter bank's pseudo-inverse. Low mel filters fall between the same two bins, so
# that the bank has singular values of zero; those that matter are above 0.25 (mel256).
RIDGE = 1e-2
# Residual after 4 steps from the clipped pseudo-inverse is below that of librosa's L-BFGS-B on
# speech with 80, 128 and 256 bands; with 40 it is not.
SOLVER_STEPS = 4
BLOCK_ROWS = 32  # of a banded matrix that are multiplied at once


class Target:
    """The STFT magnitudes that a spectrogram asks for.

    A spectrogram rarely fixes them all: mel bands sum many bins at high frequencies, the Nyquist
    bin may have been dropped, and a JPEG only says in which cells its coefficients lie. So there
    is a best guess to begin with (`start`), and the magnitudes that explain the image and are
    nearest to those of a signal at hand (`nearest`), which an iterative inverter can move to.

    The STFTs of several analyses lie in one array, as `vocoder.inverter.stack.Stack` says.

    Parameters
    ----------
    spectrogram : Spectrogram
        ``(batch, bins, frames)``.
    """

    def __init__(self, spectrogram: Spectrogram) -> None:
        self._stack, self._n_frames = Stack(spectrogram.specs), spectrogram.n_frames
        self._analyses = [
            (one, self._stack.used(one.linear, index))
            for index, one in enumerate(spectrogram.analyses)
        ]

    @cached_property
    def start(self) -> Tensor:
        """The best guess, ``(batch, n_freqs, frames)``."""
        parts = [mel_to_linear(wanted, one.spec) for one, wanted in self._analyses]
        return self._stack.join(parts, self._n_frames)

    @property
    def is_loose(self) -> bool:
        """Whether other magnitudes than `start` explain the image as well."""
        return any(
            one.spec.kind == "mel" or one.constraint is not None for one, _ in self._analyses
        )

    def nearest(self, magnitude: Tensor) -> Tensor:
        """Of the magnitudes that explain the image, the nearest to given ones.

        Both have the shape ``(batch, n_freqs, frames)``.
        """
        pairs = zip(self._stack.split(magnitude), self._analyses, strict=True)
        parts = [_nearest(part, one, wanted) for part, (one, wanted) in pairs]
        return self._stack.join(parts, self._n_frames)


def _nearest(magnitude: Tensor, spectrogram: Spectrogram, wanted: Tensor) -> Tensor:
    constraint, spec = spectrogram.constraint, spectrogram.spec
    linear = magnitude if spec.power == 1 else magnitude.square()
    shown = _shown(linear, spec)
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
            linear = _step(linear, wanted - _shown(linear, spec), spec)
    return _magnitude(linear, spec)


def _step(linear: Tensor, residual: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Move STFT values towards explaining a residual in the spec's bins; stay non-negative."""
    if spec.kind == "mel":
        lift = _pseudo_inverse(spec, residual.device)
        return (linear.mT + lift(residual.mT)).clamp_(min=0).mT
    moved = linear.clone()
    moved[:, : spec.bins] += residual
    moved[:, spec.bins :] = 0
    return moved.clamp_(min=0)


def _shown(linear: Tensor, spec: SpectrogramSpec) -> Tensor:
    """`vocoder.spectrogram.to_bins`, in a sixth of the time for mel bands."""
    if spec.kind == "mel":
        return _filters(spec, linear.device)(linear.mT).mT
    return to_bins(linear, spec)


def _magnitude(values: Tensor, spec: SpectrogramSpec) -> Tensor:
    if spec.power == 1:
        return values
    some = values > 0  # the root's slope at zero is no number
    return values.where(some, 1).sqrt().where(some, 0)


class _Band:
    """A matrix ``(rows, columns)`` with zeros away from its diagonal, most of which are left out.

    Parameters
    ----------
    matrix : Tensor
        ``(rows, columns)``.
    """

    def __init__(self, matrix: Tensor) -> None:
        self._blocks: list[tuple[slice, Tensor]] = []
        for block in torch.split(matrix, BLOCK_ROWS):
            columns = block.any(dim=0).nonzero()[:, 0].tolist() or [0]
            here = slice(columns[0], columns[-1] + 1)
            self._blocks.append((here, block[:, here].mT.contiguous()))

    def __call__(self, vectors: Tensor) -> Tensor:
        """Multiply ``(..., columns)`` to ``(..., rows)``."""
        return torch.cat([vectors[..., here] @ block for here, block in self._blocks], dim=-1)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is cached here, training uses too
def _filters(spec: SpectrogramSpec, device: torch.device) -> _Band:
    return _Band(mel_filters(spec, device))


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is cached here, training uses too
def _pseudo_inverse(spec: SpectrogramSpec, device: torch.device) -> _Band:
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
    return _Band(lift.to(device, torch.float32))
