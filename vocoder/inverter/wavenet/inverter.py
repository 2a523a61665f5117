"""Inversion by a trained WaveNet, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vocoder.cpu import stepwise_threads
from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter
from vocoder.inverter.wavenet.network import WaveNet
from vocoder.inverter.wavenet.sampler import sample
from vocoder.model.weights import load_network, require_kind
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class WaveNetInverter(Inverter):
    """Samples from a `vocoder.inverter.wavenet.network.WaveNet`; on one core of the CPU.

    ``conf/inverter/wavenet.yaml`` describes the settings.
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

    @stepwise_threads
    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the waveform piece by piece; see `Inverter.stream`."""
        network = load_network(self.weights, WaveNet, spectrogram.spec, torch.device("cpu"))
        left = spectrogram.length
        for piece in sample(
            network,
            spectrogram.decibels,
            seed=self.seed,
            temperature=self.temperature,
            n_iter=self.n_iter,
        ):
            yield piece[:, :left]
            left -= min(left, piece.shape[1])
