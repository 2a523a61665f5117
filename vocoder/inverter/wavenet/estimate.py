"""Griffin-Lim around the network: the initial estimate, and iterations on what was drawn.

Sample 0 lies at the centre of the first frame, and a frame stands for the ``hop_length`` samples
from its centre on. Waveforms are ``(batch, frames * hop_length)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.projection import impose_magnitude, magnitudes
from vocoder.inverter.retrieval import min_block_frames
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, istft_to_padded, stft_of_padded

# Griffin-Lim iterations that give recordings an estimate's phases: with 16, ESTOI .97 to .98
# against the recordings themselves, .94 of the estimate before any (eight utterances).
REPHASING_STEPS = 16


def initial_estimate(decibels: Tensor, spec: SpectrogramSpec, n_iter: int) -> Iterator[Tensor]:
    """Yield what Griffin-Lim with momentum makes of integrated phases, piece by piece."""
    solver = GriffinLim(
        n_iter=n_iter,
        n_iter_estimated=n_iter,
        momentum=0.99,
        init="phase_gradient",
        refine_from=0,
        refine_every=0,
        mels=None,
        block_frames=min_block_frames(spec),
        seed=0,
        device="cpu",
    )
    n_samples = decibels.shape[2] * spec.hop_length - 1  # the most that give as many frames
    yield from solver.stream(Spectrogram(decibels, replace(spec, center=True), n_samples))
    yield torch.zeros(decibels.shape[0], 1)


def iterate(waveform: Tensor, spec: SpectrogramSpec, nearest: Callable[[Tensor], Tensor]) -> Tensor:
    """One more iteration of Griffin and Lim's (1984).

    Every window keeps its phases, and its magnitudes become those that ``nearest`` gives for them,
    such as `vocoder.inverter.magnitude.Target.nearest`.
    """
    transform = _transform(waveform, spec)
    imposed = impose_magnitude(transform, nearest(magnitudes(transform)))
    padded = istft_to_padded(imposed, spec)[:, spec.n_fft // 2 :]
    return functional.pad(padded, (0, waveform.shape[1] - padded.shape[1]))


@torch.no_grad()
def rephased(samples: Tensor, estimate: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Recordings as they would be if their phases were an estimate's.

    A spectrogram doesn't say where in its swing a waveform begins, and an estimate says it at
    random; no network could know the recording's own. Griffin-Lim iterations from the estimate,
    towards the magnitudes of the recording's STFT, give what sounds like the one and fits the
    other.
    """
    wanted = _transform(samples, spec).abs()
    for _ in range(REPHASING_STEPS):
        estimate = iterate(estimate, spec, lambda _: wanted)
    return estimate


def _transform(waveform: Tensor, spec: SpectrogramSpec) -> Tensor:
    """The STFT of a waveform's frames, silence around."""
    half, rest = spec.n_fft // 2, spec.n_fft // 2 - spec.hop_length
    return stft_of_padded(functional.pad(waveform, (half, rest)), spec)
