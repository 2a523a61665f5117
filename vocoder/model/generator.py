"""The one interface of all neural vocoders: decibels in, samples out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from vocoder.errors import expect
from vocoder.spec import SpectrogramSpec


class Generator(nn.Module, ABC):
    """A network that turns spectrograms into waveforms, ``hop_length`` samples a frame.

    Parameters
    ----------
    spec : SpectrogramSpec
        Of the spectrograms that it reads.

    Attributes
    ----------
    inputs, outputs : sequence of str
        Names of what an exported model takes and gives.
    first_sample : int
        Where the first sample of the output lies, counted from the centre of the first frame.
    context_frames : int
        Frames on either side of its own that a sample depends on. Chunks with that many frames
        around them give what the whole spectrogram gives.
    stride_frames : int
        An exported model takes multiples of this.
    settings : dict of str to Any
        The constructor's other arguments, for checkpoints.
    """

    inputs: Sequence[str] = ("decibels",)
    outputs: Sequence[str] = ("samples",)
    first_sample: int = 0
    context_frames: int
    stride_frames: int = 1
    settings: dict[str, Any]

    def __init__(self, spec: SpectrogramSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def forward(self, decibels: Tensor) -> Tensor:
        """Decibels ``(batch, bins, frames)`` to samples ``(batch, frames * hop_length)``."""


def fold_weight_norm(network: nn.Module) -> None:
    """Make normalised weights, which only training needs, plain ones in place; copies keep theirs.

    PyTorch's own `remove_parametrizations` changes the class, which a deep copy shares.
    """
    for module in list(network.modules()):
        if parametrize.is_parametrized(module, "weight"):
            weight: Any = module.weight
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module.parametrizations
            module.weight = nn.Parameter(weight.detach())


def require_sizes(sizes: Mapping[str, int]) -> None:
    """Refuse sizes of a model's layers below 1."""
    for name, size in sizes.items():
        expect(size >= 1, f"model.{name}", size, "at least 1")


@torch.inference_mode()
def generate(generator: Generator, decibels: Tensor, chunk_frames: int) -> Iterator[Tensor]:
    """Run a generator piece by piece, in bounded memory; the pieces join to the whole.

    Parameters
    ----------
    decibels : Tensor
        ``(batch, bins, frames)``.
    chunk_frames : int
        Frames of each piece, without the `Generator.context_frames` around it.

    Yields
    ------
    Tensor
        ``(batch, samples)``; all together ``frames * hop_length`` samples.
    """
    total, hop = decibels.shape[2], generator.spec.hop_length
    for begin in range(0, total, chunk_frames):
        end = min(begin + chunk_frames, total)
        first = max(begin - generator.context_frames, 0)
        last = min(end + generator.context_frames, total)
        samples = generator(decibels[:, :, first:last])
        yield samples[:, (begin - first) * hop : (end - first) * hop]
