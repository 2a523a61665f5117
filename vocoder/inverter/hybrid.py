"""A network and Griffin-Lim together: the picture repaired, then phases found for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from vocoder.errors import BadInput
from vocoder.inverter.consistency import TINY, inconsistency_db
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.repaired import corrected, repaired, require_settings
from vocoder.inverter.retrieval import Block
from vocoder.inverter.weights import load_network
from vocoder.model.features import from_db
from vocoder.model.istft import IstftNet
from vocoder.model.repair import RepairNet
from vocoder.model.weights import AUTO, shipped_for
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class Hybrid(GriffinLim):
    """Griffin-Lim on a repaired picture, from the phases that the repair implies.

    Every iteration brings the sound nearer to the repaired picture; that is an estimate, and worth
    few of them. True pictures are not repaired: what a sound can show (`inconsistency_db`) is left
    as it is, and the iterations show it. A JPEG that was made by us, whose file says what it leaves
    open, is a true picture, too, and a network of another kind finds what lies in its cells
    (`vocoder.inverter.repaired.corrected`).

    Parameters
    ----------
    repair : str or None
        Weights of a `vocoder.model.repair.RepairNet`: a file, a training's folder, or the name of
        shipped ones; ``auto`` takes the shipped ones for the picture's spec, if there are any, and
        ``None`` takes the picture as it is. Read only for pictures that need a repair.
    jpeg : str or None
        Weights of a `vocoder.model.istft.IstftNet` for such JPEGs, likewise; ``None`` leaves the
        cells to the iterations.
    consistent_db, inconsistent_db : float
        Pictures are not repaired up to the first inconsistency, wholly from the second on, and
        partly between.
    positions, contrast
        Of the repair; see `vocoder.inverter.repaired.repaired`.
    jpeg_contrast : float
        The contrast of what is found for JPEGs; more positions than one give nothing there.
    repaired_share : float
        How many of the ``n_iter`` iterations a picture is worth that is wholly repaired, 0 to 1.
    n_iter, momentum, init, refine_from, refine_every, block_frames, seed, device
        See `GriffinLim`.

    Raises
    ------
    BadInput
        A parameter is out of range.
    """

    network: ClassVar = RepairNet
    repair: str | None
    jpeg: str | None
    consistent_db: float
    inconsistent_db: float
    positions: int
    contrast: float
    jpeg_contrast: float
    repaired_share: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.consistent_db <= self.inconsistent_db:
            raise BadInput(
                f"inverter.consistent_db is {self.consistent_db} and inconsistent_db "
                f"{self.inconsistent_db}; expected 0 or more, and the second not below the first"
            )
        self._require(0 <= self.repaired_share <= 1, "repaired_share", "0 to 1")
        require_settings(self.positions, contrast=self.contrast)
        require_settings(jpeg_contrast=self.jpeg_contrast)

    def _block(self, spectrogram: Spectrogram, begin: int, end: int, device: torch.device) -> Block:
        block = super()._block(spectrogram, begin, end, device)
        given, spec = block.spectrogram, spectrogram.spec
        if given.admit is not None:
            source = _found(self.jpeg, IstftNet, spec)
            if source is None:
                return block
            corrector = load_network(source, IstftNet, spec, device)
            found = corrected(corrector, spectrogram, begin, end, device, 1, self.jpeg_contrast)
            return Block(found, self.n_iter)
        source = _found(self.repair, RepairNet, spec)
        if source is None or (strength := self._strength(given)) == 0:
            return block
        network = load_network(source, RepairNet, spec, device)
        settings = (self.positions, self.contrast)
        before, after = repaired(network, spectrogram, begin, end, device, *settings)
        with torch.inference_mode():
            values = from_db(torch.lerp(before, after, strength), spec)
        n_iter = round(self.n_iter * (1 - strength * (1 - self.repaired_share)))
        return Block(Spectrogram(values, spec, given.n_samples), n_iter)

    def _strength(self, given: Spectrogram) -> float:
        """How much of the repair a picture needs, 0 to 1."""
        excess_db = inconsistency_db(given) - self.consistent_db
        return min(max(excess_db / max(self.inconsistent_db - self.consistent_db, TINY), 0.0), 1.0)


def _found(source: str | None, kind: type[nn.Module], spec: SpectrogramSpec) -> str | None:
    """What to load: ``auto`` is what comes with the package for a spec, if anything does."""
    return shipped_for(kind.__name__, spec) if source == AUTO else source
