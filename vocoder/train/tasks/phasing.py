"""Learning how phases go on: a spectrogram in, the recording's phase differences as target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from vocoder.decibels import to_decibels
from vocoder.errors import BadInput, expect_ranges
from vocoder.inverter.differences import gradient_differences, log_above_floor
from vocoder.inverter.magnitude import Target
from vocoder.inverter.mels import MelNet, between_bands
from vocoder.inverter.phase import initial_phase
from vocoder.inverter.phase_network import PhaseNet
from vocoder.model.weights import require_kind
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse, istft, stft
from vocoder.train.examples import Batch
from vocoder.train.tasks.base import Task, require_centred

TINY = 1e-12


@dataclass(kw_only=True)
class Phasing(Task):
    """Trains the network of phases."""

    model_type: ClassVar[type[nn.Module]] = PhaseNet

    bands: SpectrogramSpec | None  # of the same STFT, as which a part of the examples are seen
    mels: str | None  # weights that find the bins between them; None for least squares
    bands_share: float  # how large a part, 0 to 1

    def __post_init__(self) -> None:
        expect_ranges(self, "train.task", bands_share=(0, 1))
        if self.mels is not None:
            require_kind(self.mels, MelNet)

    def setup(self, model: nn.Module, spec: SpectrogramSpec) -> None:
        super().setup(model, spec)
        require_centred(spec)
        if self.bands is not None and not self.bands.same_transform(spec):
            raise BadInput(
                f"train.task.bands are {self.bands.describe()}, and the spec is {spec.describe()}; "
                "expected bands of the same STFT",
                key="train.task.bands.conflict",
            )
        # Frames whose window reaches beyond the piece, and one whose neighbour's does.
        self._edge = -(-spec.n_fft // (2 * spec.hop_length)) + 1

    def losses(self, name: str, batch: Batch, step: int) -> dict[str, Tensor]:
        """Squared distance of the corrections from the true ones, as unit vectors.

        Its best answer is their mean given the magnitudes, which is long where they are certain.
        Each counts by the root of the magnitude between its ends: quiet bins are heard, too.
        """
        kind = batch.waveform.device.type
        with torch.no_grad(), torch.autocast(kind, enabled=False):  # angles need every bit
            magnitude = self._magnitudes(batch)
            transform = stft(batch.waveform, self.spec)[:, :, : magnitude.shape[2]]
            logs = [log_above_floor(one.mT) for one in magnitude]
            found = [torch.stack(gradient_differences(one, self.spec)).mT for one in logs]
            before = torch.stack(found)
            pairs = torch.stack([transform.roll(-1, 2), transform.roll(-1, 1)], 1)
            pairs = pairs * transform.conj()[:, None]
            size = pairs.abs().clamp(min=TINY)
            wanted = pairs / size * torch.polar(torch.ones_like(before), -before)
            weight = size.sqrt().sqrt()
            weight[:, 1, -1] = 0  # nothing lies above Nyquist
            inner = slice(self._edge, -self._edge)
            weight = weight[..., inner] / weight[..., inner].sum((1, 2, 3), keepdim=True)
            decibels = to_decibels(magnitude, cast(PhaseNet, self.model).spec)
        corrections = self.model(decibels).unflatten(1, (2, 2))
        off = torch.view_as_real(wanted).movedim(-1, 2) - corrections
        total = (weight * off.square().sum(2)[..., inner]).sum((1, 2, 3)).mean()
        return {"total": total}

    def _magnitudes(self, batch: Batch) -> Tensor:
        """Magnitudes as inversion finds them, ``(batch, n_freqs, frames)``."""
        seen = Target(Spectrogram(batch.degraded, self.spec)).start
        if self.bands is None:
            return seen
        first = slice(round(self.bands_share * len(seen)))
        shown = analyse(batch.waveform[first], self.bands).frames(0, seen.shape[2])
        if self.mels is not None:
            shown = between_bands(shown, self.mels, seen.device)
        seen[first] = Target(shown).start
        return seen

    def render(self, model: nn.Module, decibels: Tensor) -> Tensor:
        """The waveform with the network's phases as they are, without an iteration."""
        spectrogram = Spectrogram(decibels, self.spec)
        magnitude = Target(spectrogram).start
        drawn = torch.Generator().manual_seed(0)
        network = cast(PhaseNet, model)
        transform = initial_phase(magnitude, self.spec, "phase_gradient", drawn, None, network)
        return istft(transform, self.spec, self.spec.n_samples(decibels.shape[2]))
