"""Inversion by a trained WaveNet, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter
from vocoder.model.wavenet.generation import Speaker
from vocoder.model.wavenet.network import WaveNet
from vocoder.model.weights import load_network, require_kind
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class WaveNetInverter(Inverter):
    """Lets a `vocoder.model.wavenet.network.WaveNet` speak; on the CPU, one core a batch.

    Parameters
    ----------
    weights : str
        Trained weights: a file, a training's folder, or the name of shipped ones.
    temperature : float
        1 draws as trained; less is smoother, 0 always takes the most likely.
    n_iter : int
        Griffin-Lim iterations that hold what was said to the picture; 0 leaves it as it is.
    block_frames : int
        Frames of a block of sound.
    seed : int
        Of what is drawn; the same seed gives the same sound.
    """

    weights: str
    temperature: float
    n_iter: int
    block_frames: int
    seed: int

    def __post_init__(self) -> None:
        for name, least in (("temperature", 0), ("n_iter", 0), ("block_frames", 1), ("seed", 0)):
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise BadInput(
                    f"inverter.{name} is {value}; expected at least {least}",
                    key=f"inverter.{name}.range",
                )
        require_kind(self.weights, WaveNet)

    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the sound piece by piece; see `Inverter.stream`."""
        spec = spectrogram.spec
        speaker = _speaker(load_network(self.weights, WaveNet, spec, torch.device("cpu")))
        values, hop = spectrogram.decibels, spec.hop_length
        # The network's sound begins at the centre of the first frame.
        missing = 0 if spec.center else spec.n_fft // 2
        before = math.ceil(missing / hop)
        skip, left = before * hop - missing, spectrogram.length
        after = max(math.ceil((skip + left) / hop) - before - values.shape[2], 0)
        stream = speaker.stream(
            values.shape[0], seed=self.seed, temperature=self.temperature, n_iter=self.n_iter
        )

        def sounds() -> Iterator[Tensor]:
            yield stream.push(values[:, :, :1].expand(-1, -1, before))
            for piece in torch.split(values, self.block_frames, dim=2):
                yield stream.push(piece)
            yield stream.push(values[:, :, -1:].expand(-1, -1, after))
            yield stream.finish()

        for sound in sounds():
            block = sound[:, skip : skip + left]
            skip -= min(skip, sound.shape[1])
            left -= block.shape[1]
            if block.shape[1]:
                yield block


@lru_cache(maxsize=2)
def _speaker(network: WaveNet) -> Speaker:
    """Made once for each network, which `load_network` in turn keeps."""
    return Speaker(network)
