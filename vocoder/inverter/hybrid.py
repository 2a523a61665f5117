"""A network and Griffin-Lim together: the picture repaired, then phases found for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vocoder.errors import BadInput
from vocoder.inverter.consistency import TINY, inconsistency_db
from vocoder.inverter.contrast import require_contrast, with_contrast
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.weights import load_network
from vocoder.model.features import from_db, to_db
from vocoder.model.repair import RepairNet
from vocoder.model.weights import AUTO, shipped_for
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class Hybrid(GriffinLim):
    """Griffin-Lim on a repaired picture, from the phases that the repair implies.

    With ``n_iter`` 0 the sound is the network's own; every iteration brings it nearer to the
    picture. True pictures are not repaired: what a sound can show (`inconsistency_db`) is left as
    it is, and so is a JPEG that was made by us, whose file says what it leaves open.

    Parameters
    ----------
    repair : str or None
        Weights of a `vocoder.model.repair.RepairNet`: a file, a training's folder, or the name of
        shipped ones; ``auto`` takes the shipped ones for the picture's spec, if there are any, and
        ``None`` takes the picture as it is.
    consistent_db, inconsistent_db : float
        Pictures are not repaired up to the first inconsistency, wholly from the second on, and
        partly between.
    positions : int
        Repairs that are averaged; see `vocoder.model.repair.RepairNet.averaged`.
    contrast : float
        What the repaired picture is sharpened by; see `vocoder.inverter.contrast`.
    n_iter, momentum, init, refine_from, refine_every, block_frames, seed, device
        See `GriffinLim`.

    Raises
    ------
    BadInput
        A parameter is out of range.
    """

    repair: str | None
    consistent_db: float
    inconsistent_db: float
    positions: int
    contrast: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.consistent_db <= self.inconsistent_db:
            raise BadInput(
                f"inverter.consistent_db is {self.consistent_db} and inconsistent_db "
                f"{self.inconsistent_db}; expected 0 or more, and the second not below the first"
            )
        if not 1 <= self.positions <= RepairNet.stride_frames:
            raise BadInput(
                f"inverter.positions is {self.positions}; expected 1 to {RepairNet.stride_frames}"
            )
        require_contrast(self.contrast)

    def _block(
        self, spectrogram: Spectrogram, begin: int, end: int, device: torch.device
    ) -> Spectrogram:
        block = super()._block(spectrogram, begin, end, device)
        source = self.repair
        if source == AUTO:
            source = shipped_for(RepairNet.__name__, spectrogram.spec)
        if source is None or block.admit is not None or (strength := self._strength(block)) == 0:
            return block
        network = load_network(source, RepairNet, spectrogram.spec, device)
        with torch.inference_mode():
            around, inner = seen_by(network, spectrogram, begin, end, device)
            repaired = network.averaged(around, self.positions)
            repaired = with_contrast(repaired, self.contrast, block.spec)
            values = from_db(torch.lerp(around, repaired, strength)[:, :, inner], block.spec)
        return Spectrogram(values, block.spec, block.n_samples)

    def _strength(self, block: Spectrogram) -> float:
        """How much of the repair a picture needs, 0 to 1."""
        excess_db = inconsistency_db(block) - self.consistent_db
        return min(max(excess_db / max(self.inconsistent_db - self.consistent_db, TINY), 0.0), 1.0)


def seen_by(
    network: RepairNet, spectrogram: Spectrogram, begin: int, end: int, device: torch.device
) -> tuple[Tensor, slice]:
    """What a network has to see for the frames ``begin`` to ``end`` to be as those of the whole.

    Returns
    -------
    Tensor
        Decibels, ``(batch, bins, frames)``.
    slice
        Where the wanted frames lie among these.
    """
    # Whole strides, so that the network's grid stays the same.
    stride, total = network.stride_frames, spectrogram.values.shape[2]
    first = max(begin - network.reach_frames, 0) // stride * stride
    last = min(end + network.reach_frames, total)
    decibels = to_db(spectrogram.values[:, :, first:last].to(device), spectrogram.spec)
    return decibels, slice(begin - first, end - first)
