"""WaveNet: the next samples from those before, the spectrogram and an initial estimate."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from vocoder.decibels import to_linear
from vocoder.errors import BadInput
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.inverter.wavenet.filter_bank import FilterBank
from vocoder.inverter.wavenet.loop import CREST, LIMIT, MAX_LOG_SCALE, MIN_LOG_SCALE, SILENCE
from vocoder.inverter.wavenet.streaming import initial_estimate, rephased
from vocoder.model.features import features
from vocoder.spec import SpectrogramSpec, window_samples
from vocoder.spectrogram import mel_filters

# Residual blocks over frames, and frames on either side that they and the layer before them see.
FRAME_BLOCKS = 2
FRAMES_CONTEXT = 1 + FRAME_BLOCKS
# Of the convolutions over an estimate; and the steps on either side that they see together: 22 ms
# of four bands, about half of a window of the spectrogram.
ESTIMATE_TAPS, ESTIMATE_DILATIONS = 9, (1, 5, 25)
ESTIMATE_CONTEXT = ESTIMATE_TAPS // 2 * sum(ESTIMATE_DILATIONS)
MINIMUM = {"initial_iterations": 0, "bands": 2}  # 1 of all other settings


class TeacherForced(NamedTuple):
    """Densities of all steps, each given the true steps before it.

    All but ``parameters``, ``(batch, bands, steps, 3 * components)``, and ``mixing``, ``(batch,
    steps, bands, bands)``, are ``(batch, bands, steps)``.
    """

    parameters: Tensor  # of mixtures of logistics
    mixing: Tensor  # what the excitation of lower bands adds to a band's in the same step
    estimate: Tensor
    level: Tensor  # `SILENCE` or more
    audible: Tensor  # whether the spectrogram asks for anything
    excitation: Tensor  # what the true signal is off the estimate, in units of ``level``

    def from_lower_bands(self, excitation: Tensor) -> Tensor:
        """What ``(batch, bands, steps)`` of excitation shift each other's densities by."""
        return torch.einsum("bskl,bls->bks", self.mixing, excitation)


