"""Sampling from a trained WaveNet: a spectrogram in, its waveform out, step by step.

The compiled loop does the arithmetic of `vocoder.inverter.wavenet.network`; every layer keeps its
past in a ring. Matrices are ``(inputs, outputs)`` and C-contiguous.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

import numba
import numpy as np
import torch
from torch import Tensor, nn

from vocoder.cpu import stepwise_threads
from vocoder.errors import BadInput, expect_ranges
from vocoder.inverter.base import Inverter
from vocoder.inverter.magnitude import Target
from vocoder.inverter.wavenet.network import (
    CREST,
    MAX_LOG_SCALE,
    MIN_LOG_SCALE,
    SILENCE,
    WaveNet,
    iterate,
)
from vocoder.model.weights import load_network, require_kind
from vocoder.spectrogram import Spectrogram

INTERVALS = 2**23  # of uniform noise: as fine as float32 is below 1
MAX_S = 1200.0  # of audio, which takes some 11 GB
MIN_TEMPERATURE = 1e-3  # at which the most likely value is taken, all but exactly

compiled = numba.njit(
    cache=True,
    nogil=True,
    # All but the assumptions that numbers are finite: a diverging network's may not be.
    fastmath={"contract", "reassoc", "arcp", "nsz"},
    error_model="numpy",  # a check of divisions would keep loops from becoming vector code
)


@dataclass(frozen=True, kw_only=True)
class WaveNetInverter(Inverter):
    """Samples from a `WaveNet`, on one core of the CPU; ``conf/inverter/wavenet.yaml`` has more.

    All at once, in some 9 MB of memory for a second of audio.
    """

    weights: str
    temperature: float
    n_iter: int
    seed: int

    def __post_init__(self) -> None:
        expect_ranges(self, "inverter", temperature=(0, math.inf), n_iter=(0, math.inf))
        require_kind(self.weights, WaveNet)

    @stepwise_threads
    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the waveform; see `Inverter.stream`."""
        length, rate = spectrogram.length, spectrogram.spec.sample_rate
        if length > MAX_S * rate:
            found = f"{length / rate:.0f} s of audio, but inverter=wavenet takes {MAX_S:g} at most"
            raise BadInput(f"{found}; take another inverter", "inverter.wavenet.length")
        network = load_network(self.weights, WaveNet, spectrogram.spec, torch.device("cpu"))
        waveform = sample(network, spectrogram.decibels, self.seed, self.temperature, self.n_iter)
        yield waveform[:, :length]


def sample(model: WaveNet, decibels: Tensor, seed: int, temperature: float, n_iter: int) -> Tensor:
    """The waveform of ``(batch, bins, frames)`` from the centre of the first frame on, on the CPU.

    ``(batch, frames * hop_length)``, float32; every item of a batch draws its own noise.
    """
    model, decibels = copy.deepcopy(model).cpu(), decibels.detach().cpu()
    waveform = model.bank.join(sample_subbands(model, decibels, seed, temperature))
    target = Target(Spectrogram(decibels, model.spec))
    for _ in range(n_iter):
        waveform = iterate(waveform, model.spec, target.nearest)
    return waveform


@torch.no_grad()
def sample_subbands(model: WaveNet, decibels: Tensor, seed: int, temperature: float) -> Tensor:
    """Sample ``(batch, bands, steps)``, on the CPU."""
    guide = model.guide(decibels, model.bank.split(model.estimate(decibels)))
    weights, warm = _weights(model), np.float32(max(temperature, MIN_TEMPERATURE))
    sampled = []
    for item in range(len(decibels)):
        condition, level, estimate, seen = (_array(each[item]) for each in guide)
        uniform = draw(np.random.default_rng([seed, item]), level.shape)
        sampled.append(run(weights, condition, level, estimate, seen, uniform, warm))
    return torch.from_numpy(np.stack(sampled)).mT.contiguous()


