"""A trained generator alone, such as HiFi-GAN: its waveform as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.cpu import stepwise_threads
from vocoder.device import torch_device
from vocoder.errors import expect
from vocoder.inverter.base import Inverter
from vocoder.model.generator import Generator, generate
from vocoder.model.weights import load_network, require_kind
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class GeneratorInverter(Inverter):
    """Runs a generator over the spectrogram, in chunks that join without a seam.

    Parameters
    ----------
    weights : str
        Of a `vocoder.model.generator.Generator`: a file, a training's folder, or the name of
        weights that come with the package.
    block_frames : int
        Frames of a chunk; bounds the memory.
    device : str
        A torch device, or ``auto``.
    """

    weights: str
    block_frames: int
    device: str

    def __post_init__(self) -> None:
        expect(self.block_frames >= 1, "inverter.block_frames", self.block_frames, "at least 1")
        require_kind(self.weights, Generator)

    @stepwise_threads
    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the waveform piece by piece; see `Inverter.stream`."""
        device, spec = torch_device(self.device), spectrogram.spec
        network = load_network(self.weights, Generator, spec, device)  # type: ignore[type-abstract]
        # What the network gives begins before or after the first sample, and may end too early.
        skip, length = -network.first_sample, spectrogram.length
        missing = skip + length - spectrogram.n_frames * spec.hop_length
        more = max(0, -(-missing // spec.hop_length))
        given = spectrogram.decibels
        decibels = functional.pad(given, (0, more), mode="replicate").to(device)
        lead = torch.zeros(given.shape[0], max(0, -skip))
        skip, left = max(0, skip), length - lead.shape[1]
        if lead.shape[1]:
            yield lead
        for piece in generate(network, decibels, self.block_frames):
            wanted = piece[:, skip : skip + left].float().cpu()
            skip, left = max(0, skip - piece.shape[1]), left - wanted.shape[1]
            yield wanted
