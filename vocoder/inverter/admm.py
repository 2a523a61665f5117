"""Phase retrieval by the alternating direction method of multipliers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from torch import Tensor

from vocoder.errors import expect
from vocoder.inverter.joint import JointStft
from vocoder.inverter.magnitude import Target
from vocoder.inverter.projection import impose_magnitude, magnitudes
from vocoder.inverter.retrieval import PhaseRetrieval, Pin


@dataclass(frozen=True, kw_only=True)
class Admm(PhaseRetrieval):
    """Split the wanted magnitudes and the consistency of the STFT into two variables.

    Masuyama, Yatabe, Oikawa, "Griffin-Lim like phase recovery via alternating direction method of
    multipliers", IEEE Signal Processing Letters 26(1), 2019, algorithm 3.

    Parameters
    ----------
    rho : float
        Weight of the augmented term, above 0; 0.1 as in the paper, larger is more cautious. Joint
        inversion takes it once for every analysis: three ask for things that no waveform shows.
    n_iter, n_iter_estimated, init, refine_from, refine_every, mels, phases, block_frames,
    seed, device
        See `PhaseRetrieval`.
    """

    rho: float

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(self.rho > 0, "inverter.rho", self.rho, "above 0")

    def iterations(
        self, transform: Tensor, target: Target, stft: JointStft, pin: Pin
    ) -> Iterator[Tensor]:
        """Improve a complex STFT; see `PhaseRetrieval.iterations`.

        With ``y = x + u`` and ``c`` the consistent STFT nearest to ``y``, the paper's ``z`` is
        ``(rho y + c) / (1 + rho)`` and ``u`` becomes ``y - z = (y - c) / (1 + rho)``, so that ``y``
        alone needs to be kept.
        """
        magnitude = target.start
        rho = self.rho * len(stft.specs)
        y = transform.clone()
        for iteration in count():
            consistent = stft.forward(stft.inverse(y, pin.counts))
            off = y.sub_(consistent)  # (1 + rho) u
            # z - u = consistent - (1 - rho) / (1 + rho) off
            weight = (1 - rho) / (1 + rho)
            ahead = consistent.sub_(off, alpha=weight)
            if self.moves_target(iteration, target):
                magnitude = target.nearest(magnitudes(ahead))
            transform = pin(impose_magnitude(ahead, magnitude))
            y = transform.add(off, alpha=1 / (1 + rho))
            yield transform
