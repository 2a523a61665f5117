"""What a WaveNet says of every step at once, when it is given the true ones before."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vocoder.model.wavenet.output import LIMIT, Output
from vocoder.model.wavenet.prediction import CREST


@dataclass(frozen=True)
class Forced:
    """Densities of all steps, given the true steps before each.

    Parameters
    ----------
    output : Output
    parameters : Tensor
        ``(batch, bands, steps, size)``.
    mixing : Tensor
        What the excitation of lower bands adds to a band's in the same step, ``(batch, steps,
        bands, bands)``.
    predicted, scale, level : Tensor
        ``(batch, bands, steps)``, the last two `SILENCE` at least.
    sounds : Tensor
        Whether the picture asks for any excitation, likewise.
    excitation : Tensor
        The true one, in units of ``scale``, likewise.
    """

    output: Output
    parameters: Tensor
    mixing: Tensor
    predicted: Tensor
    scale: Tensor
    level: Tensor
    sounds: Tensor
    excitation: Tensor

    def from_lower_bands(self, excitation: Tensor) -> Tensor:
        """What ``(batch, bands, steps)`` of excitation shift each other's densities by."""
        return torch.einsum("bskl,bls->bks", self.mixing, excitation)

    def draw(self, uniform: Tensor, temperature: float) -> Tensor:
        """The values that these densities give, ``(batch, bands, steps)``.

        Parameters
        ----------
        uniform : Tensor
            ``(batch, bands, steps)``, within 0 to 1.
        temperature : float
            See `Output.quantile`.
        """
        about = self.output.quantile(self.parameters, uniform, temperature)
        excitation = torch.zeros_like(about)
        for band in range(about.shape[1]):
            shifted = about[:, band] + self.from_lower_bands(excitation)[:, band]
            excitation[:, band] = shifted.clamp(-LIMIT, LIMIT).where(self.sounds[:, band], 0)
        bound = CREST * self.level
        return (self.predicted + self.scale * excitation).clamp(-bound, bound)
