"""The network step by step, compiled: every layer keeps its past in a ring, nothing is done twice.

The same arithmetic as `vocoder.model.wavenet.network.WaveNet.teacher_forced` and `Forced.draw`,
which say what it means. Arrays are float32 and C-contiguous; matrices are ``(inputs, outputs)``,
so that the inner loops run over neighbouring outputs. Vectors of inputs end in zeros up to a
multiple of `UNROLLED`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numba
import numpy as np

from vocoder.model.wavenet.output import (
    COLD,
    GREATEST_LOG_SCALE,
    HALVINGS,
    LEAST_LOG_SCALE,
    LIMIT,
    Logistics,
)
from vocoder.model.wavenet.prediction import CREST, SILENCE

# Products done at once: a network's widths are multiples of it.
UNROLLED = 8
LOGISTICS = Logistics.kind
# All but the assumptions that numbers are finite: those must not be made of a diverging network.
FAST = {"contract", "reassoc", "arcp", "nsz"}
# Divisions by zero give what IEEE 754 says: a check would keep loops from becoming vector code.
IEEE: Final = "numpy"


class Weights(NamedTuple):
    """A network's matrices and shapes."""

    first: np.ndarray  # (inputs, residual)
    first_bias: np.ndarray  # (residual,)
    past: np.ndarray  # (layers, residual, 2 * gate)
    now: np.ndarray  # (layers, residual, 2 * gate)
    mix: np.ndarray  # (layers, gate, residual + skip)
    mix_bias: np.ndarray  # (layers, residual + skip)
    head: np.ndarray  # (skip, skip)
    last: np.ndarray  # (skip, bands * size + pairs)
    last_bias: np.ndarray  # (bands * size + pairs,)
    near: np.ndarray  # (steps_per_frame,): weight of a step's own frame
    far: np.ndarray  # (steps_per_frame,): and of the next
    dilations: np.ndarray  # (layers,) int64
    edges: np.ndarray  # (classes + 1,), or empty
    kind: int  # of output
    size: int  # parameters of one density


class State(NamedTuple):
    """What goes on from one step to the next, of every item of a batch."""

    rings: np.ndarray  # (batch, sum of dilations, residual): inputs of each layer
    # The latest differences from the draft, twice, so that they adjoin: (batch, bands, 2 * order).
    history: np.ndarray
    value: np.ndarray  # (batch, bands): the latest
    excitation: np.ndarray  # (batch, bands): the latest, in units of its scale


class Guide(NamedTuple):
    """What the spectrogram says of the steps to come."""

    condition: np.ndarray  # (batch, frames + 1, layers * 2 * gate + skip)
    coefficients: np.ndarray  # (batch, blocks, bands, order): the last belongs to the step before
    scale: np.ndarray  # (batch, blocks, bands)
    level: np.ndarray  # (batch, blocks, bands)
    draft: np.ndarray  # (batch, steps, bands)
    told: np.ndarray  # (batch, steps, residual): what the first layer is told of the draft


def _lambert(depth: int) -> tuple[list[float], list[float]]:
    """Lambert's continued fraction (1768), ``tanh x = x / (1 + x² / (3 + x² / (5 + …)))``, cut.

    Coefficients of powers of x² in the numerator (over x) and the denominator, scaled to 1.
    """
    top, bottom = np.polynomial.Polynomial([1.0]), np.polynomial.Polynomial([2.0 * depth + 1])
    square = np.polynomial.Polynomial([0.0, 1.0])
    for k in range(depth - 1, -1, -1):
        top, bottom = bottom, (2 * k + 1) * bottom + square * top
    # x / (bottom / top): the last quotient is the denominator of tanh x / x.
    scale = bottom.coef[0]
    return list(top.coef / scale), list(bottom.coef / scale)


