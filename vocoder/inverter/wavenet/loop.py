"""The network step by step, compiled: every layer keeps its past in a ring, nothing is done twice.

The same arithmetic as `vocoder.inverter.wavenet.network.WaveNet.densities`, which says what it
means. Arrays are float32 and C-contiguous; matrices are ``(inputs, outputs)``, so that the inner
loops run over neighbouring outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

# Level below which nothing is drawn: -100 dB, a third of a step of 16 bits.
SILENCE = 1e-5
# Greatest sample, in units of the band's level. Speech stays below 8; whatever a network does,
# the waveform cannot leave the spectrogram further behind than this.
CREST = 12.0
MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 4.0  # of a logistic
MIN_TEMPERATURE = 1e-3  # at which the most likely value is taken, all but exactly

compiled = numba.njit(
    cache=True,
    nogil=True,
    # All but the assumptions that numbers are finite: a diverging network's may not be.
    fastmath={"contract", "reassoc", "arcp", "nsz"},
    error_model="numpy",  # a check of divisions would keep loops from becoming vector code
)


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


class State(NamedTuple):
    """What goes on from one step to the next."""

    rings: np.ndarray  # (sum of dilations, channels): inputs of each layer
    value: np.ndarray  # (bands,): the latest
    excitation: np.ndarray  # (bands,): the latest, in units of the level


class Guide(NamedTuple):
    """What the spectrogram says of the steps to come."""

    condition: np.ndarray  # (frames + 1, (2 * layers + 1) * channels)
    level: np.ndarray  # (steps, bands): `SILENCE` or more
    estimate: np.ndarray  # (steps, bands)
    seen_estimate: np.ndarray  # (steps, channels): what the first layer sees of it


# Lambert's continued fraction (1768), tanh x = x / (1 + x² / (3 + x² / (5 + …))), cut after six
# levels. At 4.5, half of where float32's tanh is 1, it is exact to 1e-8 of the doubled angle.
_T0, _T1, _T2, _T3 = (np.float32(c / 135135) for c in (135135, 17325, 378, 1))
_B0, _B1, _B2, _B3 = (np.float32(c / 135135) for c in (135135, 62370, 3150, 28))
_END, _HALF, _TWO = np.float32(4.5), np.float32(0.5), np.float32(2)


@compiled
def _tanh(x):  # type: ignore[no-untyped-def]
    """By the doubled angle: a rational function, so that loops over it become vector code."""
    half = min(max(_HALF * x, -_END), _END)
    square = half * half
    top = half * (((_T3 * square + _T2) * square + _T1) * square + _T0)
    bottom = ((_B3 * square + _B2) * square + _B1) * square + _B0
    return _TWO * top * bottom / (bottom * bottom + top * top)


@compiled
def _sigmoid(x):  # type: ignore[no-untyped-def]
    return _HALF + _HALF * _tanh(_HALF * x)


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
def run_steps(weights, state, guide, begin, uniform, temperature, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, ``(steps, bands)``, and leave the state ready for the next steps.

    ``begin`` steps were done since the state was new: there the rings stand. ``uniform``,
    ``(steps, bands, 2)``, within 0 to 1, is what is drawn.
    """
    layers, channels, width = weights.mix.shape
    steps, bands = out.shape
    per_frame = steps // (guide.condition.shape[0] - 1)
    size = (weights.last.shape[1] - bands * (bands - 1) // 2) // bands  # of a density
    seen = np.zeros(weights.first.shape[0], np.float32)
    hidden = np.zeros(channels, np.float32)
    total = np.zeros(channels, np.float32)
    head = np.zeros(channels, np.float32)
    squashed = np.zeros(channels, np.float32)
    gated = np.zeros(width, np.float32)
    mixed = np.zeros(width, np.float32)
    raw = np.zeros(weights.last.shape[1], np.float32)
    zero, crest = np.float32(0), np.float32(CREST)
    value, excitation = state.value, state.excitation

    for step in range(steps):
        level, estimate = guide.level[step], guide.estimate[step]
        frame, far = step // per_frame, np.float32(step % per_frame) / np.float32(per_frame)
        this, following = guide.condition[frame], guide.condition[frame + 1]
        here = (np.float32(1) - far) * this + far * following

        for k in range(bands):
            seen[k] = np.arcsinh(excitation[k])
            seen[bands + k] = _clipped(value[k] / level[k], crest)
            seen[2 * bands + k] = estimate[k] / level[k]
        hidden[:] = weights.first_bias + guide.seen_estimate[step]
        _add_product(hidden, weights.first, seen)
        total[:] = zero
        offset = 0
        for layer in range(layers):
            dilation = weights.dilations[layer]
            slot = state.rings[offset + (begin + step) % dilation]
            offset += dilation
            gated[:] = here[layer * width : (layer + 1) * width]
            _add_product(gated, weights.gates[layer, :channels], slot)
            _add_product(gated, weights.gates[layer, channels:], hidden)
            slot[:] = hidden
            for j in range(channels):
                squashed[j] = _tanh(gated[j]) * _sigmoid(gated[channels + j])
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
            value[k], excitation[k] = estimate[k], zero
            if level[k] > np.float32(SILENCE):
                value[k] = _clipped(estimate[k] + level[k] * drawn, crest * level[k])
                excitation[k] = (value[k] - estimate[k]) / level[k]
            out[step, k] = value[k]
