"""Networks and Griffin-Lim together: the picture repaired, a neural start, and refinement."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.retrieval import Pin
from vocoder.inverter.weights import load_network
from vocoder.model.istft import IstftNet
from vocoder.model.repair import RepairNet
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class Hybrid(GriffinLim):
    """Griffin-Lim on a repaired picture, from a neural start; each part can be left out.

    With ``n_iter`` 0 the sound is the network's own; every iteration brings it nearer to the
    picture.

    Parameters
    ----------
    repair : str or None
        Weights of a `vocoder.model.repair.RepairNet`: a file, a training's folder, or the name of
        shipped ones; ``None`` takes the picture as it is.
    vocoder : str or None
        Weights of a `vocoder.model.istft.IstftNet`, likewise; ``None`` begins with the phases that
        ``init`` gives.
    n_iter, momentum, init, refine_from, refine_every, block_frames, seed, device
        See `GriffinLim`.
    """

    repair: str | None
    vocoder: str | None

    def _block(
        self, spectrogram: Spectrogram, begin: int, end: int, device: torch.device
    ) -> Spectrogram:
        block = super()._block(spectrogram, begin, end, device)
        if self.repair is None:
            return block
        network = load_network(self.repair, RepairNet, spectrogram.spec, device)
        # What the network sees around the block; whole strides, so that its grid stays the same.
        stride, total = network.stride_frames, spectrogram.values.shape[2]
        first = max(begin - network.reach_frames, 0) // stride * stride
        last = min(end + network.reach_frames, total)
        with torch.inference_mode():
            around = spectrogram.values[:, :, first:last].to(device)
            values = network.repair(around)[:, :, begin - first : end - first]
        if block.admit is not None:
            values = block.admit(values, 0)
        return Spectrogram(values, block.spec, block.n_samples, block.admit)

    def _start(
        self,
        block: Spectrogram,
        magnitude: Tensor,
        generator: torch.Generator,
        known: Tensor | None,
    ) -> Tensor:
        guess = super()._start(block, magnitude, generator, known)
        if self.vocoder is None:
            return guess
        network = load_network(self.vocoder, IstftNet, block.spec, block.values.device)
        with torch.inference_mode():
            return Pin(known)(network.correct(block.values, guess))
