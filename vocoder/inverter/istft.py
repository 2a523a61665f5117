"""A small network for the magnitudes, phase integration and a few iterations for the phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.repaired import corrected, require_settings
from vocoder.inverter.retrieval import Block
from vocoder.inverter.weights import load_network
from vocoder.model.istft import IstftNet
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class IstftInverter(GriffinLim):
    """A `vocoder.model.istft.IstftNet`, its phases refined by a few Griffin-Lim iterations.

    With ``n_iter`` 0 and no contrast, the sound is the network's own.

    Parameters
    ----------
    checkpoint : str
        Trained weights: a file, a training's folder, or the name of shipped ones; ``auto`` takes
        the shipped ones for the picture's spec.
    positions, contrast
        See `vocoder.inverter.repaired.repaired`.
    n_iter, momentum, init, refine_from, refine_every, block_frames, seed, device
        See `GriffinLim`.

    Raises
    ------
    BadInput
        A parameter is out of range.
    """

    network: ClassVar = IstftNet
    checkpoint: str
    positions: int
    contrast: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_settings(self.positions, contrast=self.contrast)

    def _block(self, spectrogram: Spectrogram, begin: int, end: int, device: torch.device) -> Block:
        network = load_network(self.checkpoint, IstftNet, spectrogram.spec, device)
        settings = (self.positions, self.contrast)
        found = corrected(network, spectrogram, begin, end, device, *settings)
        return Block(found, self.n_iter)