class WaveNet(nn.Module):
    """A dilated causal gated residual stack over the bands of a signal.

    Van den Oord et al., "WaveNet: a generative model for raw audio", 2016. Every step emits a
    sample of each band. The network says how it lies about that of an initial estimate, which
    Griffin-Lim makes of the spectrogram alone, in units of the level that the spectrogram gives the
    band; as a mixture of logistic densities (Salimans et al., "PixelCNN++", ICLR 2017).

    ``conf/model/wavenet.yaml`` describes its sizes.

    Attributes
    ----------
    context_frames : int
        Frames on either side of its own, and of the estimate, that a step is conditioned on.
    receptive_steps : int
        Steps before it that a step is conditioned on through the stack.
    """

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
        for name, value in self.settings.items():
            if value < (minimum := MINIMUM.get(name, 1)):
                message = f"model.{name} is {value}; expected at least {minimum}"
                raise BadInput(message, f"model.{name}.range")
        if spec.hop_length % bands:
            raise BadInput(
                f"model.bands is {bands}, but a hop has {spec.hop_length} samples, no multiple of "
                "it; choose a smaller power of 2",
                "model.bands.conflict",
            )
        self.spec, self.initial_iterations, self.components = spec, initial_iterations, components
        self.bank = FilterBank(bands)
        self.steps_per_frame = spec.hop_length // bands
        self.dilations = [2 ** (layer % cycle) for layer in range(layers)]
        self.receptive_steps = 1 + sum(self.dilations)
        context_samples = self.bank.reach + bands * ESTIMATE_CONTEXT
        # One more: steps lie between their frame and the next.
        self.context_frames = 1 + max(FRAMES_CONTEXT, math.ceil(context_samples / spec.hop_length))
        # What the frames add to the gates of each layer, and to the head.
        self.condition_sizes = [2 * channels] * layers + [channels]

        # Over frames, of which there are few: it costs next to nothing.
        self.frame_net = nn.Sequential(
            nn.Conv1d(spec.bins, condition_channels, 3, padding=1),
            *(
                Residual(
                    nn.Conv1d(condition_channels, condition_channels, 3, padding=1),
                    nn.GELU(),
                    nn.Conv1d(condition_channels, condition_channels, 1),
                )
                for _ in range(FRAME_BLOCKS)
            ),
            nn.GELU(),
        )
        self.frame_last = weight_norm(nn.Linear(condition_channels, sum(self.condition_sizes)))
        # Of each band the excitation and the value of the step before, and the estimate.
        self.first = weight_norm(nn.Linear(3 * bands, channels))
        # Over the steps of the estimate, and not causal: it sees what comes, too.
        sizes = zip((bands, channels, channels), ESTIMATE_DILATIONS, strict=True)
        first, *others = (
            nn.Conv1d(inputs, channels, ESTIMATE_TAPS, padding="same", dilation=dilation)
            for inputs, dilation in sizes
        )
        self.estimate_net = nn.Sequential(
            first, *map(Residual, others), nn.GELU(), nn.Conv1d(channels, channels, 1)
        )
        self.gates = nn.ModuleList(
            weight_norm(nn.Linear(2 * channels, 2 * channels, bias=False)) for _ in self.dilations
        )
        self.mixes = nn.ModuleList(
            weight_norm(nn.Linear(channels, 2 * channels)) for _ in self.dilations
        )
        self.head = weight_norm(nn.Linear(channels, channels, bias=False))
        self.pairs = torch.tril_indices(bands, bands, -1)  # (band, lower band) of each weight
        self.last = nn.Linear(channels, bands * 3 * components + self.pairs.shape[1])
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, decibels: Tensor, samples: Tensor) -> Tensor:
        """Log-likelihood of recordings once they have the estimate's phases (`rephased`).

        Of ``(batch, bins, frames)`` and ``(batch, frames * hop_length)`` samples from the centre of
        the first frame on: natural logarithms of densities, ``(batch, bands, steps)``, not a number
        where the spectrogram is silent and nothing is drawn.
        """
        # Signal and estimate differ by less than half precision tells apart.
        with torch.autocast(decibels.device.type, enabled=False):
            estimate = self.estimate(decibels)
            samples = rephased(samples, estimate, self.spec)
            forced = self.teacher_forced(decibels, *map(self.bank.split, (samples, estimate)))
            about = forced.excitation - forced.from_lower_bands(forced.excitation)
            density = log_density(forced.parameters, about) - forced.level.log()
            return torch.where(forced.audible, density, torch.nan)

    def loss(self, decibels: Tensor, samples: Tensor, edge_frames: int = 0) -> Tensor:
        """Mean negative log-likelihood, nats a sample, of every example by itself and then of all.

        Densities, so negative values are possible: a uniform one over a step of 16 bits has -10.4.
        ``edge_frames`` at either end don't count; a silent example has 0. See `forward`.
        """
        likelihood: Tensor = self(decibels, samples)
        edge = edge_frames * self.steps_per_frame
        likelihood = likelihood[:, :, edge : likelihood.shape[2] - edge]
        counted = ~likelihood.isnan()
        totals = likelihood.where(counted, 0).sum((1, 2))
        return -(totals / counted.sum((1, 2)).clamp(min=1)).mean()

    def teacher_forced(self, decibels: Tensor, subbands: Tensor, estimate: Tensor) -> TeacherForced:
        """All steps at once, each given the true ones before it.

        Both signals, the true one and the estimate, are ``(batch, bands, steps)``.
        """
        levels = self.levels(decibels)
        estimate, seen_estimate = self.see_estimate(levels, estimate)
        audible, level = levels > SILENCE, levels.clamp(min=SILENCE)
        excitation = ((subbands - estimate) / level).where(audible, 0)
        # At its beginning a step knows its level, its estimate, and the values before.
        value, excited = (functional.pad(x, (1, -1)) for x in (subbands, excitation.asinh()))
        value = (value / level).clamp(-CREST, CREST)
        seen = torch.cat([excited, value, estimate / level], dim=1).mT
        raw = self._stack(seen, seen_estimate, self.condition(decibels))
        bands = self.bank.bands
        size = 3 * self.components
        parameters, weights = torch.split(raw, [bands * size, self.pairs.shape[1]], dim=2)
        mixing = weights.new_zeros(*weights.shape[:2], bands, bands)
        mixing[:, :, self.pairs[0], self.pairs[1]] = weights
        parameters = parameters.reshape(*raw.shape[:2], bands, size).transpose(1, 2)
        excitation = excitation.clamp(-LIMIT, LIMIT)
        return TeacherForced(parameters, mixing, estimate, level, audible, excitation)

    @torch.no_grad()
    def levels(self, decibels: Tensor) -> Tensor:
        """Root mean squares of the bands by Parseval's theorem, ``(batch, bands, steps)``."""
        magnitude = mel_to_linear(to_linear(decibels, self.spec), self.spec, n_iter=0).double()
        power = magnitude[:, _nearest_shown(self.spec).to(decibels.device)].square()
        energies = power.mT @ _band_energies(self.spec, self.bank.bands).to(decibels.device)
        steps = energies.new_zeros(
            len(energies), decibels.shape[2] * self.steps_per_frame, self.bank.bands
        )
        at_steps = _add_interpolated(steps, torch.cat([energies, energies[:, -1:]], dim=1))
        return at_steps.clamp(min=0).sqrt().float().mT

    def see_estimate(self, levels: Tensor, estimate: Tensor) -> tuple[Tensor, Tensor]:
        """An estimate no louder than `levels` allow, and what the first layer sees of it.

        ``(batch, bands, steps)`` and ``(batch, steps, channels)``.
        """
        estimate = estimate.clamp(-CREST * levels, CREST * levels)
        return estimate, self.estimate_net(estimate / levels.clamp(min=SILENCE)).mT

    @torch.no_grad()
    def estimate(self, decibels: Tensor) -> Tensor:
        """The initial estimate, ``(batch, frames * hop_length)``."""
        pieces = initial_estimate(decibels, self.spec, self.initial_iterations)
        return torch.cat(list(pieces), dim=1).to(decibels.device)

    def condition(self, decibels: Tensor) -> Tensor:
        """What frames add to the stack, ``(batch, frames + 1, …)``; the last goes on as it is."""
        projected: Tensor = self.frame_last(self.frame_net(features(decibels, self.spec)).mT)
        return torch.cat([projected, projected[:, -1:]], dim=1)

    def _stack(self, seen: Tensor, seen_estimate: Tensor, condition: Tensor) -> Tensor:
        """``(batch, steps, inputs)`` to the parameters of densities, ``(batch, steps, …)``."""
        hidden: Tensor = self.first(seen) + seen_estimate
        total = torch.zeros_like(hidden)
        *conditions, last_condition = torch.split(condition, self.condition_sizes, dim=2)
        for dilation, gates, mix, given in zip(
            self.dilations, self.gates, self.mixes, conditions, strict=True
        ):
            past = functional.pad(hidden, (0, 0, dilation, 0))[:, : hidden.shape[1]]
            gated = _add_interpolated(gates(torch.cat([past, hidden], dim=2)), given)
            signal, gate = gated.chunk(2, dim=2)
            mixed = mix(torch.tanh(signal) * torch.sigmoid(gate))
            residual, skip = mixed.chunk(2, dim=2)
            hidden, total = hidden + residual, total + skip
        head = _add_interpolated(self.head(functional.relu(total)), last_condition)
        raw: Tensor = self.last(functional.relu(head))
        return raw


