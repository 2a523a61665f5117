"""HiFi-GAN as ParallelWaveGAN trains it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vocoder.decibels import SILENCE_DB
from vocoder.errors import expect
from vocoder.model.hifigan import HifiGan
from vocoder.spec import SpectrogramSpec


class ParallelHifiGan(HifiGan):
    """Reads standardised decimal logarithms; a frame's samples begin at its centre.

    Parameters
    ----------
    floor : float
        The smallest magnitude.
    **sizes
        Of `HifiGan`.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: SpectrogramSpec, *, floor: float, **sizes: Any) -> None:
        super().__init__(spec, **sizes)
        expect(floor > 0, "model.floor", floor, "above 0")
        self.settings |= {"floor": floor}
        self.register_buffer("mean", torch.zeros(spec.bins))  # of each band's logarithms
        self.register_buffer("scale", torch.ones(spec.bins))
        self.least = math.log10(floor)
        self.first_sample = 0

    def seen(self, decibels: Tensor) -> Tensor:
        logarithm = decibels * (self.spec.power / 20) + math.log10(self.spec.full_scale)
        heard = (decibels > SILENCE_DB) & (logarithm > self.least)
        logarithm = torch.where(heard, logarithm, self.least)
        return (logarithm - self.mean[:, None]) / self.scale[:, None]
