"""WaveNet: the next samples from those before, the spectrogram and an initial estimate.

Sample 0 lies at the centre of the first frame, and a frame stands for the ``hop_length`` samples
from its centre on. Waveforms are ``(batch, frames * hop_length)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from vocoder.decibels import to_linear
from vocoder.errors import expect
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.inverter.projection import impose_magnitude, magnitudes
from vocoder.inverter.retrieval import min_block_frames
from vocoder.inverter.wavenet.filter_bank import FilterBank
from vocoder.model.features import features
from vocoder.model.generator import require_sizes
from vocoder.spec import SpectrogramSpec, window_samples
from vocoder.spectrogram import Spectrogram, istft_to_padded, mel_filters, stft_of_padded

# Level below which nothing is drawn: -100 dB, a third of a step of 16 bits.
SILENCE = 1e-5
# Greatest sample, in units of the band's level. Speech stays below 8; whatever a network does,
# the waveform cannot leave the spectrogram further behind than this.
CREST = 12.0
MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 4.0  # of a logistic
# Residual blocks over frames, and frames on either side that they and the layer before them see.
FRAME_BLOCKS = 2
FRAMES_CONTEXT = 1 + FRAME_BLOCKS
# Of the convolutions over an estimate; and the steps on either side that they see together: 22 ms
# of four bands, about half of a window of the spectrogram.
ESTIMATE_TAPS, ESTIMATE_DILATIONS = 9, (1, 5, 25)
ESTIMATE_CONTEXT = ESTIMATE_TAPS // 2 * sum(ESTIMATE_DILATIONS)
# Griffin-Lim iterations that give recordings an estimate's phases: with 16, ESTOI .97 to .98
# against the recordings themselves, .94 of the estimate before any (eight utterances).
REPHASING_STEPS = 16


class Densities(NamedTuple):
    """What is expected of each step: mixtures of logistics about the estimate, in its level."""

    parameters: Tensor  # (batch, steps, bands, 3 * components)
    mixing: Tensor  # (batch, steps, bands, bands): what lower bands' excitation adds to a band's
    level: Tensor  # (batch, steps, bands), `SILENCE` or more
    estimate: Tensor  # (batch, steps, bands)

    def logarithm(self, values: Tensor) -> Tensor:
        """Log-densities of ``(batch, steps, bands)``; not a number where nothing is drawn."""
        excitation = excitation_of(values, self.estimate, self.level)
        shift = (self.mixing @ excitation[..., None])[..., 0]
        density = log_density(self.parameters, excitation - shift)
        return (density - self.level.log()).where(self.level > SILENCE, torch.nan)


class WaveNet(nn.Module):
    """A dilated causal gated residual stack over the bands of a signal.

    Van den Oord et al., "WaveNet: a generative model for raw audio", 2016. Every step emits a
    sample of each band. The network says how it lies about that of an initial estimate, which
    Griffin-Lim makes of the spectrogram alone, in units of the level that the spectrogram gives the
    band; as a mixture of logistic densities (Salimans et al., "PixelCNN++", ICLR 2017).

    ``conf/model/wavenet.yaml`` describes its sizes. A step sees ``context_frames`` of the
    spectrogram and of the estimate on either side, and ``receptive_steps`` before it.
    """

    inputs: Sequence[str] = ("decibels", "estimate", "subbands")
    outputs: Sequence[str] = ("parameters", "mixing", "level", "centre", "samples")
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
        expected = f"at least 2, and a divisor of the {spec.hop_length} samples of a hop"
        expect(bands > 1 and not spec.hop_length % bands, "model.bands", bands, expected)
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
        # Of each band the excitation and the value of the step before, and the estimate.
        self.first = weight_norm(nn.Linear(3 * bands, channels))
        both = 2 * channels
        gates = (weight_norm(nn.Linear(both, both, bias=False)) for _ in range(layers))
        self.gates = nn.ModuleList(gates)
        self.mixes = nn.ModuleList(weight_norm(nn.Linear(channels, both)) for _ in range(layers))
        self.head = weight_norm(nn.Linear(channels, channels, bias=False))
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
        """Densities of all steps at once, each given the true ones before it.

        Both signals, the true one and the estimate, are ``(batch, bands, steps)``.
        """
        condition, level, estimate, seen_estimate = self.guide(decibels, estimate)
        conditions = torch.split(self._at_steps(condition), self.condition_sizes, dim=2)
        excitation = excitation_of(subbands.mT, estimate, level)
        excitation, value = _before(excitation, 1), _before(subbands.mT, 1)
        value = (value / level).clamp(-CREST, CREST)
        seen = torch.cat([excitation.asinh(), value, estimate / level], dim=2)
        hidden = self.first(seen) + seen_estimate
        total = torch.zeros_like(hidden)
        layers = zip(self.dilations, self.gates, self.mixes, conditions[:-1], strict=True)
        for dilation, gates, mix, given in layers:
            gated = gates(torch.cat([_before(hidden, dilation), hidden], dim=2)) + given
            signal, gate = gated.chunk(2, dim=2)
            residual, skip = mix(torch.tanh(signal) * torch.sigmoid(gate)).chunk(2, dim=2)
            hidden, total = hidden + residual, total + skip
        head = self.head(functional.relu(total)) + conditions[-1]
        raw = self.last(functional.relu(head))
        bands = self.bank.bands
        row, column = torch.tril_indices(bands, bands, -1)
        mixing = raw.new_zeros(*raw.shape[:2], bands, bands)
        mixing[:, :, row, column] = raw[:, :, -len(row) :]
        parameters = raw[:, :, : -len(row)].unflatten(2, (bands, -1))
        return Densities(parameters, mixing, level, estimate)

    def forward(self, decibels: Tensor, estimate: Tensor, subbands: Tensor) -> tuple[Tensor, ...]:
        """For `vocoder export`: what is expected of each step, and the waveform of the steps.

        ``estimate``, ``(1, frames * hop_length)``, is what any phase retrieval makes of the
        decibels; ``subbands``, ``(1, bands, steps)``, are what has been drawn, as far as it goes.
        """
        densities = self.teacher_forced(decibels, subbands, self.bank.split(estimate))
        return *densities, self.bank.join(subbands)

    def example(self, frames: int) -> tuple[Tensor, ...]:
        """Inputs of so many frames."""
        estimate = torch.zeros(1, frames * self.spec.hop_length)
        subbands = torch.zeros(1, self.bank.bands, frames * self.steps_per_frame)
        return torch.zeros(1, self.spec.bins, frames), estimate, subbands

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
        """The initial estimate: what Griffin-Lim with momentum makes of integrated phases."""
        solver = GriffinLim(
            n_iter=self.initial_iterations,
            n_iter_estimated=self.initial_iterations,
            momentum=0.99,
            init="phase_gradient",
            refine_from=0,
            refine_every=0,
            mels=None,
            phases=None,
            block_frames=min_block_frames(self.spec),
            seed=0,
            device="cpu",
        )
        n_samples = decibels.shape[2] * self.spec.hop_length - 1  # the most of as many frames
        waveform = solver(Spectrogram(decibels, replace(self.spec, center=True), n_samples))
        return functional.pad(waveform, (0, 1)).to(decibels.device)


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


def _before(steps: Tensor, count: int) -> Tensor:
    """What ``(batch, steps, channels)`` were so many steps before; 0 before there was anything."""
    return functional.pad(steps, (0, 0, count, 0))[:, : steps.shape[1]]


def iterate(waveform: Tensor, spec: SpectrogramSpec, nearest: Callable[[Tensor], Tensor]) -> Tensor:
    """One more iteration of Griffin and Lim's (1984).

    Every window keeps its phases, and its magnitudes become those that ``nearest`` gives for them,
    such as `vocoder.inverter.magnitude.Target.nearest`.
    """
    transform = _transform(waveform, spec)
    imposed = impose_magnitude(transform, nearest(magnitudes(transform)))
    padded = istft_to_padded(imposed, spec)[:, spec.n_fft // 2 :]
    return functional.pad(padded, (0, waveform.shape[1] - padded.shape[1]))


@torch.no_grad()
def rephased(samples: Tensor, estimate: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Recordings as they would be if their phases were an estimate's.

    A spectrogram doesn't say where in its swing a waveform begins, and an estimate says it at
    random; no network could know the recording's own. Griffin-Lim iterations from the estimate,
    towards the magnitudes of the recording's STFT, give what sounds like the one and fits the
    other.
    """
    wanted = _transform(samples, spec).abs()
    for _ in range(REPHASING_STEPS):
        estimate = iterate(estimate, spec, lambda _: wanted)
    return estimate


def _transform(waveform: Tensor, spec: SpectrogramSpec) -> Tensor:
    """The STFT of a waveform's frames, silence around."""
    half, rest = spec.n_fft // 2, spec.n_fft // 2 - spec.hop_length
    return stft_of_padded(functional.pad(waveform, (half, rest)), spec)


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
