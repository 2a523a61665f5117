"""Learning to read the pitch: an image in, what is heard in its recording as target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from vocoder.decibels import SILENCE_DB
from vocoder.errors import expect
from vocoder.evaluate.metrics.metric import optional_package
from vocoder.evaluate.metrics.pitch import FRAME_S, pitch_track
from vocoder.inverter.base import Inverter
from vocoder.model.features import FLOOR_DB
from vocoder.model.weights import load_network, require_kind
from vocoder.repair.network import RepairNet
from vocoder.repair.pitch import MIN_PITCH_HZ, NO_VOICE, PITCHES_PER_OCTAVE, pitches_hz
from vocoder.repair.pitch_network import PitchNet
from vocoder.repair.voice import Voice
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram
from vocoder.train.examples import Batch
from vocoder.train.tasks.base import Task


@dataclass(kw_only=True)
class Pitching(Task):
    """Trains a pitch net: the cross entropy of the pitch that swift-f0 hears in the recording.

    Parameters
    ----------
    repair : str
        Weights of the `RepairNet` whose image the pitch net is given beside the degraded one.
    spread : float
        Standard deviation, in pitches, over which the target is spread.
    voice : Voice
        What draws the voice, for validation.
    inverter : Inverter
        What makes it audible.
    """

    model_type = PitchNet

    repair: str
    spread: float
    voice: Voice
    inverter: Inverter

    def __post_init__(self) -> None:
        fits = 0 < self.spread <= PITCHES_PER_OCTAVE
        expect(fits, "train.task.spread", self.spread, f"above 0, up to {PITCHES_PER_OCTAVE}")
        require_kind(self.repair, RepairNet)

    def setup(self, model: nn.Module, spec: SpectrogramSpec) -> None:
        super().setup(model, spec)
        optional_package("swift_f0", "training a pitch net")
        load_network(self.repair, RepairNet, spec, torch.device("cpu"))

    def losses(self, name: str, batch: Batch, step: int) -> dict[str, Tensor]:
        degraded = batch.degraded
        heard = [
            heard_pitches(one, degraded.shape[2], self.spec) for one in batch.waveform.cpu().numpy()
        ]
        target = spread(torch.from_numpy(np.stack(heard)), self.spread).to(degraded.device)
        log_probabilities = self.model(degraded, self._repaired(degraded))
        return {"total": -(target * log_probabilities).sum(1).mean()}

    @torch.no_grad()
    def _repaired(self, decibels: Tensor) -> Tensor:
        network = load_network(self.repair, RepairNet, self.spec, decibels.device)
        repaired: Tensor = network(decibels)
        return repaired

    def render(self, model: nn.Module, decibels: Tensor) -> Tensor:
        repaired = self._repaired(decibels)
        pitches = model(decibels, repaired)
        drawn, _ = self.voice.draw(repaired[0], repaired[0], pitches[0], self.spec)
        audible = torch.where(drawn > FLOOR_DB, drawn, SILENCE_DB)
        return self.inverter(Spectrogram(audible[None].cpu(), self.spec))


def heard_pitches(samples: np.ndarray, n_frames: int, spec: SpectrogramSpec) -> np.ndarray:
    """What swift-f0 hears in every frame, ``(frames,)`` in pitches of `pitches_hz`.

    Where it hears no voice, `NO_VOICE`.
    """
    hz, voiced = pitch_track(samples, spec.sample_rate)
    nearest = np.rint(np.arange(n_frames) / (spec.frame_rate_hz * FRAME_S)).astype(int)
    nearest = nearest.clip(max=len(hz) - 1)
    pitches = PITCHES_PER_OCTAVE * np.log2(np.maximum(hz, MIN_PITCH_HZ) / MIN_PITCH_HZ)
    pitches = pitches.clip(max=len(pitches_hz()) - 1)
    return np.where(voiced[nearest], pitches[nearest], NO_VOICE).astype(np.float32)


def spread(pitches: Tensor, deviation: float) -> Tensor:
    """Probabilities of all pitches and of none, ``(batch, pitches + 1, frames)``.

    A Gaussian around ``pitches``, ``(batch, frames)``, as of `heard_pitches`.
    """
    distance = torch.arange(len(pitches_hz()))[None, :, None] - pitches[:, None]
    voiced = (pitches != NO_VOICE)[:, None]
    near = (-0.5 * (distance / deviation) ** 2).exp() * voiced
    return torch.cat([near / near.sum(1, keepdim=True).clamp(min=1e-9), (~voiced).float()], dim=1)
