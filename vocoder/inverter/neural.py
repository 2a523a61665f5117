"""A trained generator alone, such as HiFi-GAN: its sound as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter, torch_device
from vocoder.inverter.weights import load_network
from vocoder.model.generator import Generator, generate
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class Neural(Inverter):
    """Runs a generator over the spectrogram, in chunks that join without a seam.

    Parameters
    ----------
    checkpoint : str
        Weights of a `vocoder.model.generator.Generator`: a file, a training's folder, or the name
        of shipped ones. An `vocoder.model.istft.IstftNet` has an inverter of its own.
    block_frames : int
        Frames of a chunk; bounds the memory.
    device : str
        A torch device, or ``auto``.

    Raises
    ------
    BadInput
        ``block_frames`` is out of range.
    """

    network: ClassVar = Generator
    checkpoint: str
    block_frames: int
    device: str

    def __post_init__(self) -> None:
        if self.block_frames < 1:
            raise BadInput(f"inverter.block_frames is {self.block_frames}; expected at least 1")

    def blocks(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the sound piece by piece; see `Inverter.blocks`.

        Raises
        ------
        BadInput
            The weights are missing, damaged, of another kind or for another spec.
        """
        device, spec = torch_device(self.device), spectrogram.spec
        network = load_network(self.checkpoint, Generator, spec, device)  # type: ignore[type-abstract]
        # What the network gives begins before or after the first sample, and may end too early.
        skip, length = -network.first_sample, spectrogram.length
        missing = skip + length - spectrogram.values.shape[2] * spec.hop_length
        more = max(0, -(-missing // spec.hop_length))
        values = functional.pad(spectrogram.values, (0, more), mode="replicate").to(device)
        lead = values.new_zeros(values.shape[0], max(0, -skip)).cpu()
        skip, left = max(0, skip), length - lead.shape[1]
        if lead.shape[1]:
            yield lead
        for piece in generate(network, values, self.block_frames):
            wanted = piece[:, skip : skip + left].float().cpu()
            skip, left = max(0, skip - piece.shape[1]), left - wanted.shape[1]
            yield wanted
