"""Holding a sound to its picture while both are growing: Griffin-Lim, one iteration at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from vocoder.inverter.magnitude import Target
from vocoder.inverter.projection import impose_magnitude, magnitudes
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, istft_to_padded, stft_of_padded


class Hold:
    """One iteration of Griffin and Lim's (1984) on a sound that comes piece by piece.

    Every window is given the nearest magnitudes that the picture allows, and keeps its phases. It
    is the same however sound and frames come. Sample 0 lies at the centre of the first frame.

    Parameters
    ----------
    spec : SpectrogramSpec
    batch : int
    """

    def __init__(self, spec: SpectrogramSpec, batch: int) -> None:
        self._spec, self._half = spec, spec.n_fft // 2
        self._sharing = -(-spec.n_fft // spec.hop_length)  # frames that share a sample
        self._frames = torch.zeros(batch, spec.bins, 0)  # that are not held yet
        self._sound = torch.zeros(batch, self._half)  # under them; before the first is silence
        self._held: Tensor | None = None  # frames before, under which lies what is to come
        self._n_held = self._n_given = 0  # frames and samples in all

    @property
    def latency_samples(self) -> int:
        """How far, at most, what it gives lags behind the sound that it takes."""
        return self._spec.n_fft

    def push(self, values: Tensor, sound: Tensor) -> Tensor:
        """Take frames ``(batch, bins, frames)`` and sound ``(batch, samples)``; give sound."""
        self._frames = torch.cat([self._frames, values], dim=2)
        self._sound = torch.cat([self._sound, sound], dim=1)
        windows = (self._sound.shape[1] - self._spec.n_fft) // self._spec.hop_length + 1
        ready = min(windows, self._frames.shape[2])
        if ready <= 0:
            return sound[:, :0]
        next_begins = (self._n_held + ready) * self._spec.hop_length - self._half
        return self._hold(ready, max(next_begins, 0))

    def finish(self, sound: Tensor) -> Tensor:
        """Take the last sound; give the rest, to ``frames * hop_length`` samples in all."""
        silence = sound.new_zeros(sound.shape[0], self._half)
        self._sound = torch.cat([self._sound, sound, silence], dim=1)
        rest = self._frames.shape[2]
        if rest == 0:
            return sound[:, :0]
        return self._hold(rest, (self._n_held + rest) * self._spec.hop_length)

    def _hold(self, ready: int, settled: int) -> Tensor:
        """Do so many frames, and give the sound up to sample ``settled``."""
        spec, hop = self._spec, self._spec.hop_length
        transform = stft_of_padded(self._sound[:, : (ready - 1) * hop + spec.n_fft], spec)
        target = Target(Spectrogram(self._frames[:, :, :ready], spec))
        held = impose_magnitude(transform, target.nearest(magnitudes(transform)))
        if self._held is not None:
            held = torch.cat([self._held, held], dim=2)
        self._frames = self._frames[:, :, ready:]
        self._sound = self._sound[:, ready * hop :]
        self._n_held += ready
        first = (self._n_held - held.shape[2]) * hop - self._half  # sample at which `held` begins
        given = istft_to_padded(held, spec)[:, self._n_given - first : settled - first]
        self._held, self._n_given = held[:, :, -self._sharing :], settled
        return given
