"""A first sound from the picture alone, piece by piece, and recordings with its phases."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.projection import impose_magnitude
from vocoder.inverter.retrieval import overlap_frames
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, istft_to_padded, stft_of_padded

# Frames that are settled at once. With those on either side of them twice as many are done, which
# still costs next to nothing beside the network.
SETTLED_FRAMES = 32
# Griffin-Lim iterations that give recordings a draft's phases: with 16, ESTOI .97 to .98 against
# the recordings themselves, .94 of the draft before any (eight lines of speech).
REPHASING_STEPS = 16


class Drafter:
    """Griffin-Lim from integrated phases, while the picture is still growing.

    Blocks lie on a fixed grid, so that the sound is the same however the frames come. What a
    frame settles is ``hop_length`` samples from its centre on.

    Parameters
    ----------
    spec : SpectrogramSpec
    n_iter : int or None
        Of Griffin-Lim with momentum; ``None`` drafts silence.
    batch : int
    """

    def __init__(self, spec: SpectrogramSpec, n_iter: int | None, batch: int) -> None:
        self._spec, self._hop, self._batch = spec, spec.hop_length, batch
        self._solver = None if n_iter is None else _solver(n_iter)
        self._context, self._lookahead = overlap_frames(spec)
        self._noise = [torch.Generator().manual_seed(0) for _ in range(batch)]
        self._frames = torch.zeros(batch, spec.bins, 0)  # from the first known one on
        self._known: Tensor | None = None

    @property
    def latency_frames(self) -> int:
        """Frames, at most, that have been seen and not yet been drafted."""
        return 0 if self._solver is None else SETTLED_FRAMES + self._lookahead

    @property
    def _n_known(self) -> int:
        return 0 if self._known is None else self._known.shape[2]

    def push(self, values: Tensor) -> Tensor:
        """Take frames ``(batch, bins, frames)``; give the samples that they settle."""
        if self._solver is None:
            return values.new_zeros(self._batch, values.shape[2] * self._hop)
        self._frames = torch.cat([self._frames, values], dim=2)
        pieces = [values.new_zeros(self._batch, 0)]
        while (stop := self._n_known + self.latency_frames) < self._frames.shape[2]:
            pieces.append(self._draft(stop, stop - self._lookahead))
        return torch.cat(pieces, dim=1)

    def finish(self) -> Tensor:
        """The rest, to ``frames * hop_length`` samples in all."""
        rest = self._frames.shape[2]
        if self._solver is None or rest == 0:
            return self._frames.new_zeros(self._batch, 0)
        return self._draft(rest, rest)

    def _draft(self, stop: int, settled: int) -> Tensor:
        """Do the frames up to ``stop``, and settle those up to ``settled``."""
        if self._solver is None:
            raise TypeError("a drafter without iterations drafts silence")
        spec, known, n_known = self._spec, self._known, self._n_known
        members = [Spectrogram(one[None], spec) for one in self._frames[:, :, :stop]]
        transform, counts = self._solver.transform_of(members, self._noise, known)
        padded = istft_to_padded(transform, spec, counts)
        first = max(settled - self._context, 0)
        end = (settled - 1) * self._hop + spec.n_fft
        self._known = stft_of_padded(padded[:, first * self._hop : end], spec)
        self._frames = self._frames[:, :, first:]
        half = spec.n_fft // 2
        sound = padded[:, half + n_known * self._hop : half + settled * self._hop]
        return functional.pad(sound, (0, (settled - n_known) * self._hop - sound.shape[1]))


@torch.no_grad()
def draft_of(values: Tensor, spec: SpectrogramSpec, n_iter: int | None) -> Tensor:
    """The whole draft of ``(batch, bins, frames)``: ``(batch, frames * hop_length)``."""
    drafter = Drafter(spec, n_iter, values.shape[0])
    return torch.cat([drafter.push(values.cpu()), drafter.finish()], dim=1).to(values.device)


@torch.no_grad()
def rephased(samples: Tensor, draft: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Recordings as they would be if their phases were a draft's.

    A picture doesn't say where in its swing a sound begins, and a draft says it at random; no
    network could know the recording's own. Griffin-Lim iterations from the draft, towards the
    magnitudes of the recording's STFT, give the sound that is like the one and fits the other.

    Parameters
    ----------
    samples, draft : Tensor
        ``(batch, samples)``, whole hops.
    spec : SpectrogramSpec

    Returns
    -------
    Tensor
        ``(batch, samples)``.
    """
    half = spec.n_fft // 2
    wanted = stft_of_padded(functional.pad(samples, (half, half)), spec).abs()
    transform = stft_of_padded(functional.pad(draft, (half, half)), spec)
    for _ in range(REPHASING_STEPS):
        transform = impose_magnitude(transform, wanted)
        padded = istft_to_padded(transform, spec)
        transform = stft_of_padded(padded, spec)
    return padded[:, half : half + samples.shape[1]]


def _solver(n_iter: int) -> GriffinLim:
    return GriffinLim(
        n_iter=n_iter,
        n_iter_estimated=n_iter,
        momentum=0.99,
        init="phase_gradient",
        refine_from=0,
        refine_every=0,
        block_frames=2 * SETTLED_FRAMES,  # not asked for: blocks are cut here
        seed=0,
        device="cpu",
    )
