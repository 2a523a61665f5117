"""HiFi-GAN: a frame's features raised step by step to the sample rate, for any spectrogram."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from vocoder.errors import expect
from vocoder.model.features import features
from vocoder.model.generator import Generator
from vocoder.spec import SpectrogramSpec

# The largest published generators have 1 536; a damaged file asks for terabytes.
MAX_CHANNELS = 8192
# All that the published configurations share (Kong, Kim, Bae 2020, and their code, whose weights
# people have): kernel of the first and of the last layer, and slopes of the leaky ReLUs. The last
# one is PyTorch's default, which their code leaves where the paper says nothing.
OUTER_KERNEL = 7
SLOPE, LAST_SLOPE = 0.1, 0.01
# The published networks go up by at most 8 at once; a greater rate is taken only where it must be.
COMMON_RATE = 8

_Layer = TypeVar("_Layer", bound=nn.Module)


@dataclass(frozen=True)
class Activations:
    """What lies before the layers.

    Parameters
    ----------
    before_up, inside, last : callable
        Make of a number of channels what comes before the transposed convolutions, inside the
        residual blocks, and before the last layer.
    reach : int
        Positions on either side that one ``inside``, or ``last``, depends on.
    """

    before_up: Callable[[int], nn.Module]
    inside: Callable[[int], nn.Module]
    last: Callable[[int], nn.Module]
    reach: int = 0


LEAKY = Activations(
    before_up=lambda _: nn.LeakyReLU(SLOPE),
    inside=lambda _: nn.LeakyReLU(SLOPE),
    last=lambda _: nn.LeakyReLU(LAST_SLOPE),
)


class HifiGan(Generator):
    """The generator of HiFi-GAN (Kong, Kim, Bae 2020, "HiFi-GAN: Generative Adversarial Networks
    for Efficient and High Fidelity Speech Synthesis").

    A frame's samples lie around its centre, half a hop on either side, as the layers do.

    ``conf/model/hifigan_v1.yaml`` describes its sizes. A number of stages stands for the rates that
    follow from the hop length (256 in four: 8, 8, 2, 2, as published). Where kernels of transposed
    convolutions differ from their rates by an odd number, they lack a sample at the beginning and
    have one more at the end, as ParallelWaveGAN's do.
    """

    last_bias = True  # whether the last layer adds a constant

    def __init__(
        self,
        spec: SpectrogramSpec,
        *,
        channels: int,
        upsample_rates: int | list[int],
        upsample_kernels: list[int] | None,
        block: int,
        kernels: list[int],
        dilations: list[list[int]],
    ) -> None:
        super().__init__(spec)
        rates = _rates(upsample_rates, spec.hop_length)
        if upsample_kernels is None:
            upsample_kernels = [2 * rate + rate % 2 for rate in rates]
        # The rates themselves, so that a network's settings are the same however it was asked for.
        self.settings = {
            "channels": channels,
            "upsample_rates": rates,
            "upsample_kernels": upsample_kernels,
            "block": block,
            "kernels": kernels,
            "dilations": dilations,
        }
        _check(rates, upsample_kernels, channels, block, kernels, dilations)
        self.enter = _normed(_same_conv(spec.bins, channels, OUTER_KERNEL, 1))
        activations, stages = self.activations(), []
        for rate, kernel in zip(rates, upsample_kernels, strict=True):
            stages.append(
                _Stage(channels, rate, kernel, block == 1, kernels, dilations, activations)
            )
            channels //= 2
        self.stages = nn.ModuleList(stages)
        self.last = activations.last(channels)
        self.leave = _normed(_same_conv(channels, 1, OUTER_KERNEL, 1, bias=self.last_bias))
        self.first_sample = -(spec.hop_length // 2)
        self.context_frames = _reach(stages, spec.hop_length, activations.reach)

    def forward(self, decibels: Tensor) -> Tensor:
        """Decibels ``(batch, bins, frames)`` to samples ``(batch, frames * hop_length)``."""
        x = self.enter(self.seen(decibels))
        for stage in self.stages:
            x = stage(x)
        # Samples are whole numbers of bits: half precision has 8 of them, losses hear the rest.
        with torch.autocast(x.device.type, enabled=False):
            waveform: Tensor = self.leave(self.last(x.to(self.leave.weight.dtype)))
            return self.limited(waveform)[:, 0]

    def activations(self) -> Activations:
        """What lies before the layers; asked for once, when they are made."""
        return LEAKY

    def seen(self, decibels: Tensor) -> Tensor:
        """What the first layer sees of decibels."""
        return features(decibels, self.spec)

    def limited(self, samples: Tensor) -> Tensor:
        """Samples within -1 to 1."""
        return torch.tanh(samples)


class _Stage(nn.Module):
    """Up by one rate to half as many channels, then the mean of parallel residual blocks."""

    def __init__(
        self,
        channels: int,
        rate: int,
        kernel: int,
        in_pairs: bool,
        kernels: list[int],
        dilations: list[list[int]],
        activations: Activations,
    ) -> None:
        super().__init__()
        odd = (kernel - rate) % 2
        padding = (kernel - rate + odd) // 2
        self.before = activations.before_up(channels)
        self.up = _normed(nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding, odd))
        blocks = [
            _ResidualBlock(channels // 2, size, steps, in_pairs, activations)
            for size, steps in zip(kernels, dilations, strict=True)
        ]
        self.blocks = nn.ModuleList(blocks)
        self._reach = max(block.reach for block in blocks)
        self._geometry = rate, kernel, padding

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(self.before(x))
        total: Tensor = sum(block(x) for block in self.blocks)
        return total / len(self.blocks)

    def needs(self, first: int, last: int) -> tuple[int, int]:
        """The positions of the input that the output from ``first`` to ``last`` depends on."""
        rate, kernel, padding = self._geometry
        # Position i of the input reaches i * rate - padding + (0 ... kernel - 1).
        first, last = first - self._reach + padding, last + self._reach + padding
        return -((kernel - 1 - first) // rate), last // rate


class _ResidualBlock(nn.Module):
    """Dilated convolutions, each (or each pair, with an undilated one) added to its input."""

    def __init__(
        self,
        channels: int,
        kernel: int,
        dilations: list[int],
        in_pairs: bool,
        activations: Activations,
    ) -> None:
        super().__init__()
        steps = [[dilation, 1] if in_pairs else [dilation] for dilation in dilations]
        self.steps = nn.ModuleList(
            nn.ModuleList(_normed(_same_conv(channels, channels, kernel, d)) for d in step)
            for step in steps
        )
        self.activations = nn.ModuleList(
            nn.ModuleList(activations.inside(channels) for _ in step) for step in steps
        )
        self.reach = sum(kernel // 2 * d + activations.reach for step in steps for d in step)

    def forward(self, x: Tensor) -> Tensor:
        for convs, activations in zip(self.steps, self.activations, strict=True):
            y = x
            for conv, activation in zip(convs, activations, strict=True):  # type: ignore[call-overload]
                y = conv(activation(y))
            x = x + y
        return x


def _reach(stages: list[_Stage], hop_length: int, last_reach: int) -> int:
    """Frames before and after frame 0 that its samples depend on, followed back layer by layer."""
    outer = OUTER_KERNEL // 2
    first, last = -outer - last_reach, hop_length - 1 + outer + last_reach
    for stage in reversed(stages):
        first, last = stage.needs(first, last)
    return max(outer - first, last + outer)


def split_hop(hop_length: int, stages: int) -> list[int]:
    """A hop length as a product of ``stages`` factors, greatest first; none if it is no such.

    Factors above `COMMON_RATE` only where there is no other way; otherwise as great as can be at
    first, since the early stages are the cheap ones.
    """
    for largest in range(COMMON_RATE, max(hop_length, COMMON_RATE) + 1):
        if found := next(_factorisations(hop_length, stages, largest), None):
            return found
    return []


def _factorisations(number: int, parts: int, largest: int) -> Iterator[list[int]]:
    if parts == 1:
        if 2 <= number <= largest:
            yield [number]
        return
    for factor in range(min(number, largest), 1, -1):
        if number % factor == 0:
            for rest in _factorisations(number // factor, parts - 1, factor):
                yield [factor, *rest]


def _rates(wanted: int | list[int], hop_length: int) -> list[int]:
    """The rates given, or those for a number of stages; the product checked."""
    rates = split_hop(hop_length, wanted) if isinstance(wanted, int) else wanted
    fits = len(rates) > 0 and min(rates) > 0 and math.prod(rates) == hop_length
    expected = f"rates whose product is spec.hop_length, {hop_length}, or a number of its factors"
    expect(fits, "model.upsample_rates", wanted, expected)
    return rates


def _check(
    rates: list[int],
    upsample_kernels: list[int],
    channels: int,
    block: int,
    kernels: list[int],
    dilations: list[list[int]],
) -> None:
    fits = len(upsample_kernels) == len(rates) and all(
        k >= r > (k - r) % 2 for k, r in zip(upsample_kernels, rates, strict=True)
    )
    expected = f"one for each of the rates {rates}, not below it"
    expect(fits, "model.upsample_kernels", upsample_kernels, expected)
    halved = 2 ** len(rates)
    expected = f"a multiple of {halved}, to be halved {len(rates)} times, up to {MAX_CHANNELS}"
    fits = 0 < channels <= MAX_CHANNELS and channels % halved == 0
    expect(fits, "model.channels", channels, expected)
    expect(block in (1, 2), "model.block", block, "1 or 2")
    fits = len(kernels) > 0 and all(kernel > 0 and kernel % 2 for kernel in kernels)
    expect(fits, "model.kernels", kernels, "odd whole numbers")
    fits = len(dilations) == len(kernels) and all(steps and min(steps) > 0 for steps in dilations)
    expected = f"a list of dilations for each of the kernels {kernels}"
    expect(fits, "model.dilations", dilations, expected)


def _same_conv(
    inputs: int, outputs: int, kernel: int, dilation: int, *, bias: bool = True
) -> nn.Conv1d:
    padding = kernel // 2 * dilation
    return nn.Conv1d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=bias)


def _normed(layer: _Layer) -> _Layer:
    return parametrizations.weight_norm(layer)  # type: ignore[no-any-return]
