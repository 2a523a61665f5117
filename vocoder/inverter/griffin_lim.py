"""Griffin and Lim's algorithm, plain and with momentum."""

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
class GriffinLim(PhaseRetrieval):
    """Alternate between signals and the wanted magnitudes.

    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", IEEE TASSP
    32(2), 1984; with momentum: Perraudin, Balazs, Sondergaard, "A fast Griffin-Lim algorithm",
    WASPAA 2013.

    Parameters
    ----------
    momentum : float
        0 for the plain algorithm, to below 1; 0.99 as in the paper.
    n_iter, n_iter_estimated, init, refine_from, refine_every, mels, phases, block_frames,
    seed, device
        See `PhaseRetrieval`.
    """

    momentum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(0 <= self.momentum < 1, "inverter.momentum", self.momentum, "0 to below 1")

    def iterations(
        self, transform: Tensor, target: Target, stft: JointStft, pin: Pin
    ) -> Iterator[Tensor]:
        """Improve a complex STFT; see `PhaseRetrieval.iterations`."""
        magnitude = target.start
        # t + m (t - t_before), scaled to need one operation less: only its phase matters.
        weight = self.momentum / (1 + self.momentum)
        before: Tensor | None = None
        for iteration in count():
            consistent = stft.forward(stft.inverse(transform, pin.counts))
            if self.moves_target(iteration, target):
                magnitude = target.nearest(magnitudes(consistent))
            if weight == 0:
                ahead = consistent
            elif before is None:
                ahead = consistent.clone()
            else:
                ahead = before.mul_(-weight).add_(consistent)
            before = consistent
            transform = pin(impose_magnitude(ahead, magnitude))
            yield transform
