"""A WaveNet with its sampling as one computation, for programs without this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional

from vocoder.inverter.wavenet.loop import (
    COLD,
    CREST,
    LIMIT,
    MAX_LOG_SCALE,
    MIN_LOG_SCALE,
    SILENCE,
)
from vocoder.inverter.wavenet.network import WaveNet


class PortableWaveNet(nn.Module):
    """What `vocoder.inverter.wavenet.loop` computes, as a scan over the steps, of batches of one.

    Inputs are ``decibels``, ``(1, bins, frames)``; ``estimate``, ``(1, frames * hop_length)``, what
    any phase retrieval makes of them, from the centre of the first frame on; ``uniform``, ``(1,
    steps, bands, 2)`` random numbers between 0 and 1; and ``temperature``, a number.
    """

    inputs: Sequence[str] = ("decibels", "estimate", "uniform", "temperature")
    outputs: Sequence[str] = ("samples",)
    stride_frames: int = 1

    def __init__(self, model: WaveNet) -> None:
        super().__init__()
        self.model, self.spec, self.context_frames = model, model.spec, model.context_frames

    def example(self, frames: int) -> tuple[Tensor, ...]:
        """Inputs of so many frames."""
        model, spec = self.model, self.spec
        noise = torch.full((1, frames * model.steps_per_frame, model.bank.bands, 2), 0.5)
        estimate = torch.zeros(1, frames * spec.hop_length)
        return torch.zeros(1, spec.bins, frames), estimate, noise, torch.tensor(0.5)

    def forward(
        self, decibels: Tensor, estimate: Tensor, uniform: Tensor, temperature: Tensor
    ) -> Tensor:
        """The waveform, ``(1, frames * hop_length)``."""
        model = self.model
        bands, per_frame = model.bank.bands, model.steps_per_frame
        levels = model.levels(decibels)
        subbands, seen_estimate = model.see_estimate(levels, model.bank.split(estimate))
        condition = model.condition(decibels)[0]
        gates = [cast(nn.Linear, layer).weight for layer in model.gates]
        linear = [cast(nn.Linear, layer) for layer in model.mixes]
        mixes = [(layer.weight, layer.bias) for layer in linear]
        first, head = model.first.weight, model.head.weight
        *sizes, _ = model.condition_sizes

        def step(carry: Any, given: Any) -> tuple[Any, Tensor]:
            *rings, value, excitation = carry
            level, estimate, seen_estimate, uniform, number = given
            unit = level.clamp(min=SILENCE)
            inputs = [excitation.asinh(), (value / unit).clamp(-CREST, CREST), estimate / unit]
            hidden = functional.linear(torch.cat(inputs), first, model.first.bias) + seen_estimate
            frame, far = number // per_frame, number % per_frame / per_frame
            here = condition.index_select(0, torch.stack([frame, frame + 1]))
            *each, last = torch.split(torch.lerp(here[0], here[1], far), model.condition_sizes)
            total, kept = torch.zeros_like(hidden), []
            for ring, gate, mix, at_layer in zip(rings, gates, mixes, each, strict=True):
                gated = functional.linear(torch.cat([ring[0], hidden]), gate) + at_layer
                kept.append(torch.cat([ring[1:], hidden[None]]))
                signal, opened = gated.chunk(2)
                mixed = functional.linear(torch.tanh(signal) * torch.sigmoid(opened), *mix)
                hidden, total = hidden + mixed.chunk(2)[0], total + mixed.chunk(2)[1]
            raised = functional.linear(functional.relu(total), head) + last
            raw = model.last(functional.relu(raised))
            values = self._drawn(raw, uniform, temperature).unbind(0)
            weights, pair = raw[bands * 3 * model.components :], 0
            found: list[Tensor] = []
            for k, about in enumerate(values):
                for lower in range(k):
                    about = about + weights[pair] * found[lower]
                    pair += 1
                found.append(about.clamp(-LIMIT, LIMIT).where(level[k] > SILENCE, 0.0))
            bound = CREST * unit
            value = torch.minimum(
                torch.maximum(estimate + unit * torch.stack(found), -bound), bound
            )
            excitation = ((value - estimate) / unit).where(level > SILENCE, 0.0)
            return (*kept, value, excitation), value.clone()

        width = sizes[0] // 2
        rings = [decibels.new_zeros(dilation, width) for dilation in model.dilations]
        begin = (*rings, decibels.new_zeros(bands), decibels.new_zeros(bands))
        numbers = torch.arange(levels.shape[2])
        given = (levels[0].mT, subbands[0].mT, seen_estimate[0], uniform[0], numbers)
        _, drawn = scan(step, begin, given)
        return model.bank.join(drawn.mT[None])

    def _drawn(self, raw: Tensor, uniform: Tensor, temperature: Tensor) -> Tensor:
        """Values of the mixtures, ``(bands,)``, before lower bands are added."""
        bands, components = self.model.bank.bands, self.model.components
        densities = raw[: bands * 3 * components].view(bands, 3, components)
        logits, means, log_scales = densities.unbind(1)
        warm = temperature.clamp(min=COLD)
        below = torch.softmax(logits / warm, -1).cumsum(-1)[:, :-1]
        chosen = (uniform[:, :1] >= below).sum(-1, keepdim=True)
        is_cold = temperature < COLD
        chosen = torch.where(is_cold, logits.argmax(-1, keepdim=True), chosen)
        scales = log_scales.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE).exp() * warm
        quantile = torch.log(uniform[:, 1] / (1 - uniform[:, 1]))
        spread = (scales.gather(-1, chosen)[:, 0] * quantile).where(~is_cold, 0.0)
        return (means.gather(-1, chosen)[:, 0] + spread).clamp(-LIMIT, LIMIT)
