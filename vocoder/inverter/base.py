"""The one interface of all inverters: spectrogram in, waveform out, whole or block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from vocoder.spectrogram import Spectrogram


class Inverter(ABC):
    """Turns spectrograms into waveforms.

    Subclasses yield the waveform in blocks, so that an hour needs no more memory than a minute
    does; calling the inverter joins them.
    """

    @abstractmethod
    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield consecutive pieces of the waveform, ``(batch, samples)``, float32, on the CPU.

        Their lengths add up to ``spectrogram.length``.
        """

    def invert_batch(self, spectrograms: Sequence[Spectrogram]) -> Iterator[tuple[int, Tensor]]:
        """Invert several spectrograms of one spec, at once where the inverter can.

        Parameters
        ----------
        spectrograms : sequence of Spectrogram
            Batches of one, of any lengths; those of similar length go well together.

        Yields
        ------
        int, Tensor
            Which of them, and the next piece of its waveform, ``(samples,)``.
        """
        for which, spectrogram in enumerate(spectrograms):
            for block in self.stream(spectrogram):
                yield which, block[0]

    def to_dict(self) -> dict[str, Any]:
        """Class and parameters as plain values, for reports."""
        return {"class": type(self).__name__, **vars(self)}

    def __call__(self, spectrogram: Spectrogram) -> Tensor:
        """Invert all of it, ``(batch, spectrogram.length)``, float32, on the CPU."""
        return torch.cat(list(self.stream(spectrogram)), dim=1)