class Residual(nn.Sequential):
    """Layers whose output is added to their input; they see it behind a GELU."""

    def forward(self, hidden: Tensor) -> Tensor:
        added: Tensor = super().forward(functional.gelu(hidden))  # type: ignore[no-untyped-call]
        return hidden + added


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


def _add_interpolated(at_steps: Tensor, at_frames: Tensor) -> Tensor:
    """Add straight lines between frames, ``(batch, frames + 1, channels)``, to their steps.

    The lines come after every linear map of the frames, so that these are done once a frame; as a
    product of matrices they are one pass over the memory instead of three.
    """
    around = torch.stack([at_frames[:, :-1], at_frames[:, 1:]], dim=2).flatten(0, 1)
    of_frames = at_steps.reshape(around.shape[0], -1, at_steps.shape[2])
    n_steps = of_frames.shape[1]
    later = torch.arange(n_steps, device=at_steps.device, dtype=at_steps.dtype) / n_steps
    weights = torch.stack([1 - later, later], dim=1).expand(around.shape[0], -1, -1)
    return torch.baddbmm(of_frames, weights, around).view_as(at_steps)


@lru_cache(maxsize=8)
def _band_energies(spec: SpectrogramSpec, bands: int) -> Tensor:
    """From STFT powers to the bands' mean squares, ``(n_freqs, bands)``, float64."""
    k = np.arange(spec.n_freqs)
    both_sides = np.where((k == 0) | (k * 2 == spec.n_fft), 1, 2)
    density = both_sides / spec.n_fft / np.square(window_samples(spec)).sum()
    return torch.from_numpy((FilterBank(bands).response(spec.n_fft) * density).T.copy())


@lru_cache(maxsize=8)
def _nearest_shown(spec: SpectrogramSpec) -> Tensor:
    """For each STFT bin the nearest that the bands show: beyond their edges the edge goes on."""
    first, last = 0, spec.bins - 1
    if spec.kind == "mel":
        peaks = mel_filters(spec, torch.device("cpu")).argmax(dim=1)
        first, last = int(peaks.min()), int(peaks.max())
    return torch.arange(spec.n_freqs).clamp(first, last)
