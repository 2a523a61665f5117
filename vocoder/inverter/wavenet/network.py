"""WaveNet: the next samples from those before, the spectrogram and an initial estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from vocoder.decibels import to_linear
from vocoder.errors import BadInput
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.inverter.wavenet.estimate import initial_estimate, rephased
from vocoder.inverter.wavenet.filter_bank import FilterBank
from vocoder.inverter.wavenet.loop import (
    CREST,
    MAX_LOG_SCALE,
    MIN_LOG_SCALE,
    MIN_TEMPERATURE,
    SILENCE,
)
from vocoder.model.features import features
from vocoder.model.generator import require_sizes
from vocoder.spec import SpectrogramSpec, window_samples
from vocoder.spectrogram import mel_filters

# Residual blocks over frames, and frames on either side that they and the layer before them see.
FRAME_BLOCKS = 2
FRAMES_CONTEXT = 1 + FRAME_BLOCKS
# Of the convolutions over an estimate; and the steps on either side that they see together: 22 ms
# of four bands, about half of a window of the spectrogram.
ESTIMATE_TAPS, ESTIMATE_DILATIONS = 9, (1, 5, 25)
ESTIMATE_CONTEXT = ESTIMATE_TAPS // 2 * sum(ESTIMATE_DILATIONS)


class Densities(NamedTuple):
    """What is expected of each step: mixtures of logistics about the estimate, in its level."""

    parameters: Tensor  # (batch, steps, bands, 3 * components)
    mixing: Tensor  # (batch, steps, bands, bands): what lower bands' excitation adds to a band's
    level: Tensor  # (batch, steps, bands), `SILENCE` or more
    estimate: Tensor  # (batch, steps, bands)

    def shift(self, excitation: Tensor) -> Tensor:
        """What ``(batch, steps, bands)`` of excitation shift each other's densities by."""
        return torch.einsum("bskl,bsl->bsk", self.mixing, excitation)

    def logarithm(self, values: Tensor) -> Tensor:
        """Log-densities of ``(batch, steps, bands)``; not a number where nothing is drawn."""
        excitation = excitation_of(values, self.estimate, self.level)
        density = log_density(self.parameters, excitation - self.shift(excitation))
        return (density - self.level.log()).where(self.level > SILENCE, torch.nan)

    def draw(self, uniform: Tensor, temperature: Tensor) -> Tensor:
        """The values that uniform numbers, ``(batch, steps, bands, 2)``, stand for."""
        about = quantile(self.parameters, uniform, temperature)
        values = self.estimate
        for _ in range(values.shape[2]):  # each time one band more has all those below it
            shift = self.shift(excitation_of(values, self.estimate, self.level))
            values = self.estimate + self.level * (about + shift)
            values = values.clamp(-CREST * self.level, CREST * self.level)
            values = values.where(self.level > SILENCE, self.estimate)
        return values


