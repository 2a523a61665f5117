"""A small network for the magnitudes, phase integration and a few iterations for the phases."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vocoder.inverter.contrast import require_contrast, with_contrast
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.hybrid import seen_by
from vocoder.inverter.weights import load_network
from vocoder.model.features import from_db
from vocoder.model.istft import IstftNet
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class IstftInverter(GriffinLim):
    """A `vocoder.model.istft.IstftNet`, its phases refined by a few Griffin-Lim iterations.

    With ``n_iter`` 0 the sound is the network's own. What a JPEG of ours says of its cells the
    network's picture is moved into, once: it lies nearer to the truth than what iterations find in
    the same cells.

    Parameters
    ----------
    checkpoint : str
        Trained weights: a file, a training's folder, or the name of shipped ones; ``auto`` takes
        the shipped ones for the picture's spec.
    contrast : float
        What the picture is sharpened by; see `vocoder.inverter.contrast`.
    n_iter, momentum, init, refine_from, refine_every, block_frames, seed, device
        See `GriffinLim`.

    Raises
    ------
    BadInput
        A parameter is out of range.
    """

    checkpoint: str
    contrast: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_contrast(self.contrast)

    def _block(
        self, spectrogram: Spectrogram, begin: int, end: int, device: torch.device
    ) -> Spectrogram:
        block = super()._block(spectrogram, begin, end, device)
        network = load_network(self.checkpoint, IstftNet, block.spec, device).repair
        with torch.inference_mode():
            around, inner = seen_by(network, spectrogram, begin, end, device)
            decibels = with_contrast(network(around), self.contrast, block.spec)
            values = from_db(decibels[:, :, inner], block.spec)
            if block.admit is not None:
                values = block.admit(values, 0)
        return Spectrogram(values, block.spec, block.n_samples)
