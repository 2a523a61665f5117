"""Phases to begin with: random, zero, or integrated from their differences from bin to bin.

The differences come from the magnitudes' own gradient, or from a network that corrects it.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from torch import Tensor

from vocoder.inverter.differences import DEPTH_NEPER, gradient_differences, log_above_floor
from vocoder.inverter.phase_network import PhaseNet
from vocoder.spec import SpectrogramSpec

INITS = ("phase_gradient", "random", "zero")

# Loudness classes of the queue; as good as exact order (measured) and needs no heap.
CLASS_NEPER = 0.25
SWEEPS = 10  # of `agree`; more change little (measured)
TINY = 1e-20


def initial_phase(
    magnitude: Tensor,
    spec: SpectrogramSpec,
    init: str,
    generator: torch.Generator,
    known: Tensor | None,
    network: PhaseNet | None = None,
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
    network : PhaseNet or None
        Corrects the gradient's phase differences, where ``init`` is ``phase_gradient``.

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
                    integrated_phase(m, spec, p, None if before is None else before[i], network)
                    for i, (m, p) in enumerate(zip(by_frame, phase, strict=True))
                ]
            )
    start = torch.polar(by_frame, phase.to(by_frame.device)).mT
    if known is not None:
        start[:, :, : known.shape[2]] = known
    return start


def integrated_phase(
    magnitude: Tensor,
    spec: SpectrogramSpec,
    fallback: Tensor,
    known: Tensor | None,
    network: PhaseNet | None = None,
) -> Tensor:
    """Phases of one member of a batch from its magnitudes, both ``(frames, n_freqs)``.

    ``fallback``, ``known`` and the result are as for `integrate`.
    """
    peak = float(magnitude.max())
    if peak <= 0 or min(magnitude.shape) < 2:
        return fallback
    log_magnitude = log_above_floor(magnitude)
    if network is None:
        found = gradient_differences(log_magnitude.cpu(), spec)
        return integrate(log_magnitude.cpu(), *found, fallback, known)
    certain = network.differences(magnitude.mT[None]).mT.cpu()
    angles = certain.angle()
    phase = integrate(log_magnitude.cpu(), angles[0], angles[1], fallback, known)
    return agree(phase, certain, magnitude.cpu(), known)


def integrate(
    log_magnitude: Tensor,
    to_next_frame: Tensor,
    to_next_bin: Tensor,
    fallback: Tensor,
    known: Tensor | None,
) -> Tensor:
    """Phases from their differences, from the loudest bin outwards, louder bins first.

    Phase gradient heap integration (Prusa et al. 2017), with loudness classes for the heap.

    Parameters
    ----------
    log_magnitude : Tensor
        Natural logarithms, ``(frames, n_freqs)``, on the CPU.
    to_next_frame, to_next_bin : Tensor
        Radians, as `gradient_differences` gives them.
    fallback : Tensor
        ``(frames, n_freqs)`` phases for bins too quiet to integrate.
    known : Tensor or None
        ``(k, n_freqs)`` phases of the first ``k`` frames, from which to go on.

    Returns
    -------
    Tensor
        Radians in ``[0, 2 pi)``, ``(frames, n_freqs)``, float32.
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
        loudness.contiguous().numpy(),
        loudest_first[:n_seeds].numpy(),
        to_next_frame.contiguous().numpy(),
        to_next_bin.contiguous().numpy(),
        phase.numpy(),
        n_known,
    )
    return torch.remainder(phase, 2 * math.pi).float()


def agree(phase: Tensor, certain: Tensor, magnitude: Tensor, known: Tensor | None) -> Tensor:
    """Move phases to what their neighbours say together.

    Integration reaches every bin by one path, whose errors add up. Here each bin takes the mean of
    what its four neighbours expect of it, louder and more certain ones counting more: sweeps of
    the power method for angular synchronisation (Singer, "Angular synchronization by eigenvectors
    and semidefinite programming", Applied and Computational Harmonic Analysis 30(1), 2011).

    Parameters
    ----------
    phase : Tensor
        Radians, ``(frames, n_freqs)``.
    certain : Tensor
        Complex ``(2, frames, n_freqs)``: differences to the next frame and to the next bin, as long
        as they are certain, 0 to 1.
    magnitude : Tensor
        ``(frames, n_freqs)``.
    known : Tensor or None
        As for `integrate`.
    """
    to_frame, to_bin = certain[0, :-1], certain[1, :, :-1]
    here = torch.polar(torch.ones_like(phase), phase)
    fixed = None if known is None else torch.polar(torch.ones_like(known), known)
    for _ in range(SWEEPS):
        spoken = magnitude * here
        expected = torch.zeros_like(here)
        expected[1:] += spoken[:-1] * to_frame
        expected[:-1] += spoken[1:] * to_frame.conj()
        expected[:, 1:] += spoken[:, :-1] * to_bin
        expected[:, :-1] += spoken[:, 1:] * to_bin.conj()
        size = expected.abs()
        here = torch.where(size > TINY, expected / size.clamp(min=TINY), here)
        if fixed is not None:
            here[: len(fixed)] = fixed
    return torch.remainder(here.angle(), 2 * math.pi)


@numba.njit(cache=True, nogil=True)
def _integrate(
    loudness: np.ndarray,
    seeds: np.ndarray,
    to_next_frame: np.ndarray,
    to_next_bin: np.ndarray,
    phase: np.ndarray,
    n_known: int,
) -> None:
    """Flood the bins from the seeds, always from the loudest class that has a bin waiting."""
    n_freqs = loudness.shape[1]
    size = loudness.size
    level, angle = loudness.ravel(), phase.ravel()
    time, frequency = to_next_frame.ravel(), to_next_bin.ravel()
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
                    advance = time[here]
                elif direction == 1:
                    there = here - n_freqs
                    if there < 0:
                        continue
                    advance = -time[there]
                elif direction == 2:
                    if column + 1 == n_freqs:
                        continue
                    there = here + 1
                    advance = frequency[here]
                else:
                    if column == 0:
                        continue
                    there = here - 1
                    advance = -frequency[there]
                rank = level[there]
                if done[there] or rank == 0:
                    continue
                done[there] = True
                angle[there] = angle[here] + advance
                below[there] = first[rank]
                first[rank] = there
                top = max(top, rank)