def draw(noise: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Pairs of uniform numbers, ``(*shape, 2)``, float32, never 0 or 1, where quantiles end."""
    drawn = noise.integers(INTERVALS, size=(*shape, 2)).astype(np.float32)
    return (drawn + np.float32(0.5)) / np.float32(INTERVALS)


def _weights(model: WaveNet) -> Weights:
    return Weights(
        first=_matrix(model.first),
        first_bias=_array(model.first.bias),
        gates=np.stack([_matrix(layer) for layer in model.gates]),
        mix=np.stack([_matrix(layer) for layer in model.mixes]),
        mix_bias=np.stack([_array(layer.bias) for layer in model.mixes]),
        head=_matrix(model.head),
        last=_matrix(model.last),
        last_bias=_array(model.last.bias),
        dilations=np.array(model.dilations, np.int64),
    )


def _matrix(layer: nn.Module) -> np.ndarray:
    return _array(cast(nn.Linear, layer).weight.mT)


def _array(tensor: Tensor | nn.Module) -> np.ndarray:
    return np.ascontiguousarray(cast(Tensor, tensor).detach().float().numpy())


class Weights(NamedTuple):
    """A network's matrices."""

    first: np.ndarray  # (inputs, channels)
    first_bias: np.ndarray  # (channels,)
    gates: np.ndarray  # (layers, past and present channels, 2 * channels)
    mix: np.ndarray  # (layers, channels, 2 * channels)
    mix_bias: np.ndarray  # (layers, 2 * channels)
    head: np.ndarray  # (channels, channels)
    last: np.ndarray  # (channels, bands * 3 * components + pairs of bands)
    last_bias: np.ndarray  # (bands * 3 * components + pairs of bands,)
    dilations: np.ndarray  # (layers,) int64


@compiled
def _add_product(out, matrix, vector):  # type: ignore[no-untyped-def]
    """``out += vector @ matrix``."""
    for i in range(matrix.shape[0]):
        for j in range(out.shape[0]):
            out[j] += vector[i] * matrix[i, j]


@compiled
def _clipped(x, bound):  # type: ignore[no-untyped-def]
    return min(max(x, -bound), bound)


@compiled
def _sigmoid(x):  # type: ignore[no-untyped-def]
    return np.float32(1) / (np.float32(1) + np.exp(-x))


@compiled
def _drawn(parameters, uniform, temperature):  # type: ignore[no-untyped-def]
    """A value of a mixture of logistics: one number chooses the component, one its quantile."""
    n = parameters.shape[0] // 3
    logits, means, log_scales = parameters[:n], parameters[n : 2 * n], parameters[2 * n :]
    odds = np.exp((logits - logits.max()) / temperature)
    left, chosen = uniform[0] * odds.sum(), 0
    while chosen < n - 1 and left >= odds[chosen]:
        left -= odds[chosen]
        chosen += 1
    log_scale = max(log_scales[chosen], np.float32(MIN_LOG_SCALE))
    scale = np.exp(min(log_scale, np.float32(MAX_LOG_SCALE))) * temperature
    return means[chosen] + scale * np.log(uniform[1] / (np.float32(1) - uniform[1]))


@compiled
def run(weights, condition, level, estimate, seen_estimate, uniform, temperature):  # type: ignore[no-untyped-def]
    """Values of all steps, ``(steps, bands)``; of what `WaveNet.guide` gives for one spectrogram.

    ``uniform``, ``(steps, bands, 2)``, within 0 to 1, is what is drawn.
    """
    layers, channels, width = weights.mix.shape
    steps, bands = level.shape
    per_frame = steps // (condition.shape[0] - 1)
    size = (weights.last.shape[1] - bands * (bands - 1) // 2) // bands  # of a density
    rings = np.zeros((weights.dilations.sum(), channels), np.float32)  # inputs of each layer
    seen = np.zeros(weights.first.shape[0], np.float32)
    hidden = np.zeros(channels, np.float32)
    total = np.zeros(channels, np.float32)
    head = np.zeros(channels, np.float32)
    squashed = np.zeros(channels, np.float32)
    gated = np.zeros(width, np.float32)
    mixed = np.zeros(width, np.float32)
    raw = np.zeros(weights.last.shape[1], np.float32)
    value = np.zeros(bands, np.float32)
    excitation = np.zeros(bands, np.float32)  # the value, in units of the level
    out = np.zeros((steps, bands), np.float32)
    zero, one, two, crest = np.float32(0), np.float32(1), np.float32(2), np.float32(CREST)

    for step in range(steps):
        frame, far = step // per_frame, np.float32(step % per_frame) / np.float32(per_frame)
        here = (one - far) * condition[frame] + far * condition[frame + 1]

        for k in range(bands):
            seen[k] = np.arcsinh(excitation[k])
            seen[bands + k] = _clipped(value[k] / level[step, k], crest)
            seen[2 * bands + k] = estimate[step, k] / level[step, k]
        hidden[:] = weights.first_bias + seen_estimate[step]
        _add_product(hidden, weights.first, seen)
        total[:] = zero
        offset = 0
        for layer in range(layers):
            dilation = weights.dilations[layer]
            slot = rings[offset + step % dilation]
            offset += dilation
            gated[:] = here[layer * width : (layer + 1) * width]
            _add_product(gated, weights.gates[layer, :channels], slot)
            _add_product(gated, weights.gates[layer, channels:], hidden)
            slot[:] = hidden
            for j in range(channels):
                tanh = two * _sigmoid(two * gated[j]) - one
                squashed[j] = tanh * _sigmoid(gated[channels + j])
            mixed[:] = weights.mix_bias[layer]
            _add_product(mixed, weights.mix[layer], squashed)
            hidden += mixed[:channels]
            total += mixed[channels:]
        head[:] = here[layers * width :]
        _add_product(head, weights.head, np.maximum(total, zero))
        raw[:] = weights.last_bias
        _add_product(raw, weights.last, np.maximum(head, zero))

        pair = bands * size
        for k in range(bands):
            drawn = _drawn(raw[k * size : (k + 1) * size], uniform[step, k], temperature)
            for lower in range(k):
                drawn += raw[pair] * excitation[lower]
                pair += 1
            unit, centre = level[step, k], estimate[step, k]
            value[k], excitation[k] = centre, zero
            if unit > np.float32(SILENCE):
                value[k] = _clipped(centre + unit * drawn, crest * unit)
                excitation[k] = (value[k] - centre) / unit
            out[step, k] = value[k]
    return out
