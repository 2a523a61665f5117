"""The network step by step, compiled: every layer keeps its past in a ring, nothing is done twice.

The same arithmetic as `vocoder.inverter.wavenet.network.WaveNet.teacher_forced`, which says what it
means. Arrays are float32 and C-contiguous; matrices are ``(inputs, outputs)``, so that the inner
loops run over neighbouring outputs. Vectors of inputs end in zeros up to a multiple of `UNROLLED`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numba
import numpy as np

# Products done at once: a network's widths are multiples of it.
UNROLLED = 8
# Level below which nothing is excited: -100 dB, a third of a step of 16 bits.
SILENCE = 1e-5
# Greatest sample, in units of the band's level. Speech stays below 8; whatever a network does,
# the waveform cannot leave the spectrogram further behind than this.
CREST = 12.0
# Greatest excitation, in units of its scale. In 20 s of speech one of 1e5 is beyond 16.
LIMIT = 32.0
MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 4.0  # of a logistic
# Halvings of the bracket around a quantile: LIMIT * 2 ** -26 is below what float32 tells apart.
HALVINGS = 26
COLD = 1e-3  # temperature below which the most likely value is taken
# All but the assumptions that numbers are finite: those must not be made of a diverging network.
FAST = {"contract", "reassoc", "arcp", "nsz"}
# Divisions by zero give what IEEE 754 says: a check would keep loops from becoming vector code.
IEEE: Final = "numpy"


class Weights(NamedTuple):
    """A network's matrices."""

    first: np.ndarray  # (inputs, channels)
    first_bias: np.ndarray  # (channels,)
    past: np.ndarray  # (layers, channels, 2 * channels)
    now: np.ndarray  # (layers, channels, 2 * channels)
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
    excitation: np.ndarray  # (batch, bands): the latest, in units of its scale


class Guide(NamedTuple):
    """What the spectrogram says of the steps to come."""

    condition: np.ndarray  # (batch, frames + 1, (2 * layers + 1) * channels)
    level: np.ndarray  # (batch, blocks, bands)
    scale: np.ndarray  # (batch, blocks, bands)
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
    """``out += vector @ matrix``; eight rows at once, so that ``out`` is passed over seldom."""
    for i in range(0, matrix.shape[0], UNROLLED):
        a, b, c, d = vector[i], vector[i + 1], vector[i + 2], vector[i + 3]
        e, f, g, h = vector[i + 4], vector[i + 5], vector[i + 6], vector[i + 7]
        for j in range(out.shape[0]):
            out[j] += (
                a * matrix[i, j]
                + b * matrix[i + 1, j]
                + c * matrix[i + 2, j]
                + d * matrix[i + 3, j]
                + e * matrix[i + 4, j]
                + f * matrix[i + 5, j]
                + g * matrix[i + 6, j]
                + h * matrix[i + 7, j]
            )


