"""Sampling from a `WaveNet`: a spectrogram in, pieces of waveform out, in bounded memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vocoder.errors import BadInput
from vocoder.inverter.wavenet.loop import UNROLLED, Guide, State, Weights, run_steps
from vocoder.inverter.wavenet.network import BLOCKS_PER_FRAME, WaveNet
from vocoder.inverter.wavenet.streaming import PIECE_FRAMES, initial_estimate, iterate

INTERVALS = 2**23  # of uniform noise: as fine as float32 is below 1


class Sampler:
    """A network's weights as the compiled loop reads them; the network itself is left as it is."""

    def __init__(self, model: WaveNet) -> None:
        for name, weight in model.named_parameters():
            if not weight.isfinite().all():
                raise BadInput(
                    f"the WaveNet's {name} holds decibels that are not finite; expected finite "
                    "weights: the file is damaged, or the training diverged",
                    "weights.damaged",
                )
        self.model = copy.deepcopy(model).cpu().eval()
        self._weights = _weights(self.model)

    def __call__(
        self, decibels: Tensor, *, seed: int, temperature: float, n_iter: int
    ) -> Iterator[Tensor]:
        """Yield the waveform of ``(batch, bins, frames)``, float32, on the CPU.

        ``(batch, frames * hop_length)`` in all, from the centre of the first frame on.

        Parameters
        ----------
        seed : int
            Of the noise; every item of a batch draws its own.
        temperature : float
            1 draws from the network's densities, less from sharper ones, 0 takes the most likely.
        n_iter : int
            Griffin-Lim iterations that the network's waveform goes through.
        """
        decibels = decibels.detach().cpu()
        waveform = self.model.bank.join(self.subbands(decibels, seed, temperature))
        for _ in range(n_iter):
            waveform = iterate(decibels, self.model.spec, waveform)
        return waveform

    def subbands(self, decibels: Tensor, seed: int, temperature: float) -> Iterator[Tensor]:
        """Yield ``(batch, bands, steps)``, `PIECE_FRAMES` frames at most, as the estimate grows."""
        model, (batch, _, n_frames) = self.model, decibels.shape
        hop, context, bands = model.spec.hop_length, model.context_frames, model.bank.bands
        noise = [np.random.default_rng([seed, item]) for item in range(batch)]
        ring_shape = (sum(model.dilations), self._weights.first.shape[1])
        state = State(
            *(np.zeros((batch, *shape), np.float32) for shape in (ring_shape, (bands,), (bands,)))
        )
        estimate, first, done = decibels.new_zeros(batch, 0), 0, 0  # it begins at frame `first`
        for piece in initial_estimate(decibels, model.spec, model.initial_iterations):
            estimate = torch.cat([estimate, piece], dim=1)
            known = first + estimate.shape[1] // hop
            ready = known if known == n_frames else known - context
            while done < ready:
                end = min(done + PIECE_FRAMES, ready)
                guide = guide_from(model, decibels, estimate, first, done, end)
                uniform = np.stack([draw(one, guide.estimate.shape[1:]) for one in noise])
                out = np.empty_like(uniform)
                run_steps(
                    self._weights,
                    state,
                    guide,
                    done * model.steps_per_frame,
                    uniform,
                    np.float32(temperature),
                    out,
                )
                yield torch.from_numpy(out).mT.contiguous()
                done = end
            kept = max(done - context, first)
            estimate, first = estimate[:, (kept - first) * hop :], kept


def draw(noise: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform noise within 0 to 1, float32, never as far as these, whose quantiles are infinite."""
    drawn = noise.integers(INTERVALS, size=shape).astype(np.float32)
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
    levels, scales = model.levels(near)
    subbands, seen_estimate = model.see_estimate(levels, model.bank.split(samples))

    def wanted(tensor: Tensor, per_frame: int, more: int = 0) -> np.ndarray:
        return _array(tensor[:, (begin - first) * per_frame : (end - first) * per_frame + more])

    return Guide(
        condition=wanted(model.condition(near), 1, more=1),
        level=wanted(levels, BLOCKS_PER_FRAME),
        scale=wanted(scales, BLOCKS_PER_FRAME),
        estimate=wanted(subbands.mT, model.steps_per_frame),
        seen_estimate=wanted(seen_estimate, model.steps_per_frame),
    )


def _weights(model: WaveNet) -> Weights:
    channels = model.first.out_features
    first = _matrix(model.first)
    gates = np.stack([_matrix(layer) for layer in model.gates])
    return Weights(
        first=np.pad(first, ((0, -len(first) % UNROLLED), (0, 0))),
        first_bias=_array(model.first.bias),
        past=np.ascontiguousarray(gates[:, :channels]),
        now=np.ascontiguousarray(gates[:, channels:]),
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
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())
