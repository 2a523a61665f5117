"""As much repair as an image needs, and of the kind that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vocoder.cpu import torch_threads
from vocoder.errors import BadInput
from vocoder.model.weights import fits
from vocoder.repair.consistency import inconsistency_db
from vocoder.repair.neural import NetworkRepair
from vocoder.repair.voice import VoiceRepair
from vocoder.spectrogram import Spectrogram

# Of long utterances so many pieces of so many frames are looked at, evenly spread: 30 s in all at
# the default hop.
PIECES, PIECE_FRAMES = 4, 640
TINY_DB = 1e-9


@dataclass(frozen=True, kw_only=True)
class AutoRepair(VoiceRepair):
    """Repairs what no waveform can show, and leaves true images alone.

    How far an image is from the spectrogram of a quick inversion (`inconsistency_db`) says how
    much of the repair it gets. A JPEG that `vocoder` wrote, whose file says what it leaves open,
    is a true image, too; another network finds what lies in its cells. Weights that come with the
    package are used where they fit the spec; one's own have to fit.

    Parameters
    ----------
    consistent_db, inconsistent_db : float
        Images are not repaired up to the first inconsistency, wholly from the second on, and
        partly between.
    trial : callable
        The quick inverter, spectrogram to waveforms ``(batch, samples)``.
    jpeg : NetworkRepair
        The repair of such JPEGs.
    pitch, voice, weights, strength, n_shifts, postfilter, chunk_frames, device
        The repair of generated images; see `VoiceRepair`.
    """

    consistent_db: float
    inconsistent_db: float
    trial: Callable[[Spectrogram], Tensor]
    jpeg: NetworkRepair

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.consistent_db <= self.inconsistent_db:
            raise BadInput(
                f"repair.consistent_db is {self.consistent_db} and inconsistent_db "
                f"{self.inconsistent_db}; expected 0 or more, and the second not below the first",
                key="repair.consistent_db.range",
            )

    @torch_threads()
    def __call__(self, spectrogram: Spectrogram) -> Spectrogram:
        """Repair every member of a batch as it needs it; the batch counts as much as the most
        repaired one as an estimate.
        """
        if len(spectrogram.decibels) == 1:
            return self._repaired(spectrogram)
        repaired = [self._repaired(one) for one in spectrogram.members]
        decibels = torch.cat([one.decibels.cpu() for one in repaired])
        certainty = torch.cat(
            [
                torch.ones(1, one.n_frames) if one.certainty is None else one.certainty
                for one in repaired
            ]
        )
        return replace(
            repaired[0],
            decibels=decibels,
            estimated=max(one.estimated for one in repaired),
            certainty=certainty,
            strength=max(one.strength for one in repaired),
            inconsistency_db=None,  # each has its own
        )

    def _repaired(self, spectrogram: Spectrogram) -> Spectrogram:
        if spectrogram.constraint is not None:
            usable = fits(self.jpeg.weights, spectrogram.spec)
            return self.jpeg(spectrogram) if usable else spectrogram
        if self.strength == 0:
            return spectrogram
        spectrogram = replace(spectrogram, inconsistency_db=self.inconsistency_db(spectrogram))
        if not fits(self.weights, spectrogram.spec):
            return spectrogram
        return self.repair(spectrogram, self.strength * self.need(spectrogram))

    def inconsistency_db(self, spectrogram: Spectrogram) -> float:
        """How far a batch of one is from what any waveform can show."""
        if spectrogram.inconsistency_db is not None:
            return spectrogram.inconsistency_db
        found = [inconsistency_db(piece, self.trial) for piece in _pieces(spectrogram)]
        return float(np.mean(found))

    def need(self, spectrogram: Spectrogram) -> float:
        """How much of the repair a batch of one needs, 0 to 1."""
        excess_db = self.inconsistency_db(spectrogram) - self.consistent_db
        return min(max(excess_db / max(self.inconsistent_db - self.consistent_db, TINY_DB), 0), 1)


def _pieces(spectrogram: Spectrogram) -> list[Spectrogram]:
    """All of a short utterance, or pieces of a long one."""
    total = spectrogram.n_frames
    if total <= PIECES * PIECE_FRAMES:
        return [spectrogram]
    begins = np.linspace(0, total - PIECE_FRAMES, PIECES).astype(int)
    return [spectrogram.frames(int(begin), int(begin) + PIECE_FRAMES) for begin in begins]
