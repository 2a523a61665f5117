"""A small network for the magnitudes, phase integration and a few iterations for the phases."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.hybrid import seen_by
from vocoder.inverter.weights import load_network
from vocoder.model.features import from_db
from vocoder.model.istft import IstftNet
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class IstftInverter(GriffinLim):
    """A `vocoder.model.istft.IstftNet`, its phases refined by a few Griffin-Lim iterations.

    With ``n_iter`` 0 the sound is the network's own. What a JPEG of ours says of its cells is not
    asked for: the network has learnt what JPEGs do, whoever made them.

    Parameters
    ----------
    checkpoint : str
        Trained weights: a file, a training's folder, or the name of shipped ones; ``auto`` takes
        the shipped ones for the picture's spec.
    n_iter, momentum, init, refine_from, refine_every, block_frames, seed, device
        See `GriffinLim`.
    """

    checkpoint: str

    def _block(
        self, spectrogram: Spectrogram, begin: int, end: int, device: torch.device
    ) -> Spectrogram:
        network = load_network(self.checkpoint, IstftNet, spectrogram.spec, device).repair
        with torch.inference_mode():
            around, inner = seen_by(network, spectrogram, begin, end, device)
            values = from_db(network(around)[:, :, inner], spectrogram.spec)
        return Spectrogram(values, spectrogram.spec)
