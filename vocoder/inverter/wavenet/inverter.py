"""Inversion by a trained WaveNet, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter
from vocoder.inverter.wavenet.network import WaveNet
from vocoder.inverter.wavenet.sampler import Sampler
from vocoder.model.weights import load_network, require_kind
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class WaveNetInverter(Inverter):
    """Samples from a `vocoder.inverter.wavenet.network.WaveNet`; on one core of the CPU.

    Parameters
    ----------
    weights : str
        Trained weights: a file, a training's folder, or the name of shipped ones.
    temperature : float
        1 draws as trained; less is smoother, 0 always takes the most likely.
    n_iter : int
        Griffin-Lim iterations that bring what was drawn nearer to the spectrogram.
    seed : int
        Of what is drawn; the same seed gives the same waveform.
    """

    weights: str
    temperature: float
    n_iter: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("temperature", "n_iter", "seed"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                message = f"inverter.{name} is {value}; expected at least 0"
                raise BadInput(message, f"inverter.{name}.range")
        require_kind(self.weights, WaveNet)

    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the waveform piece by piece; see `Inverter.stream`."""
        spec, decibels = spectrogram.spec, spectrogram.decibels
        network = load_network(self.weights, WaveNet, spec, torch.device("cpu"))
        # The network's waveform begins at the centre of the first frame.
        missing = spec.n_fft // 2 - spec.padding
        before = math.ceil(missing / spec.hop_length)
        skip, left = before * spec.hop_length - missing, spectrogram.length
        after = math.ceil((skip + left) / spec.hop_length) - before - decibels.shape[2]
        if before or after > 0:
            decibels = functional.pad(decibels, (before, max(after, 0)), mode="replicate")
        for piece in _sampler(network)(
            decibels, seed=self.seed, temperature=self.temperature, n_iter=self.n_iter
        ):
            block = piece[:, skip : skip + left]
            skip -= min(skip, piece.shape[1])
            left -= block.shape[1]
            if block.shape[1]:
                yield block


@lru_cache(maxsize=2)
def _sampler(network: WaveNet) -> Sampler:
    """Made once for each network, which `load_network` in turn keeps."""
    return Sampler(network)
