"""Networks and Griffin-Lim together: the picture repaired, a neural start, and refinement."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vocoder.errors import BadInput
from vocoder.inverter.consistency import TINY, inconsistency_db
from vocoder.inverter.contrast import with_contrast
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.retrieval import Pin
from vocoder.inverter.weights import load_network
from vocoder.model.features import from_db, to_db
from vocoder.model.istft import IstftNet
from vocoder.model.repair import RepairNet
from vocoder.model.weights import AUTO, shipped_for
from vocoder.spectrogram import Spectrogram

MAX_CONTRAST = 2.0


@dataclass(frozen=True, kw_only=True)
class Hybrid(GriffinLim):
    """Griffin-Lim on a repaired picture, from a neural start; each part can be left out.

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
    vocoder : str or None
        Weights of a `vocoder.model.istft.IstftNet`, likewise; ``None`` begins with the phases that
        ``init`` gives.
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
    vocoder: str | None

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
        if not 0 <= self.contrast <= MAX_CONTRAST:
            raise BadInput(f"inverter.contrast is {self.contrast}; expected 0 to {MAX_CONTRAST:g}")

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
        # What the network sees around the block; whole strides, so that its grid stays the same.
        stride, total = network.stride_frames, spectrogram.values.shape[2]
        first = max(begin - network.reach_frames, 0) // stride * stride
        last = min(end + network.reach_frames, total)
        with torch.inference_mode():
            around = to_db(spectrogram.values[:, :, first:last].to(device), block.spec)
            repaired = network.averaged(around, self.positions)
            repaired = with_contrast(repaired, self.contrast, block.spec)
            mended = torch.lerp(around, repaired, strength)
            values = from_db(mended[:, :, begin - first : end - first], block.spec)
        return Spectrogram(values, block.spec, block.n_samples)

    def _strength(self, block: Spectrogram) -> float:
        """How much of the repair a picture needs, 0 to 1."""
        excess_db = inconsistency_db(block) - self.consistent_db
        return min(max(excess_db / max(self.inconsistent_db - self.consistent_db, TINY), 0.0), 1.0)

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