@numba.njit(cache=True, nogil=True, fastmath=FAST, error_model=IEEE)
def _quantile(
    parameters: np.ndarray, uniform: np.float32, temperature: np.float32, work: np.ndarray
) -> Any:  # a float32
    """The value that ``uniform`` (0 to 1) of a mixture of logistics lie below, by bisection."""
    n = parameters.shape[0] // 3
    best = 0
    for k in range(n):
        if parameters[k] > parameters[best]:
            best = k
    if temperature < COLD:
        return parameters[n + best]
    total = np.float32(0)
    for k in range(n):
        weight = np.float32(np.exp((parameters[k] - parameters[best]) / temperature))
        log_scale = min(
            max(parameters[2 * n + k], np.float32(MIN_LOG_SCALE)), np.float32(MAX_LOG_SCALE)
        )
        work[k] = weight
        work[n + k] = np.float32(1) / (np.float32(np.exp(log_scale)) * temperature)
        total += weight
    low, high = np.float32(-LIMIT), np.float32(LIMIT)
    for _ in range(HALVINGS):
        middle = np.float32(0.5) * (low + high)
        below = np.float32(0)
        for k in range(n):
            below += work[k] * _sigmoid((middle - parameters[n + k]) * work[n + k])
        if below < uniform * total:
            low = middle
        else:
            high = middle
    return np.float32(0.5) * (low + high)


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
    """Emit steps of every item of a batch, and leave the state ready for the next.

    Parameters
    ----------
    begin : int
        Steps done since the state was new: where the rings stand.
    uniform : ndarray
        ``(batch, steps, bands)``, within 0 to 1: what is drawn.
    temperature : float32
        1 draws from the densities, less from sharper ones, 0 takes the most likely value.
    out : ndarray
        ``(batch, steps, bands)``, is filled.
    """
    layers, channels, width = weights.now.shape
    batch, steps, bands = uniform.shape
    per_frame = steps // (guide.condition.shape[1] - 1)
    per_block = steps // guide.scale.shape[1]
    size = (weights.last.shape[1] - bands * (bands - 1) // 2) // bands  # of a density
    seen = np.zeros(weights.first.shape[0], np.float32)
    hidden = np.zeros(channels, np.float32)
    gated = np.zeros(width, np.float32)
    squashed = np.zeros(channels, np.float32)
    mixed = np.zeros(width, np.float32)
    total = np.zeros(channels, np.float32)
    head = np.zeros(channels, np.float32)
    raw = np.zeros(weights.last.shape[1], np.float32)
    work = np.zeros(size, np.float32)
    floor = np.float32(SILENCE)

    for item in range(batch):
        value, excitation = state.value[item], state.excitation[item]
        for step in range(steps):
            block, frame = step // per_block, step // per_frame
            far = np.float32(step % per_frame) / np.float32(per_frame)
            near = np.float32(1) - far
            this, following = guide.condition[item, frame], guide.condition[item, frame + 1]
            estimate = guide.estimate[item, step]

            for k in range(bands):
                level = max(guide.level[item, block, k], floor)
                seen[k] = np.arcsinh(excitation[k])
                relative = value[k] / level
                seen[bands + k] = min(max(relative, np.float32(-CREST)), np.float32(CREST))
                seen[2 * bands + k] = estimate[k] / level

            for j in range(channels):
                hidden[j] = weights.first_bias[j] + guide.seen_estimate[item, step, j]
            _add_product(hidden, weights.first, seen)
            total[:] = 0
            offset = 0
            for layer in range(layers):
                dilation = weights.dilations[layer]
                slot = state.rings[item, offset + (begin + step) % dilation]
                offset += dilation
                first = layer * width
                for j in range(width):
                    gated[j] = near * this[first + j] + far * following[first + j]
                _add_product(gated, weights.past[layer], slot)
                _add_product(gated, weights.now[layer], hidden)
                slot[:] = hidden
                for j in range(channels):
                    squashed[j] = _tanh(gated[j]) * _sigmoid(gated[channels + j])
                mixed[:] = weights.mix_bias[layer]
                _add_product(mixed, weights.mix[layer], squashed)
                for j in range(channels):
                    hidden[j] += mixed[j]
                for j in range(channels):
                    total[j] += mixed[channels + j]

            first = layers * width
            for j in range(channels):
                total[j] = max(total[j], np.float32(0))
                head[j] = near * this[first + j] + far * following[first + j]
            _add_product(head, weights.head, total)
            for j in range(channels):
                head[j] = max(head[j], np.float32(0))
            raw[:] = weights.last_bias
            _add_product(raw, weights.last, head)

            pair = bands * size
            for k in range(bands):
                parameters = raw[k * size : (k + 1) * size]
                about = _quantile(parameters, uniform[item, step, k], temperature, work)
                about = min(max(about, np.float32(-LIMIT)), np.float32(LIMIT))
                for lower in range(k):
                    about += raw[pair] * excitation[lower]
                    pair += 1
                about = min(max(about, np.float32(-LIMIT)), np.float32(LIMIT))
                scale, level = guide.scale[item, block, k], guide.level[item, block, k]
                if not scale > floor:  # the spectrogram is silent here
                    about, scale = np.float32(0), floor
                excitation[k] = about
                bound = np.float32(CREST) * max(level, floor)
                value[k] = min(max(estimate[k] + scale * about, -bound), bound)
                out[item, step, k] = value[k]
            for k in range(bands):  # what was cut off was no excitation
                scale = guide.scale[item, block, k]
                if scale > floor and estimate[k] + scale * excitation[k] != value[k]:
                    excitation[k] = (value[k] - estimate[k]) / scale
