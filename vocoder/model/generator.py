"""The one interface of all neural vocoders: a spectrogram's values in, samples out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.spec import SpectrogramSpec


class Generator(nn.Module, ABC):
    """A network that turns spectrograms into sound, ``hop_length`` samples a frame.

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
    reach_frames : int
        Frames on either side of its own that a sample depends on. Chunks with that many frames
        around them give what the whole spectrogram gives.
    stride_frames : int
        An exported model takes multiples of this.
    settings : dict of str to Any
        The constructor's other arguments, for checkpoints.
    """

    inputs: Sequence[str] = ("spectrogram",)
    outputs: Sequence[str] = ("samples",)
    first_sample: int = 0
    reach_frames: int
    stride_frames: int = 1
    settings: dict[str, Any]

    def __init__(self, spec: SpectrogramSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def forward(self, values: Tensor) -> Tensor:
        """Values in the spec's units, ``(batch, bins, frames)``, to ``(batch, frames * hop)``."""

    def portable(self) -> nn.Module:
        """What is exported for other programs; with ``inputs`` and ``outputs``, their names."""
        return self

    def fold(self) -> None:
        """Replace what only training needs (weight norm) by plain weights, in place."""


def require_sizes(sizes: Mapping[str, int]) -> None:
    """Raise `BadInput` unless all sizes of a model's layers are at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise BadInput(f"model.{name} is {size}; expected at least 1")


@torch.inference_mode()
def generate(generator: Generator, values: Tensor, chunk_frames: int) -> Iterator[Tensor]:
    """Run a generator piece by piece, in bounded memory; the pieces join to the whole.

    Parameters
    ----------
    generator : Generator
    values : Tensor
        ``(batch, bins, frames)``.
    chunk_frames : int
        Frames of each piece, without the `Generator.reach_frames` around it.

    Yields
    ------
    Tensor
        ``(batch, samples)``; all together ``frames * hop_length`` samples.
    """
    total, hop = values.shape[2], generator.spec.hop_length
    for begin in range(0, total, chunk_frames):
        end = min(begin + chunk_frames, total)
        first = max(begin - generator.reach_frames, 0)
        last = min(end + generator.reach_frames, total)
        sound = generator(values[:, :, first:last])
        yield sound[:, (begin - first) * hop : (end - first) * hop]
