"""Sampling from a `WaveNet`: a spectrogram in, pieces of waveform out, in bounded memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.inverter.wavenet.loop import Guide, State, Weights, run_steps
from vocoder.inverter.wavenet.network import WaveNet
from vocoder.inverter.wavenet.streaming import initial_estimate, iterate

PIECE_FRAMES = 32  # done at once
INTERVALS = 2**23  # of uniform noise: as fine as float32 is below 1


def sample(
    model: WaveNet, decibels: Tensor, *, seed: int, temperature: float, n_iter: int
) -> Iterator[Tensor]:
    """Yield the waveform of ``(batch, bins, frames)``, float32, on the CPU.

    ``(batch, frames * hop_length)`` in all, from the centre of the first frame on. Every item of a
    batch draws its own noise; ``conf/inverter/wavenet.yaml`` describes the settings.
    """
    spec, n_frames, decibels = model.spec, decibels.shape[2], decibels.detach().cpu()
    hop, per_frame = spec.hop_length, model.steps_per_frame
    # Filters, and the windows of every iteration, mix frames with so many on either side.
    margin = -(-model.bank.reach // hop) + n_iter * -(-spec.n_fft // hop)
    kept, first, given = torch.zeros(len(decibels), model.bank.bands, 0), 0, 0
    for piece in sample_subbands(model, decibels, seed, temperature):
        kept = torch.cat([kept, piece], dim=2)
        known = first + kept.shape[2] // per_frame
        settled = known if known == n_frames else max(known - margin, given)
        waveform = model.bank.join(kept)
        for _ in range(n_iter):
            waveform = iterate(decibels[:, :, first:known], spec, waveform)
        yield waveform[:, (given - first) * hop : (settled - first) * hop]
        begin = max(settled - margin, first)
        kept, first, given = kept[:, :, (begin - first) * per_frame :], begin, settled


def sample_subbands(
    model: WaveNet, decibels: Tensor, seed: int, temperature: float
) -> Iterator[Tensor]:
    """Yield ``(batch, bands, steps)``, `PIECE_FRAMES` frames at most, as the estimate grows."""
    model, (batch, _, n_frames) = copy.deepcopy(model).cpu(), decibels.shape
    hop, context, bands = model.spec.hop_length, model.context_frames, model.bank.bands
    weights = _weights(model)
    noise = [np.random.default_rng([seed, item]) for item in range(batch)]
    shapes = (sum(model.dilations), model.head.out_features), (bands,), (bands,)
    state = State(*(np.zeros((batch, *shape), np.float32) for shape in shapes))
    estimate, first, done = decibels.new_zeros(batch, 0), 0, 0  # it begins at frame `first`
    for piece in initial_estimate(decibels, model.spec, model.initial_iterations):
        estimate = torch.cat([estimate, piece], dim=1)
        known = first + estimate.shape[1] // hop
        ready = known if known == n_frames else known - context
        while done < ready:
            end = min(done + PIECE_FRAMES, ready)
            guide = guide_from(model, decibels, estimate, first, done, end)
            uniform = np.stack([draw(one, guide.estimate.shape[1:]) for one in noise])
            out, begun = np.empty_like(guide.estimate), done * model.steps_per_frame
            run_steps(weights, state, guide, begun, uniform, np.float32(temperature), out)
            yield torch.from_numpy(out).mT.contiguous()
            done = end
        kept = max(done - context, first)
        estimate, first = estimate[:, (kept - first) * hop :], kept


def draw(noise: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Pairs of uniform numbers, ``(*shape, 2)``, float32, never 0 or 1, where quantiles end."""
    drawn = noise.integers(INTERVALS, size=(*shape, 2)).astype(np.float32)
    return (drawn + np.float32(0.5)) / np.float32(INTERVALS)


@torch.inference_mode()
def guide_from(
    model: WaveNet, decibels: Tensor, estimate: Tensor, estimate_begin: int, begin: int, end: int
) -> Guide:
    """What a spectrogram says to the loop of frames ``begin`` to ``end``.

    The same as of all frames at once: as many are read around them as the network sees. The
    estimate, ``(batch, samples)``, begins at the centre of frame ``estimate_begin``.
    """
    first = max(begin - model.context_frames, 0)
    last = min(end + model.context_frames, decibels.shape[2])
    near, hop = decibels[:, :, first:last], model.spec.hop_length
    samples = estimate[:, (first - estimate_begin) * hop : (last - estimate_begin) * hop]
    levels = model.levels(near)
    subbands, seen_estimate = model.see_estimate(levels, model.bank.split(samples))
    frames = slice(begin - first, end - first + 1)
    steps = slice(*((frame - first) * model.steps_per_frame for frame in (begin, end)))
    return Guide(
        condition=_array(model.condition(near)[:, frames]),
        level=_array(levels.mT[:, steps]),
        estimate=_array(subbands.mT[:, steps]),
        seen_estimate=_array(seen_estimate[:, steps]),
    )


def _weights(model: WaveNet) -> Weights:
    if not all(weight.isfinite().all() for weight in model.parameters()):
        raise BadInput(
            "the WaveNet's weights are not finite: the file is damaged, or the training diverged",
            "weights.damaged",
        )
    return Weights(
        first=_matrix(model.first),
        first_bias=_array(model.first.bias),
        gates=np.stack([_matrix(layer) for layer in model.gates]),
        mix=np.stack([_matrix(layer) for layer in model.mixes]),
        mix_bias=np.stack([_array(cast(nn.Linear, layer).bias) for layer in model.mixes]),
        head=_matrix(model.head),
        last=_matrix(model.last),
        last_bias=_array(model.last.bias),
        dilations=np.array(model.dilations, np.int64),
    )


def _matrix(layer: nn.Module) -> np.ndarray:
    return _array(cast(nn.Linear, layer).weight.mT)


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().float().numpy())