# At 4.5, half of where float32's tanh is 1, seven levels are exact to 1e-8 of the doubled angle.
_DEPTH, _END = 6, 4.5
_TOP, _BOTTOM = (np.array(c, np.float32) for c in _lambert(_DEPTH))
_T0, _T1, _T2, _T3 = (float(c) for c in _TOP)
_B0, _B1, _B2, _B3 = (float(c) for c in _BOTTOM)


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
def _logistics_quantile(
    parameters: np.ndarray, uniform: np.float32, temperature: np.float32, work: np.ndarray
) -> Any:  # a float32
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
            max(parameters[2 * n + k], np.float32(LEAST_LOG_SCALE)), np.float32(GREATEST_LOG_SCALE)
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
def _mulaw_quantile(
    parameters: np.ndarray,
    uniform: np.float32,
    temperature: np.float32,
    edges: np.ndarray,
    work: np.ndarray,
) -> Any:  # a float32
    n = parameters.shape[0]
    best, greatest = 0, np.float32(-np.inf)
    for k in range(n):
        # Sharpened as a density: what a class holds, over its width.
        work[k] = parameters[k] - np.float32(np.log(edges[k + 1] - edges[k]))
        if work[k] > greatest:
            best, greatest = k, work[k]
    if temperature < COLD:
        return np.float32(0.5) * (edges[best] + edges[best + 1])
    total = 0.0
    for k in range(n):
        sharp = np.exp((work[k] - greatest) / temperature) * (edges[k + 1] - edges[k])
        work[k] = np.float32(sharp)
        total += sharp
    wanted, upto, k = uniform * total, 0.0, 0
    while k < n - 1 and upto + work[k] < wanted:
        upto += work[k]
        k += 1
    inside = min(max((wanted - upto) / max(work[k], 1e-30), 0.0), 1.0)
    return np.float32(edges[k] + (edges[k + 1] - edges[k]) * inside)


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
    weights, state, guide
        `State` is changed.
    begin : int
        Steps done since the state was new: where the rings stand.
    uniform : ndarray
        ``(batch, steps, bands)``, within 0 to 1: what is drawn.
    temperature : float32
    out : ndarray
        ``(batch, steps, bands)``, is filled.
    """
    layers, residual, width = weights.now.shape
    gate = width // 2
    skip = weights.head.shape[0]
    batch, steps, bands = uniform.shape
    order = guide.coefficients.shape[3]
    per_frame = weights.near.shape[0]
    per_block = steps // guide.scale.shape[1]
    size, densities = weights.size, bands * weights.size
    seen = np.zeros(weights.first.shape[0], np.float32)
    hidden = np.zeros(residual, np.float32)
    gated = np.zeros(width, np.float32)
    squashed = np.zeros(gate, np.float32)
    mixed = np.zeros(residual + skip, np.float32)
    total = np.zeros(skip, np.float32)
    head = np.zeros(skip, np.float32)
    raw = np.zeros(weights.last.shape[1], np.float32)
    work = np.zeros(size, np.float32)
    predicted = np.zeros(bands, np.float32)
    floor = np.float32(SILENCE)

    for item in range(batch):
        value, excitation = state.value[item], state.excitation[item]
        history = state.history[item]
        for step in range(steps):
            block, frame, phase = step // per_block, step // per_frame, step % per_frame
            near, far = weights.near[phase], weights.far[phase]
            this, following = guide.condition[item, frame], guide.condition[item, frame + 1]
            ring_at = (begin + step) % order if order else 0

            for k in range(bands):
                level = guide.level[item, block, k]
                bound = np.float32(CREST) * level
                off = np.float32(0)
                for i in range(order):
                    off += guide.coefficients[item, block, k, i] * history[k, ring_at + i]
                predicted[k] = guide.draft[item, step, k] + min(max(off, -bound), bound)
                level = max(level, floor)
                seen[k] = np.arcsinh(excitation[k])
                relative = value[k] / level
                seen[bands + k] = min(max(relative, np.float32(-CREST)), np.float32(CREST))
                seen[2 * bands + k] = predicted[k] / level

            for j in range(residual):
                hidden[j] = weights.first_bias[j] + guide.told[item, step, j]
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
                for j in range(gate):
                    squashed[j] = _tanh(gated[j]) * _sigmoid(gated[gate + j])
                mixed[:] = weights.mix_bias[layer]
                _add_product(mixed, weights.mix[layer], squashed)
                for j in range(residual):
                    hidden[j] += mixed[j]
                for j in range(skip):
                    total[j] += mixed[residual + j]

            first = layers * width
            for j in range(skip):
                total[j] = max(total[j], np.float32(0))
                head[j] = near * this[first + j] + far * following[first + j]
            _add_product(head, weights.head, total)
            for j in range(skip):
                head[j] = max(head[j], np.float32(0))
            raw[:] = weights.last_bias
            _add_product(raw, weights.last, head)

            pair = densities
            for k in range(bands):
                parameters = raw[k * size : (k + 1) * size]
                drawn = uniform[item, step, k]
                if weights.kind == LOGISTICS:
                    about = _logistics_quantile(parameters, drawn, temperature, work)
                else:
                    about = _mulaw_quantile(parameters, drawn, temperature, weights.edges, work)
                about = min(max(about, np.float32(-LIMIT)), np.float32(LIMIT))
                for lower in range(k):
                    about += raw[pair] * excitation[lower]
                    pair += 1
                scale, level = guide.scale[item, block, k], guide.level[item, block, k]
                about = min(max(about, np.float32(-LIMIT)), np.float32(LIMIT))
                if not scale > floor:  # the picture is silent here
                    about, scale = np.float32(0), floor
                excitation[k] = about
                bound = np.float32(CREST) * max(level, floor)
                value[k] = min(max(predicted[k] + scale * about, -bound), bound)
                out[item, step, k] = value[k]
                if order:
                    off = value[k] - guide.draft[item, step, k]
                    history[k, ring_at] = off
                    history[k, ring_at + order] = off
            for k in range(bands):  # what was cut off was no excitation
                scale = guide.scale[item, block, k]
                if scale > floor and predicted[k] + scale * excitation[k] != value[k]:
                    excitation[k] = (value[k] - predicted[k]) / scale
