"""Sampling from a trained WaveNet: a spectrogram in, pieces of waveform out, in bounded memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vocoder.cpu import stepwise_threads
from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter
from vocoder.inverter.magnitude import Target
from vocoder.inverter.wavenet.estimate import initial_estimate, iterate
from vocoder.inverter.wavenet.loop import MIN_TEMPERATURE, Guide, State, Weights, run_steps
from vocoder.inverter.wavenet.network import WaveNet
from vocoder.model.weights import load_network, require_kind
from vocoder.spectrogram import Spectrogram

PIECE_FRAMES = 32  # done at once
INTERVALS = 2**23  # of uniform noise: as fine as float32 is below 1


@dataclass(frozen=True, kw_only=True)
class WaveNetInverter(Inverter):
    """Samples from a `vocoder.inverter.wavenet.network.WaveNet`; on one core of the CPU.

    ``conf/inverter/wavenet.yaml`` describes the settings.
    """

    weights: str
    temperature: float
    n_iter: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("temperature", "n_iter", "seed"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                message = f"inverter.{name} is {value}; expected at least 0"
                raise BadInput(message, f"inverter.{name}.range")
        require_kind(self.weights, WaveNet)

    @stepwise_threads
    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        """Yield the waveform piece by piece; see `Inverter.stream`."""
        network = load_network(self.weights, WaveNet, spectrogram.spec, torch.device("cpu"))
        left = spectrogram.length
        for piece in sample(
            network,
            spectrogram.decibels,
            seed=self.seed,
            temperature=self.temperature,
            n_iter=self.n_iter,
        ):
            yield piece[:, :left]
            left -= min(left, piece.shape[1])


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
        target = Target(Spectrogram(decibels[:, :, first:known], spec))
        for _ in range(n_iter):
            waveform = iterate(waveform, spec, target.nearest)
        yield waveform[:, (given - first) * hop : (settled - first) * hop]
        begin = max(settled - margin, first)
        kept, first, given = kept[:, :, (begin - first) * per_frame :], begin, settled


@torch.no_grad()
def sample_subbands(
    model: WaveNet, decibels: Tensor, seed: int, temperature: float
) -> Iterator[Tensor]:
    """Yield ``(batch, bands, steps)`` as the estimate grows, `PIECE_FRAMES` at most.

    The same as of all frames at once: as many are read on either side as the network sees.
    """
    model, (batch, _, n_frames) = copy.deepcopy(model).cpu(), decibels.shape
    hop, context, bands = model.spec.hop_length, model.context_frames, model.bank.bands
    per_frame, weights = model.steps_per_frame, _weights(model)
    warm = np.float32(max(temperature, MIN_TEMPERATURE))
    noise = [np.random.default_rng([seed, item]) for item in range(batch)]
    shapes = (sum(model.dilations), model.last.in_features), (bands,), (bands,)
    states = [State(*(np.zeros(shape, np.float32) for shape in shapes)) for _ in noise]
    estimate, first, done = decibels.new_zeros(batch, 0), 0, 0  # it begins at frame `first`
    for piece in initial_estimate(decibels, model.spec, model.initial_iterations):
        estimate = torch.cat([estimate, piece], dim=1)
        known = first + estimate.shape[1] // hop
        ready = known if known == n_frames else known - context
        while done < ready:
            end = min(done + PIECE_FRAMES, ready)
            left, right = max(done - context, 0), min(end + context, n_frames)
            around = model.bank.split(estimate[:, (left - first) * hop : (right - first) * hop])
            condition, *guide = model.guide(decibels[:, :, left:right], around)
            steps = slice((done - left) * per_frame, (end - left) * per_frame)
            here = condition[:, done - left : end - left + 1]
            guide = [here, *(each[:, steps] for each in guide)]
            out = np.empty((batch, (end - done) * per_frame, bands), np.float32)
            for item, state in enumerate(states):
                given = Guide(*(_array(each[item]) for each in guide))
                uniform = draw(noise[item], given.level.shape)
                run_steps(weights, state, given, done * per_frame, uniform, warm, out[item])
            yield torch.from_numpy(out).mT.contiguous()
            done = end
        kept = max(done - context, first)
        estimate, first = estimate[:, (kept - first) * hop :], kept


def draw(noise: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Pairs of uniform numbers, ``(*shape, 2)``, float32, never 0 or 1, where quantiles end."""
    drawn = noise.integers(INTERVALS, size=(*shape, 2)).astype(np.float32)
    return (drawn + np.float32(0.5)) / np.float32(INTERVALS)


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
