"""The one interface of all inverters: spectrogram in, waveform out, whole or block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.spectrogram import Spectrogram


class Inverter(ABC):
    """Turns spectrograms into sound.

    Subclasses yield the sound in blocks, so that an hour needs no more memory than a minute does;
    calling the inverter joins them.

    Attributes
    ----------
    network : type or None
        The kind of network that its ``checkpoint`` holds weights of; ``None`` if it has none.
    """

    network: ClassVar[type[nn.Module] | None] = None

    @abstractmethod
    def blocks(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield consecutive pieces of the sound, each ``(batch, samples)``, float32, on the CPU.

        Their lengths add up to ``spectrogram.length``.
        """

    def together(self, spectrograms: Sequence[Spectrogram]) -> Iterator[tuple[int, Tensor]]:
        """Invert several spectrograms of one spec, at once where the inverter can.

        Parameters
        ----------
        spectrograms : sequence of Spectrogram
            Batches of one, of any lengths; those of similar length go well together.

        Yields
        ------
        int, Tensor
            Which of them, and the next piece of its sound, ``(samples,)``.
        """
        for which, spectrogram in enumerate(spectrograms):
            for block in self.blocks(spectrogram):
                yield which, block[0]

    def to_dict(self) -> dict[str, Any]:
        """Class and parameters as plain values, for reports."""
        return {"class": type(self).__name__, **vars(self)}

    def __call__(self, spectrogram: Spectrogram) -> Tensor:
        """The whole sound, ``(batch, spectrogram.length)``, float32, on the CPU."""
        return torch.cat(list(self.blocks(spectrogram)), dim=1)


def torch_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is a GPU if there is one, otherwise the CPU.

    Raises
    ------
    BadInput
        No such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"device={name} cannot be used ({reason}); try device=cpu") from error
    return device
