"""The one interface of all discriminators, and the layers that they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from vocoder.errors import expect

# Logits (batch, n), and the outputs of all layers on the way, the last included.
Output = tuple[Tensor, list[Tensor]]
SLOPE = 0.1  # of all leaky ReLUs: Kong et al. 2020, Kumar et al. 2023

_Layer = TypeVar("_Layer", bound=nn.Module)


class Discriminator(nn.Module, ABC):
    """Several networks, each with its own view of the waveform.

    Recordings and synthesis may be given in one call, joined along the batch: that is faster than
    two, and gives the same.
    """

    @abstractmethod
    def forward(self, samples: Tensor) -> list[Output]:
        """Waveforms ``(batch, samples)`` to an `Output` for each view."""


class Layers(nn.Module):
    """Convolutions, each with a leaky ReLU."""

    def __init__(self, convs: Sequence[nn.Module]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> list[Tensor]:
        """All their outputs, from ``(batch, channels, …)``."""
        found = []
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), SLOPE, inplace=True)
            found.append(x)
        return found


class View(nn.Module):
    """Layers, and a last one that gives the logits."""

    def __init__(self, convs: Sequence[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.layers = Layers(convs)
        self.last = last

    def forward(self, x: Tensor) -> Output:
        """``(batch, channels, …)`` to logits and maps."""
        maps = self.layers(x)
        logits = self.last(maps[-1])
        return logits.flatten(1), [*maps, logits]


def normed(layer: _Layer) -> _Layer:
    """The layer with normalised weights (Salimans and Kingma 2016)."""
    parametrizations.weight_norm(layer)
    return layer


def scaled(channels: Sequence[int], width: float, groups: int = 1) -> list[int]:
    """Channels of layers at a fraction of the published width."""
    found = [round(number * width) for number in channels]
    fits = all(number >= 1 and not number % groups for number in found)
    multiples = f"multiples of {groups}" if groups > 1 else "at least one"
    expected = (
        f"a share of {list(channels)} channels that makes {multiples}, not {found}: "
        f"{groups / min(channels):g}, or 1, the published width"
    )
    expect(fits, "discriminators.width", width, expected)
    return found
