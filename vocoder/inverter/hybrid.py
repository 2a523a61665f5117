"""Networks and Griffin-Lim together: the picture repaired, a neural start, and refinement."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.magnitude import Target
from vocoder.inverter.phase import initial_phase
from vocoder.inverter.retrieval import Pin
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.istft import IstftNet
from vocoder.model.repair import RepairNet
from vocoder.model.weights import find_weights
from vocoder.spec import SpectrogramSpec
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

    def _invert(
        self, block: Spectrogram, generator: torch.Generator, known: Tensor | None
    ) -> Tensor:
        if self.vocoder is None:
            return super()._invert(block, generator, known)
        network = load_network(self.vocoder, IstftNet, block.spec, block.values.device)
        target, pin = Target(block), Pin(known)
        guess = initial_phase(target.start, block.spec, self.init, generator, known)
        with torch.inference_mode():
            transform = pin(network.correct(block.values, guess))
        return self.iterate(transform, target, block.spec, pin)


Kind = TypeVar("Kind", bound=nn.Module)


@lru_cache(maxsize=8)
def _network(
    path: Path, changed_ns: int, device: torch.device
) -> tuple[nn.Module, SpectrogramSpec]:
    checkpoint = read_checkpoint(path)
    return checkpoint.build().to(device), checkpoint.spec


def load_network(
    source: str, kind: type[Kind], spec: SpectrogramSpec, device: torch.device
) -> Kind:
    """A trained network, read once.

    Parameters
    ----------
    source : str
        A file, a training's folder (its best weights), or the name of shipped weights.
    kind : type
        Of network.
    spec : SpectrogramSpec
        That it has to be trained for.
    device : torch.device

    Raises
    ------
    BadInput
        No such weights, damaged ones, of another kind, or for another spec (fields are named).
    """
    path = find_weights(source)
    network, own = _network(path, path.stat().st_mtime_ns, device)
    if not isinstance(network, kind):
        raise BadInput(f"{path} holds a {type(network).__name__}; expected a {kind.__name__}")
    own.require_same(spec, f"{path}", "the picture")
    return network
