"""Learning to turn pictures into sound: spectral losses first, then against discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.model.generator import Generator
from vocoder.spec import SpectrogramSpec
from vocoder.train.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    mel_loss,
    multi_resolution_loss,
    resolutions,
)
from vocoder.train.objective.base import MODEL, Batch, Objective, Task, require_kind, weighted

# The bands of the mel loss, in the spec's own frames.
MEL_LOSS_BANDS = 80


@dataclass(frozen=True, kw_only=True)
class SoundWeights:
    """Weights of the losses of `Vocoding`; not negative, 0 leaves one out.

    Parameters
    ----------
    convergence, log, loudness : float
        See `vocoder.train.losses.multi_resolution_loss`.
    mel : float
        See `vocoder.train.losses.mel_loss`.
    adversarial, features : float
        Of the discriminators' verdict, and of what they see; once they have begun.
    """

    convergence: float
    log: float
    loudness: float
    mel: float
    adversarial: float
    features: float


class Vocoding(Objective):
    """A generator with spectral losses, and from some step on with discriminators.

    Parameters
    ----------
    model : Generator
    spec : SpectrogramSpec
    weights : SoundWeights
    discriminators : mapping of str to Module
        Each gives logits and features for ``(batch, samples)``; may be empty.
    adversarial_from : int
        The step at which they begin to learn and to judge.

    Raises
    ------
    BadInput
        Adversarial weights without discriminators.
    """

    def __init__(
        self,
        model: Generator,
        spec: SpectrogramSpec,
        weights: SoundWeights,
        discriminators: Mapping[str, nn.Module],
        adversarial_from: int,
    ) -> None:
        super().__init__(model, spec)
        self._first_sample = model.first_sample
        self._weights = vars(weights)
        if not discriminators and (weights.adversarial > 0 or weights.features > 0):
            raise BadInput(
                "train.objective.weights has adversarial losses but there are no discriminators; "
                "give some, or set adversarial and features to 0"
            )
        self._discriminators = dict(discriminators)
        self._adversarial_from = adversarial_from
        self._resolutions = resolutions(spec)
        self._mel_spec = replace(
            spec,
            kind="mel",
            n_mels=MEL_LOSS_BANDS,
            fmin=0.0,
            fmax=spec.sample_rate / 2,
            mel_scale="slaney",
            mel_norm="slaney",
            power=1.0,
            nyquist=True,
        )
        self._fake: Tensor | None = None  # of the discriminators' turn, for the generator's

    def networks(self) -> Mapping[str, nn.Module]:
        return {MODEL: self.model, **self._discriminators}

    def turns(self, step: int) -> list[str]:
        if step < self._adversarial_from or not self._discriminators:
            return [MODEL]
        return [*self._discriminators, MODEL]

    def losses(self, turn: str, batch: Batch, step: int) -> dict[str, Tensor]:
        first = self._first_sample
        if self._fake is None:
            generated: Tensor = self.model(batch.damaged)
            self._fake = generated[:, max(0, -first) : generated.shape[1] - max(0, first)]
        # Where the model begins before or after the centre of its first frame, both are cut.
        true = batch.sound[:, max(0, first) : batch.sound.shape[1] - max(0, -first)]
        fake = self._fake
        if turn != MODEL:
            judge = self._discriminators[turn]
            bad, _ = judge(fake.detach())
            good, _ = judge(true)
            return {"total": discriminator_loss(bad, good)}
        self._fake = None
        losses = multi_resolution_loss(fake, true, self._resolutions)
        losses["mel"] = mel_loss(fake, true, self._mel_spec)
        weights = dict(self._weights)
        if self.turns(step)[0] == MODEL:
            weights["adversarial"] = weights["features"] = 0.0
        else:
            losses |= self._verdicts(fake, true)
        return weighted(losses, weights)

    def _verdicts(self, fake: Tensor, true: Tensor) -> dict[str, Tensor]:
        adversarial, features = [], []
        for judge in self._discriminators.values():
            judge.requires_grad_(False)  # the generator learns here, not the judge
            logits, seen = judge(fake)
            with torch.no_grad():
                _, wanted = judge(true)
            judge.requires_grad_(True)
            adversarial.append(generator_loss(logits))
            features.append(feature_matching_loss(seen, wanted))
        return {
            "adversarial": torch.stack(adversarial).mean(),
            "features": torch.stack(features).mean(),
        }

    def render(self, model: nn.Module, values: Tensor) -> Tensor:
        first = self._first_sample
        sound: Tensor = model(values)[:, max(0, -first) :]
        return functional.pad(sound, (max(0, first), 0))


@dataclass(frozen=True, kw_only=True)
class VocodingTask(Task):
    """Makes `Vocoding` objectives; parameters as there."""

    weights: SoundWeights
    discriminators: Mapping[str, nn.Module]
    adversarial_from: int

    def objective(self, model: nn.Module, spec: SpectrogramSpec) -> Objective:
        require_kind(model, Generator, "vocoding")
        return Vocoding(
            cast(Generator, model), spec, self.weights, self.discriminators, self.adversarial_from
        )
