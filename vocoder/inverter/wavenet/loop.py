"""The network step by step, compiled: every layer keeps its past in a ring, nothing is done twice.

The same arithmetic as `vocoder.inverter.wavenet.network.WaveNet.teacher_forced`, which says what it
means. Arrays are float32 and C-contiguous; matrices are ``(inputs, outputs)``, so that the inner
loops run over neighbouring outputs.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numba
import numpy as np

# Level below which nothing is drawn: -100 dB, a third of a step of 16 bits.
SILENCE = 1e-5
# Greatest sample, in units of the band's level. Speech stays below 8; whatever a network does,
# the waveform cannot leave the spectrogram further behind than this.
CREST = 12.0
# Greatest excitation, in units of the level. In 20 s of speech one of 1e5 is beyond 16.
LIMIT = 32.0
MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 4.0  # of a logistic
COLD = 1e-3  # temperature below which the most likely value is taken
# All but the assumptions that numbers are finite: those must not be made of a diverging network.
FAST = {"contract", "reassoc", "arcp", "nsz"}
# Divisions by zero give what IEEE 754 says: a check would keep loops from becoming vector code.
IEEE: Final = "numpy"


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
    """What goes on from one step to the next, of every item of a batch."""

    rings: np.ndarray  # (batch, sum of dilations, channels): inputs of each layer
    value: np.ndarray  # (batch, bands): the latest
    excitation: np.ndarray  # (batch, bands): the latest, in units of the level


class Guide(NamedTuple):
    """What the spectrogram says of the steps to come."""

    condition: np.ndarray  # (batch, frames + 1, (2 * layers + 1) * channels)
    level: np.ndarray  # (batch, steps, bands)
    estimate: np.ndarray  # (batch, steps, bands)
    seen_estimate: np.ndarray  # (batch, steps, channels): what the first layer sees of it


# Lambert's continued fraction (1768), tanh x = x / (1 + x² / (3 + x² / (5 + …))), cut after six
# levels. At 4.5, half of where float32's tanh is 1, it is exact to 1e-8 of the doubled angle.
_END = 4.5
_T0, _T1, _T2, _T3 = (float(np.float32(c / 135135)) for c in (135135, 17325, 378, 1))
_B0, _B1, _B2, _B3 = (float(np.float32(c / 135135)) for c in (135135, 62370, 3150, 28))


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model=IEEE, inline="always")
def _tanh(x):  # type: ignore[no-untyped-def]
    """By the doubled angle: a rational function, so that loops over it become vector code."""
    half = min(max(np.float32(0.5) * x, np.float32(-_END)), np.float32(_END))
    square = half * half
    top = np.float32(_T3) * square + np.float32(_T2)
    top = top * square + np.float32(_T1)
    top = half * (top * square + np.float32(_T0))
    bottom = np.float32(_B3) * square + np.float32(_B2)
    bottom = bottom * square + np.float32(_B1)
    bottom = bottom * square + np.float32(_B0)
    return np.float32(2) * top * bottom / (bottom * bottom + top * top)


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model=IEEE, inline="always")
def _sigmoid(x):  # type: ignore[no-untyped-def]
    return np.float32(0.5) + np.float32(0.5) * _tanh(np.float32(0.5) * x)


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model=IEEE)
def _add_product(out: np.ndarray, matrix: np.ndarray, vector: np.ndarray) -> None:
    """``out += vector @ matrix``."""
    for i in range(matrix.shape[0]):
        for j in range(out.shape[0]):
            out[j] += vector[i] * matrix[i, j]


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model=IEEE, inline="always")
def _interpolate(out, this, following, first, far):  # type: ignore[no-untyped-def]
    """A point of the straight line between two frames, of their channels from ``first`` on."""
    for j in range(out.shape[0]):
        out[j] = (np.float32(1) - far) * this[first + j] + far * following[first + j]


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model=IEEE, inline="always")
def _clipped(x, bound):  # type: ignore[no-untyped-def]
    return min(max(x, -bound), bound)


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model=IEEE)
def _drawn(
    parameters: np.ndarray, uniform: np.ndarray, temperature: np.float32, weights: np.ndarray
) -> Any:  # a float32
    """A value of a mixture of logistics: one number chooses the component, one its quantile."""
    n = parameters.shape[0] // 3
    best = 0
    for k in range(n):
        if parameters[k] > parameters[best]:
            best = k
    if temperature < COLD:
        return parameters[n + best]
    total = np.float32(0)
    for k in range(n):
        weights[k] = np.float32(np.exp((parameters[k] - parameters[best]) / temperature))
        total += weights[k]
    left, chosen = uniform[0] * total, 0
    while chosen < n - 1 and left >= weights[chosen]:
        left -= weights[chosen]
        chosen += 1
    log_scale = max(parameters[2 * n + chosen], np.float32(MIN_LOG_SCALE))
    scale = np.float32(np.exp(min(log_scale, np.float32(MAX_LOG_SCALE)))) * temperature
    logit = np.float32(np.log(uniform[1] / (np.float32(1) - uniform[1])))
    return parameters[n + chosen] + scale * logit


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model=IEEE)
def run_steps(
    weights: Weights,
    state: State,
    guide: Guide,
    begin: int,
    uniform: np.ndarray,
    temperature: np.float32,
    out: np.ndarray,
) -> None:
    """Fill ``out``, ``(batch, steps, bands)``, and leave the state ready for the next steps.

    ``begin`` steps were done since the state was new: there the rings stand. ``uniform``, ``(batch,
    steps, bands, 2)``, within 0 to 1, is what is drawn.
    """
    layers, channels, width = weights.mix.shape
    batch, steps, bands = out.shape
    per_frame = steps // (guide.condition.shape[1] - 1)
    size = (weights.last.shape[1] - bands * (bands - 1) // 2) // bands  # of a density
    seen = np.zeros(weights.first.shape[0], np.float32)
    hidden = np.zeros(channels, np.float32)
    total = np.zeros(channels, np.float32)
    head = np.zeros(channels, np.float32)
    squashed = np.zeros(channels, np.float32)
    gated = np.zeros(width, np.float32)
    mixed = np.zeros(width, np.float32)
    raw = np.zeros(weights.last.shape[1], np.float32)
    mixture = np.zeros(size, np.float32)
    zero, floor, limit = np.float32(0), np.float32(SILENCE), np.float32(LIMIT)

    for item in range(batch):
        value, excitation = state.value[item], state.excitation[item]
        for step in range(steps):
            frame, far = step // per_frame, np.float32(step % per_frame) / np.float32(per_frame)
            this, following = guide.condition[item, frame], guide.condition[item, frame + 1]
            level, estimate = guide.level[item, step], guide.estimate[item, step]

            for k in range(bands):
                unit = max(level[k], floor)
                seen[k] = np.arcsinh(excitation[k])
                seen[bands + k] = _clipped(value[k] / unit, np.float32(CREST))
                seen[2 * bands + k] = estimate[k] / unit
            hidden[:] = weights.first_bias + guide.seen_estimate[item, step]
            _add_product(hidden, weights.first, seen)
            total[:] = zero
            offset = 0
            for layer in range(layers):
                dilation = weights.dilations[layer]
                slot = state.rings[item, offset + (begin + step) % dilation]
                offset += dilation
                _interpolate(gated, this, following, layer * width, far)
                _add_product(gated, weights.gates[layer, :channels], slot)
                _add_product(gated, weights.gates[layer, channels:], hidden)
                slot[:] = hidden
                for j in range(channels):
                    squashed[j] = _tanh(gated[j]) * _sigmoid(gated[channels + j])
                mixed[:] = weights.mix_bias[layer]
                _add_product(mixed, weights.mix[layer], squashed)
                hidden += mixed[:channels]
                total += mixed[channels:]
            _interpolate(head, this, following, layers * width, far)
            _add_product(head, weights.head, np.maximum(total, zero))
            raw[:] = weights.last_bias
            _add_product(raw, weights.last, np.maximum(head, zero))

            pair = bands * size
            for k in range(bands):
                parameters = raw[k * size : (k + 1) * size]
                drawn = _drawn(parameters, uniform[item, step, k], temperature, mixture)
                about = _clipped(drawn, limit)
                for lower in range(k):
                    about += raw[pair] * excitation[lower]
                    pair += 1
                excitation[k] = _clipped(about, limit) if level[k] > floor else zero
            for k in range(bands):
                unit = max(level[k], floor)
                raised = estimate[k] + unit * excitation[k]
                value[k] = out[item, step, k] = _clipped(raised, np.float32(CREST) * unit)
                if level[k] > floor:  # what was cut off was no excitation
                    excitation[k] = (value[k] - estimate[k]) / unit