class WaveNet(nn.Module):
    """A dilated causal gated residual stack over the bands of a signal.

    Van den Oord et al., "WaveNet: a generative model for raw audio", 2016. Every step emits a
    sample of each band. The network says how it lies about that of an initial estimate, which
    Griffin-Lim makes of the spectrogram alone, in units of the level that the spectrogram gives the
    band; as a mixture of logistic densities (Salimans et al., "PixelCNN++", ICLR 2017).

    ``conf/model/wavenet.yaml`` describes its sizes. A step sees ``context_frames`` of the
    spectrogram and of the estimate on either side, and ``receptive_steps`` before it.
    """

    inputs: Sequence[str] = ("decibels", "estimate", "uniform", "temperature")
    outputs: Sequence[str] = ("samples",)
    stride_frames: int = 1
    energies: Tensor

    def __init__(
        self,
        spec: SpectrogramSpec,
        *,
        initial_iterations: int,
        bands: int,
        components: int,
        layers: int,
        cycle: int,
        channels: int,
        condition_channels: int,
    ) -> None:
        super().__init__()
        self.settings = {
            "initial_iterations": initial_iterations,
            "bands": bands,
            "components": components,
            "layers": layers,
            "cycle": cycle,
            "channels": channels,
            "condition_channels": condition_channels,
        }
        require_sizes(self.settings)
        if bands == 1 or spec.hop_length % bands:
            raise BadInput(
                f"model.bands is {bands}; expected at least 2, and a divisor of the "
                f"{spec.hop_length} samples of a hop",
                "model.bands.range",
            )
        self.spec, self.initial_iterations = spec, initial_iterations
        self.bank = FilterBank(bands)
        self.register_buffer("energies", _energies(spec, self.bank), persistent=False)
        self.steps_per_frame = spec.hop_length // bands
        self.dilations = [2 ** (layer % cycle) for layer in range(layers)]
        self.receptive_steps = 1 + sum(self.dilations)
        context_samples = self.bank.reach + bands * ESTIMATE_CONTEXT
        # One more: steps lie between their frame and the next.
        self.context_frames = 1 + max(FRAMES_CONTEXT, math.ceil(context_samples / spec.hop_length))
        # What the frames add to the gates of each layer, and to the head.
        self.condition_sizes = [2 * channels] * layers + [channels]

        # Over frames, of which there are few: it costs next to nothing.
        wide = condition_channels
        blocks = (
            Residual(nn.Conv1d(wide, wide, 3, padding=1), nn.GELU(), nn.Conv1d(wide, wide, 1))
            for _ in range(FRAME_BLOCKS)
        )
        self.frame_net = nn.Sequential(nn.Conv1d(spec.bins, wide, 3, padding=1), *blocks, nn.GELU())
        self.frame_last = weight_norm(nn.Linear(wide, sum(self.condition_sizes)))
        # Over the steps of the estimate, and not causal: it sees what comes, too.
        sizes = zip((bands, channels, channels), ESTIMATE_DILATIONS, strict=True)
        first, *others = (
            nn.Conv1d(inputs, channels, ESTIMATE_TAPS, padding="same", dilation=dilation)
            for inputs, dilation in sizes
        )
        self.estimate_net = nn.Sequential(
            first, *map(Residual, others), nn.GELU(), nn.Conv1d(channels, channels, 1)
        )

        def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Module:
            layer: nn.Module = weight_norm(nn.Linear(inputs, outputs, bias))
            return layer

        # Of each band the excitation and the value of the step before, and the estimate.
        self.first = linear(3 * bands, channels)
        both = 2 * channels
        self.gates = nn.ModuleList(linear(both, both, bias=False) for _ in self.dilations)
        self.mixes = nn.ModuleList(linear(channels, both) for _ in self.dilations)
        self.head = linear(channels, channels, bias=False)
        self.last = nn.Linear(channels, bands * 3 * components + bands * (bands - 1) // 2)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def loss(self, decibels: Tensor, samples: Tensor, edge_frames: int = 0) -> Tensor:
        """Mean negative log-likelihood, nats a sample, of every example by itself and then of all.

        Of recordings, ``(batch, frames * hop_length)`` samples from the centre of the first frame
        on, once they have the estimate's phases. Densities, so negative values are possible: a
        uniform one over a step of 16 bits has -10.4. ``edge_frames`` at either end don't count; a
        silent example has 0.
        """
        # Signal and estimate differ by less than half precision tells apart.
        with torch.autocast(decibels.device.type, enabled=False):
            estimate = self.estimate(decibels)
            subbands = self.bank.split(rephased(samples, estimate, self.spec))
            densities = self.teacher_forced(decibels, subbands, self.bank.split(estimate))
            likelihood = densities.logarithm(subbands.mT)
        edge = edge_frames * self.steps_per_frame
        likelihood = likelihood[:, edge : likelihood.shape[1] - edge]
        counted = ~likelihood.isnan()
        totals = likelihood.where(counted, 0).sum((1, 2))
        return -(totals / counted.sum((1, 2)).clamp(min=1)).mean()

    def teacher_forced(self, decibels: Tensor, subbands: Tensor, estimate: Tensor) -> Densities:
        """All steps at once, each given the true ones before it.

        Both signals, the true one and the estimate, are ``(batch, bands, steps)``.
        """
        condition, level, estimate, seen_estimate = self.guide(decibels, estimate)
        guide = self._at_steps(condition), level, estimate, seen_estimate
        excitation = excitation_of(subbands.mT, estimate, level)
        excitation, value = (functional.pad(x, (0, 0, 1, -1)) for x in (excitation, subbands.mT))
        return self.densities(excitation, value, guide, self.silent_past(len(decibels)))[0]

    def densities(
        self, excitation: Tensor, value: Tensor, guide: Sequence[Tensor], past: Sequence[Tensor]
    ) -> tuple[Densities, list[Tensor]]:
        """Of steps in a row, given the excitation and value of the step before each.

        ``guide`` is what `guide` gives, the condition, too, at the steps; ``past`` holds what each
        layer saw before the first, ``(batch, dilation, channels)``. Also returns the next past.
        """
        condition, level, estimate, seen_estimate = guide
        value = (value / level).clamp(-CREST, CREST)
        seen = torch.cat([excitation.asinh(), value, estimate / level], dim=2)
        hidden = self.first(seen) + seen_estimate
        total, n_steps, later = torch.zeros_like(hidden), hidden.shape[1], []
        *conditions, last_condition = torch.split(condition, self.condition_sizes, dim=2)
        for before, gates, mix, given in zip(past, self.gates, self.mixes, conditions, strict=True):
            later.append(torch.cat([before[:, n_steps:], hidden[:, -before.shape[1] :]], dim=1))
            earlier = torch.cat([before, hidden], dim=1)[:, :n_steps]
            gated = gates(torch.cat([earlier, hidden], dim=2)) + given
            signal, gate = gated.chunk(2, dim=2)
            residual, skip = mix(torch.tanh(signal) * torch.sigmoid(gate)).chunk(2, dim=2)
            hidden, total = hidden + residual, total + skip
        head = self.head(functional.relu(total)) + last_condition
        raw = self.last(functional.relu(head))
        bands = level.shape[2]
        n_pairs = bands * (bands - 1) // 2
        parameters, weights = raw[:, :, :-n_pairs], raw[:, :, -n_pairs:]
        rows = torch.split(weights, list(range(1, bands)), dim=2)  # of all bands but the lowest
        lowest = torch.zeros_like(weights[:, :, :1])
        padded = [functional.pad(row, (0, bands - row.shape[2])) for row in (lowest, *rows)]
        mixing = torch.stack(padded, dim=2)
        return Densities(parameters.unflatten(2, (bands, -1)), mixing, level, estimate), later

    def silent_past(self, batch: int) -> list[Tensor]:
        """What the layers saw before there was anything."""
        zeros = self.last.weight.new_zeros
        return [zeros(batch, dilation, self.last.in_features) for dilation in self.dilations]

    def forward(
        self, decibels: Tensor, estimate: Tensor, uniform: Tensor, temperature: Tensor
    ) -> Tensor:
        """Sample: the compiled loop in torch, for a batch of one; for `vocoder export` only.

        ``estimate``, ``(1, frames * hop_length)``, is what any phase retrieval makes of the
        decibels; ``uniform``, ``(1, steps, bands, 2)``, are random numbers between 0 and 1.
        """
        from torch._higher_order_ops.scan import scan

        condition, *guide = self.guide(decibels, self.bank.split(estimate))
        per_frame = self.steps_per_frame

        def step(state: Any, given: Any) -> tuple[Any, Tensor]:
            (excitation, value, *past), (number, uniform, *guide) = state, given
            frame, far = number // per_frame, number % per_frame / per_frame
            around = condition.index_select(1, torch.stack([frame, frame + 1]))
            here = torch.lerp(around[:, :1], around[:, 1:], far)
            densities, past = self.densities(excitation, value, (here, *guide), past)
            value = densities.draw(uniform, temperature)
            excitation = excitation_of(value, densities.estimate, densities.level)
            return (excitation, value, *past), value.clone()

        numbers = torch.arange(uniform.shape[1])
        given = (each.transpose(0, 1)[:, None] for each in (uniform, *guide))
        begin = [torch.zeros(1, 1, self.bank.bands) for _ in range(2)]
        _, drawn = scan(step, (*begin, *self.silent_past(1)), (numbers, *given))
        return self.bank.join(drawn[:, 0, 0].mT[None])

    def example(self, frames: int) -> tuple[Tensor, ...]:
        """Inputs of so many frames."""
        noise = torch.full((1, frames * self.steps_per_frame, self.bank.bands, 2), 0.5)
        estimate = torch.zeros(1, frames * self.spec.hop_length)
        return torch.zeros(1, self.spec.bins, frames), estimate, noise, torch.tensor(0.5)

    def guide(self, decibels: Tensor, estimate: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What a spectrogram, and the bands of an estimate of the waveform, say to the stack.

        ``(batch, frames + 1, …)``, of which the last goes on as it is, that frames add to it; then
        ``(batch, steps, …)``: levels, the estimate, no louder than they allow, and what the first
        layer sees of it.
        """
        condition = self.frame_last(self.frame_net(features(decibels, self.spec)).mT)
        levels = self.levels(decibels)
        estimate = estimate.mT.clamp(-CREST * levels, CREST * levels)
        level = levels.clamp(min=SILENCE)
        seen_estimate = self.estimate_net((estimate / level).mT).mT
        return torch.cat([condition, condition[:, -1:]], dim=1), level, estimate, seen_estimate

    @torch.no_grad()
    def levels(self, decibels: Tensor) -> Tensor:
        """Root mean squares of the bands by Parseval's theorem, ``(batch, steps, bands)``."""
        magnitude = mel_to_linear(to_linear(decibels, self.spec), self.spec, n_iter=0).double()
        energies = magnitude.square().mT @ self.energies
        energies = torch.cat([energies, energies[:, -1:]], dim=1)
        return self._at_steps(energies).clamp(min=0).sqrt().float()

    def _at_steps(self, at_frames: Tensor) -> Tensor:
        """Straight lines through ``(batch, frames + 1, channels)``, at the steps between."""
        size = (at_frames.shape[1] - 1) * self.steps_per_frame + 1
        lines = functional.interpolate(at_frames.mT, size, mode="linear", align_corners=True)
        return lines[:, :, :-1].mT

    @torch.no_grad()
    def estimate(self, decibels: Tensor) -> Tensor:
        """The initial estimate, ``(batch, frames * hop_length)``."""
        pieces = initial_estimate(decibels, self.spec, self.initial_iterations)
        return torch.cat(list(pieces), dim=1).to(decibels.device)


class Residual(nn.Sequential):
    """Layers whose output is added to their input; they see it behind a GELU."""

    def forward(self, hidden: Tensor) -> Tensor:
        added: Tensor = super().forward(functional.gelu(hidden))  # type: ignore[no-untyped-call]
        return hidden + added


def excitation_of(values: Tensor, estimate: Tensor, level: Tensor) -> Tensor:
    """How values lie about the estimate, in units of the level; 0 where nothing is drawn."""
    bounded = values.clamp(-CREST * level, CREST * level)
    return ((bounded - estimate) / level).where(level > SILENCE, 0.0)


def log_density(parameters: Tensor, values: Tensor) -> Tensor:
    """Natural logarithm of mixtures of logistic densities.

    Parameters ``(..., 3 * components)`` are logits of the weights, means and logarithms of scales;
    values are ``(...)``.
    """
    logits, means, log_scales = parameters.chunk(3, dim=-1)
    log_scales = log_scales.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)
    away = (values[..., None] - means).abs() * torch.exp(-log_scales)
    each = -away - log_scales - 2 * functional.softplus(-away)
    return torch.logsumexp(each + logits, -1) - torch.logsumexp(logits, -1)


def quantile(parameters: Tensor, uniform: Tensor, temperature: Tensor) -> Tensor:
    """The values of such mixtures that pairs ``(..., 2)`` of uniform numbers stand for."""
    logits, means, log_scales = parameters.chunk(3, dim=-1)
    temperature = temperature.clamp(min=MIN_TEMPERATURE)
    below = torch.softmax(logits / temperature, -1).cumsum(-1)[..., :-1]
    chosen = (uniform[..., :1] >= below).sum(-1, keepdim=True)
    scales = log_scales.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE).exp() * temperature
    mean, scale = (each.gather(-1, chosen)[..., 0] for each in (means, scales))
    return mean + scale * torch.log(uniform[..., 1] / (1 - uniform[..., 1]))


def _energies(spec: SpectrogramSpec, bank: FilterBank) -> Tensor:
    """From STFT powers to the bands' mean squares, ``(n_freqs, bands)``, float64.

    Beyond the edges of what mel bands show, the edge goes on.
    """
    k = np.arange(spec.n_freqs)
    both_sides = np.where((k == 0) | (k * 2 == spec.n_fft), 1, 2)
    density = both_sides / spec.n_fft / np.square(window_samples(spec)).sum()
    first, last = 0, spec.bins - 1
    if spec.kind == "mel":
        peaks = mel_filters(spec, torch.device("cpu")).argmax(dim=1)
        first, last = int(peaks.min()), int(peaks.max())
    shown = np.zeros((spec.n_freqs, bank.bands))
    np.add.at(shown, k.clip(first, last), (bank.response(spec.n_fft) * density).T)
    return torch.from_numpy(shown)
