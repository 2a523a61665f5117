"""WaveNet: the next samples from those before, the spectrogram, and a draft of the sound."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from vocoder.errors import BadInput
from vocoder.model.features import features
from vocoder.model.wavenet.conditioning import DraftNet, FrameNet, Upsampling
from vocoder.model.wavenet.draft import draft_of, rephased
from vocoder.model.wavenet.forced import Forced
from vocoder.model.wavenet.loop import UNROLLED
from vocoder.model.wavenet.output import LIMIT, Output, output_of
from vocoder.model.wavenet.pqmf import FilterBank
from vocoder.model.wavenet.prediction import (
    BLOCKS_PER_FRAME,
    CREST,
    SILENCE,
    Prediction,
    predict_from,
)
from vocoder.spec import SpectrogramSpec

# What the network sees of each band of the step before: the excitation, the value, and the
# prediction of the next.
INPUTS_PER_BAND = 3


class WaveNet(nn.Module):
    """A dilated causal gated residual stack over the bands of a signal.

    Van den Oord et al., "WaveNet: a generative model for raw audio", 2016. Every step emits a
    sample of each band. The network says how the sample lies about that of a draft, a sound made
    of the picture alone (`vocoder.model.wavenet.draft`), and about what linear prediction makes of
    how the band has been off it until now; in units of what that usually leaves over.

    Parameters
    ----------
    spec : SpectrogramSpec
    draft_iterations : int or None
        Of Griffin-Lim, for the draft; 0 has integrated phases only. ``None`` does without a draft:
        the network then finds all phases itself, as in the paper, which takes days to learn.
    bands : int
        Of the filter bank: a step emits as many samples. 1 is the plain WaveNet.
    order : int
        Of the linear prediction in each band; 0 for none, the level alone.
    preemphasis : float
        The network's signal is ``x[n] - preemphasis * x[n - 1]``; 0 to below 1.
    output : {"logistics", "mulaw"}
        Densities of values: `vocoder.model.wavenet.output`.
    components : int
        Logistics of a mixture, or classes.
    layers, cycle : int
        Layers of the stack; their dilations double, 1, 2, 4, …, ``cycle`` times, and again.
    residual_channels, gate_channels, skip_channels : int
        Widths of the stack, of the gates, and of what the layers send to the output.
    condition_channels, condition_blocks : int
        Width and number of the blocks that read the spectrogram.
    upsampling : {"interpolation", "transposed"}
        See `Upsampling`.

    Attributes
    ----------
    settings : dict of str to Any
        The arguments but for the spec.
    steps_per_frame : int
    context_frames : int
        Frames on either side of its own, and of the draft, that a step is conditioned on.
    receptive_steps : int
        Steps before it that a step is conditioned on through the stack.

    Raises
    ------
    BadInput
        A parameter is out of range, or the bands don't fit the hop.
    """

    def __init__(
        self,
        spec: SpectrogramSpec,
        *,
        draft_iterations: int | None,
        bands: int,
        order: int,
        preemphasis: float,
        output: str,
        components: int,
        layers: int,
        cycle: int,
        residual_channels: int,
        gate_channels: int,
        skip_channels: int,
        condition_channels: int,
        condition_blocks: int,
        upsampling: str,
    ) -> None:
        super().__init__()
        for name, value in (
            ("bands", bands),
            ("layers", layers),
            ("cycle", cycle),
            ("condition_channels", condition_channels),
        ):
            _require(value >= 1, name, value, "at least 1")
        for name, value in (
            ("residual_channels", residual_channels),
            ("gate_channels", gate_channels),
            ("skip_channels", skip_channels),
        ):
            _require(value >= 1 and value % UNROLLED == 0, name, value, f"a multiple of {UNROLLED}")
        if draft_iterations is not None:
            _require(draft_iterations >= 0, "draft_iterations", draft_iterations, "at least 0")
        _require(order >= 0, "order", order, "at least 0")
        _require(condition_blocks >= 0, "condition_blocks", condition_blocks, "at least 0")
        _require(0 <= preemphasis < 1, "preemphasis", preemphasis, "0 to below 1")
        block = bands * BLOCKS_PER_FRAME
        if spec.hop_length % block:
            raise BadInput(
                f"model.bands is {bands}, but a hop of {spec.hop_length} samples is no multiple "
                f"of {BLOCKS_PER_FRAME} blocks of that; choose a smaller power of 2"
            )
        self.settings: dict[str, Any] = {
            "draft_iterations": draft_iterations,
            "bands": bands,
            "order": order,
            "preemphasis": preemphasis,
            "output": output,
            "components": components,
            "layers": layers,
            "cycle": cycle,
            "residual_channels": residual_channels,
            "gate_channels": gate_channels,
            "skip_channels": skip_channels,
            "condition_channels": condition_channels,
            "condition_blocks": condition_blocks,
            "upsampling": upsampling,
        }
        self.spec, self.order, self.preemphasis = spec, order, preemphasis
        self.draft_iterations = draft_iterations
        self.bank = FilterBank(bands)
        self.output: Output = output_of(output, components)
        self.steps_per_frame = spec.hop_length // bands
        self.dilations = [2 ** (layer % cycle) for layer in range(layers)]
        self.receptive_steps = 1 + sum(self.dilations)
        self.gate_channels = gate_channels

        self.frame_net = FrameNet(
            spec.bins,
            condition_channels,
            condition_blocks,
            layers * 2 * gate_channels + skip_channels,
        )
        self.upsampling = Upsampling(upsampling, self.steps_per_frame)
        self.first = weight_norm(nn.Linear(INPUTS_PER_BAND * bands, residual_channels))
        self.draft_net = DraftNet(bands, residual_channels)
        reach_samples = self.bank.reach + bands * self.draft_net.reach_steps + 1  # emphasis: one
        drafted_frames = -(-reach_samples // spec.hop_length)
        # One more: the upsampling's next frame.
        self.context_frames = max(self.frame_net.context_frames, drafted_frames) + 1
        self.gates = nn.ModuleList(
            weight_norm(nn.Linear(2 * residual_channels, 2 * gate_channels, bias=False))
            for _ in self.dilations
        )
        self.mixes = nn.ModuleList(
            weight_norm(nn.Linear(gate_channels, residual_channels + skip_channels))
            for _ in self.dilations
        )
        self.head = weight_norm(nn.Linear(skip_channels, skip_channels, bias=False))
        self.pairs = torch.tril_indices(bands, bands, -1)  # (band, lower band) of each weight
        self.last = nn.Linear(skip_channels, bands * self.output.size + self.pairs.shape[1])
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, values: Tensor, samples: Tensor) -> Tensor:
        """Log-likelihood of sound, in nats, teacher-forced.

        Parameters
        ----------
        values : Tensor
            ``(batch, bins, frames)`` in the spec's units.
        samples : Tensor
            ``(batch, frames * hop_length)``, -1 to 1; from the centre of the first frame on. With
            a draft, it's their likelihood once they have its phases
            (`vocoder.model.wavenet.draft.rephased`).

        Returns
        -------
        Tensor
            ``(batch, bands, steps)``: natural logarithm of the density of each band's values, not a
            number where the picture is silent and nothing is drawn.
        """
        kind = values.device.type
        half = torch.is_autocast_enabled(kind)
        # What is to be told, and what is foretold of it, differ by less than half precision has.
        with torch.autocast(kind, enabled=False):
            draft = draft_of(values, self.spec, self.draft_iterations)
            if self.draft_iterations is not None:
                samples = rephased(samples, draft, self.spec)
            forced = self.teacher_forced(
                values, self.split(samples), self.split(draft), half_precision=half
            )
            about = forced.excitation - forced.from_lower_bands(forced.excitation)
            density: Tensor = self.output.log_density(forced.parameters, about) - forced.scale.log()
            return torch.where(forced.sounds, density, torch.nan)

    def loss(self, values: Tensor, samples: Tensor, edge_frames: int = 0) -> Tensor:
        """Mean negative log-likelihood, nats a sample; see `forward`.

        Of every example by itself, and then of all; an example where nothing sounds has 0.
        Densities, so negative values are possible: a uniform one over a step of 16 bits has -10.4.
        Models of any bands, order and output can be compared where no band is silent.

        Parameters
        ----------
        values, samples
            As of `forward`.
        edge_frames : int
            At either end, that don't count.
        """
        likelihood: Tensor = self(values, samples)
        edge = edge_frames * self.steps_per_frame
        likelihood = likelihood[:, :, edge : likelihood.shape[2] - edge]
        counted = ~likelihood.isnan()
        totals = likelihood.where(counted, 0).sum((1, 2))
        return -(totals / counted.sum((1, 2)).clamp(min=1)).mean()

    def split(self, samples: Tensor) -> Tensor:
        """``(batch, samples)`` as the network hears them: ``(batch, bands, steps)``."""
        before = torch.cat([samples[:, :1], samples[:, :-1]], dim=1)
        return self.bank.split(samples - self.preemphasis * before)

    def teacher_forced(
        self, values: Tensor, subbands: Tensor, draft: Tensor, *, half_precision: bool = False
    ) -> Forced:
        """All steps at once, each given the true ones before it.

        Parameters
        ----------
        values : Tensor
            ``(batch, bins, frames)``.
        subbands, draft : Tensor
            ``(batch, bands, frames * steps_per_frame)``: the true ones, and those of the draft.
        half_precision : bool
            Whether the stack works in bfloat16, all but its sums.
        """
        prediction = self.predict(values)
        steps = subbands.shape[2]
        draft, told = self.tell(prediction, draft)
        predicted = draft + prediction.predict(subbands - draft)
        scale = prediction.at_steps(prediction.scale, steps)
        level = prediction.at_steps(prediction.level, steps).clamp(min=SILENCE)
        sounds = scale > SILENCE
        scale = scale.clamp(min=SILENCE)
        excitation = ((subbands - predicted) / scale).where(sounds, 0)
        # At its beginning a step knows its scale, its prediction, and the values before.
        value = (_before(subbands) / level).clamp(-CREST, CREST)
        seen = torch.cat([_before(excitation.asinh()), value, predicted / level], dim=1)
        condition = self.condition(values)
        with torch.autocast(values.device.type, torch.bfloat16, enabled=half_precision):
            raw = self._stack(seen.mT, told, condition)
        bands = self.bank.bands
        parameters, mixing = torch.split(
            raw, [bands * self.output.size, self.pairs.shape[1]], dim=2
        )
        return Forced(
            self.output,
            parameters.reshape(*raw.shape[:2], bands, self.output.size).transpose(1, 2),
            self._square(mixing),
            predicted,
            scale,
            level,
            sounds,
            excitation.clamp(-LIMIT, LIMIT),
        )

    def tell(self, prediction: Prediction, draft: Tensor) -> tuple[Tensor, Tensor]:
        """A draft no louder than its picture allows, and what the first layer is told of it.

        ``(batch, bands, steps)`` and ``(batch, steps, residual_channels)``.
        """
        draft = prediction.bounded(draft)
        level = prediction.at_steps(prediction.level, draft.shape[2]).clamp(min=SILENCE)
        return draft, self.draft_net(draft / level)

    def predict(self, values: Tensor) -> Prediction:
        """Linear prediction of every frame; the last goes on as it is."""
        extended = functional.pad(values, (0, 1), mode="replicate")
        return predict_from(extended, self.spec, self.bank, self.order, self.preemphasis)

    def condition(self, values: Tensor) -> Tensor:
        """``(batch, frames + 1, layers * 2 * gate_channels + skip_channels)``."""
        projected: Tensor = self.frame_net(features(values, self.spec))
        return torch.cat([projected, projected[:, -1:]], dim=1)

    def fold(self) -> None:
        """Replace weight norm by plain weights, in place."""
        for module in self.modules():
            if is_parametrized(module):
                remove_parametrizations(module, "weight")

    def folded(self) -> WaveNet:
        """A copy on the CPU with plain weights, whether or not this one is folded."""
        twin = WaveNet(self.spec, **self.settings)
        twin.fold()  # copying a parametrised module and folding the copy would unmake this one
        twin.load_state_dict({name: attrgetter(name)(self) for name in twin.state_dict()})
        return twin

    def _stack(self, seen: Tensor, told: Tensor, condition: Tensor) -> Tensor:
        """``(batch, steps, inputs)`` to the parameters of densities, ``(batch, steps, …)``."""
        # In half precision the sums and the densities stay whole: they tell small differences.
        hidden: Tensor = (self.first(seen) + told).float()
        skip_channels = self.last.in_features
        total = hidden.new_zeros(*hidden.shape[:2], skip_channels)
        sizes = [2 * self.gate_channels] * len(self.dilations) + [skip_channels]
        *conditions, last_condition = torch.split(condition, sizes, dim=2)
        for dilation, gates, mix, given in zip(
            self.dilations, self.gates, self.mixes, conditions, strict=True
        ):
            past = functional.pad(hidden, (0, 0, dilation, 0))[:, : hidden.shape[1]]
            gated = self.upsampling(given, gates(torch.cat([past, hidden], dim=2)))
            signal, gate = gated.chunk(2, dim=2)
            mixed = mix(torch.tanh(signal) * torch.sigmoid(gate))
            residual, skip = torch.split(mixed, [hidden.shape[2], skip_channels], dim=2)
            hidden = hidden + residual
            total = total + skip
        head = self.upsampling(last_condition, self.head(functional.relu(total)))
        with torch.autocast(head.device.type, enabled=False):
            raw: Tensor = self.last(functional.relu(head).float())
        return raw

    def _square(self, mixing: Tensor) -> Tensor:
        """Weights of pairs, ``(batch, steps, pairs)``, to ``(batch, steps, bands, bands)``."""
        bands = self.bank.bands
        square = mixing.new_zeros(*mixing.shape[:2], bands, bands)
        band, lower = self.pairs
        square[:, :, band, lower] = mixing
        return square


def _before(subbands: Tensor) -> Tensor:
    """Every step's predecessor."""
    return functional.pad(subbands, (1, -1))


def _require(ok: bool, name: str, value: float, expected: str) -> None:
    if not ok:
        raise BadInput(f"model.{name} is {value}; expected {expected}")
