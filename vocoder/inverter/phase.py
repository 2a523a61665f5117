"""Phases to begin with: random, zero, or integrated from the magnitudes' own gradient."""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from torch import Tensor

from vocoder.spec import SpectrogramSpec

INITS = ("phase_gradient", "random", "zero")

# Time-frequency ratio of the Gaussian nearest to a window, over win_length squared, by window:
# Prusa, Balazs, Sondergaard, "A Noniterative Method for Reconstruction of Phase from STFT
# Magnitude", IEEE/ACM TASLP 25(5), 2017, table I.
GAUSSIAN_RATIO = {"hann": 0.25645, "hamming": 0.29794, "blackman": 0.17954}
# Bins this far below the loudest (78 dB) get random phases: nothing can be heard there.
DEPTH_NEPER = 9.0
# Loudness classes of the queue; as good as exact order (measured) and needs no heap.
CLASS_NEPER = 0.25


def initial_phase(
    magnitude: Tensor,
    spec: SpectrogramSpec,
    init: str,
    generator: torch.Generator,
    known: Tensor | None,
) -> Tensor:
    """A first complex STFT with the given magnitudes.

    Parameters
    ----------
    magnitude : Tensor
        ``(batch, n_freqs, frames)``.
    spec : SpectrogramSpec
    init : {"phase_gradient", "random", "zero"}
    generator : torch.Generator
        Of the CPU; draws the random phases.
    known : Tensor or None
        Complex ``(batch, n_freqs, k)``: the first ``k`` frames, where they are already known;
        the phases of the rest continue theirs.

    Returns
    -------
    Tensor
        Complex, ``(batch, n_freqs, frames)``, on the device of ``magnitude``.
    """
    by_frame = magnitude.mT.contiguous()
    if init == "zero":
        phase = torch.zeros_like(by_frame)
    else:
        phase = 2 * math.pi * torch.rand(by_frame.shape, generator=generator)
        if init == "phase_gradient":
            before = None if known is None else known.mT.angle().cpu()
            phase = torch.stack(
                [
                    integrate_phase_gradient(m, spec, p, None if before is None else before[i])
                    for i, (m, p) in enumerate(zip(by_frame.cpu(), phase, strict=True))
                ]
            )
    start = torch.polar(by_frame, phase.to(by_frame.device)).mT
    if known is not None:
        start[:, :, : known.shape[2]] = known
    return start


def integrate_phase_gradient(
    magnitude: Tensor, spec: SpectrogramSpec, fallback: Tensor, known: Tensor | None
) -> Tensor:
    """Phase gradient heap integration (Prusa et al. 2017), with loudness classes for the heap.

    For a Gaussian window the phase's derivatives follow from those of the log-magnitude (eqs. 19,
    20 there). They are integrated from the loudest bin outwards, louder bins first.

    Parameters
    ----------
    magnitude : Tensor
        ``(frames, n_freqs)``, on the CPU.
    spec : SpectrogramSpec
        Its window is taken for the Gaussian nearest to it (Hann's where it isn't in the table).
    fallback : Tensor
        ``(frames, n_freqs)`` phases for bins too quiet to integrate.
    known : Tensor or None
        ``(k, n_freqs)`` phases of the first ``k`` frames, from which to go on.

    Returns
    -------
    Tensor
        Radians in ``[0, 2 pi)``, ``(frames, n_freqs)``, float32.
    """
    peak = float(magnitude.max())
    if peak <= 0 or min(magnitude.shape) < 2:
        return fallback
    log_magnitude = magnitude.clamp(min=peak * math.exp(-2 * DEPTH_NEPER)).log()
    per_frame, per_bin = torch.gradient(log_magnitude)
    ratio = GAUSSIAN_RATIO.get(spec.window, GAUSSIAN_RATIO["hann"]) * spec.win_length**2
    scale = spec.hop_length * spec.n_fft / ratio
    bins = torch.arange(spec.n_freqs)
    along_time = scale * per_bin + (2 * math.pi * spec.hop_length / spec.n_fft) * bins
    # The frame's first sample is the FFT's origin, half a frame before the window's centre.
    along_frequency = -per_frame / scale - math.pi
    return integrate(log_magnitude, along_time, along_frequency, fallback, known)


def integrate(
    log_magnitude: Tensor,
    along_time: Tensor,
    along_frequency: Tensor,
    fallback: Tensor,
    known: Tensor | None,
) -> Tensor:
    """Phases from their derivatives, from the loudest bin outwards.

    Parameters
    ----------
    log_magnitude : Tensor
        Natural logarithms, ``(frames, n_freqs)``, on the CPU.
    along_time, along_frequency : Tensor
        Radians a frame and radians a bin, of the same shape.
    fallback, known
        As for `integrate_phase_gradient`.

    Returns
    -------
    Tensor
        As of `integrate_phase_gradient`.
    """
    loudness = (log_magnitude - log_magnitude.max() + DEPTH_NEPER) / CLASS_NEPER
    loudness = loudness.clamp_(min=0).to(torch.int16)
    loudest_first = torch.argsort(-loudness.flatten(), stable=True)
    n_seeds = int((loudness > 0).sum())
    phase = fallback.double()
    n_known = 0
    if known is not None:
        n_known = len(known)
        phase[:n_known] = known
    _integrate(
        loudness.numpy(),
        loudest_first[:n_seeds].numpy(),
        along_time.numpy(),
        along_frequency.numpy(),
        phase.numpy(),
        n_known,
    )
    return torch.remainder(phase, 2 * math.pi).float()


@numba.njit(cache=True, nogil=True)
def _integrate(
    loudness: np.ndarray,
    seeds: np.ndarray,
    along_time: np.ndarray,
    along_frequency: np.ndarray,
    phase: np.ndarray,
    n_known: int,
) -> None:
    """Flood the bins from the seeds, always from the loudest class that has a bin waiting."""
    n_freqs = loudness.shape[1]
    size = loudness.size
    level, angle = loudness.ravel(), phase.ravel()
    time, frequency = along_time.ravel(), along_frequency.ravel()
    first = np.full(level.max() + 1, -1, np.int64)  # a stack of bins for every class
    below = np.empty(size, np.int64)
    done = np.zeros(size, np.bool_)
    top = 0
    for here in range(n_known * n_freqs):
        done[here] = True
        rank = level[here]
        if rank > 0:
            below[here] = first[rank]
            first[rank] = here
            top = max(top, rank)
    for seed in range(-1, len(seeds)):
        if seed >= 0:
            here = seeds[seed]
            if done[here]:
                continue
            done[here] = True
            top = level[here]
            below[here] = first[top]
            first[top] = here
        while top > 0:
            here = first[top]
            if here < 0:
                top -= 1
                continue
            first[top] = below[here]
            column = here % n_freqs
            for direction in range(4):
                if direction == 0:
                    there = here + n_freqs
                    if there >= size:
                        continue
                    advance = time[here] + time[there]
                elif direction == 1:
                    there = here - n_freqs
                    if there < 0:
                        continue
                    advance = -(time[here] + time[there])
                elif direction == 2:
                    if column + 1 == n_freqs:
                        continue
                    there = here + 1
                    advance = frequency[here] + frequency[there]
                else:
                    if column == 0:
                        continue
                    there = here - 1
                    advance = -(frequency[here] + frequency[there])
                rank = level[there]
                if done[there] or rank == 0:
                    continue
                done[there] = True
                angle[there] = angle[here] + 0.5 * advance  # trapezoidal rule
                below[there] = first[rank]
                first[rank] = there
                top = max(top, rank)
