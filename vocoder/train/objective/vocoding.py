"""Learning to turn pictures into sound: spectral losses first, then against discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.model.discriminator.base import Discriminator
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
from vocoder.train.objective.base import (
    MODEL,
    Batch,
    Objective,
    Task,
    require_kind,
    require_weights,
    weighted,
)

# The bands of the mel loss, in the spec's own frames.
MEL_LOSS_BANDS = 80


@dataclass(frozen=True, kw_only=True)
class SoundWeights:
    """Weights of the losses of `Vocoding`; not negative, and 0 leaves one out.

    Parameters
    ----------
    convergence, log, loudness : float
        See `vocoder.train.losses.multi_resolution_loss`.
    mel : float
        See `vocoder.train.losses.mel_loss`.
    adversarial, features : float
        Of the discriminators' verdict, and of what they see; once they have begun.

    Raises
    ------
    BadInput
        A weight is negative, or none of the spectral ones is above 0.
    """

    convergence: float
    log: float
    loudness: float
    mel: float
    adversarial: float
    features: float

    def __post_init__(self) -> None:
        require_weights(vars(self), ["convergence", "log", "loudness", "mel"])


class Vocoding(Objective):
    """A generator with spectral losses, and from some step on with discriminators.

    Parameters
    ----------
    model : Generator
    spec : SpectrogramSpec
    weights : SoundWeights
    discriminators : mapping of str to Discriminator
        May be empty; left out where both adversarial weights are 0.
    adversarial_from : int
        The step at which they begin to learn and to judge.

    Raises
    ------
    BadInput
        Adversarial weights without discriminators, or a spec that isn't centred: examples begin
        where models do only when a frame's centre is their first sample.
    """

    def __init__(
        self,
        model: Generator,
        spec: SpectrogramSpec,
        weights: SoundWeights,
        discriminators: Mapping[str, Discriminator],
        adversarial_from: int,
    ) -> None:
        super().__init__(model, spec)
        self._first_sample = model.first_sample
        self._weights = vars(weights)
        if not spec.center:
            raise BadInput("train=vocoding needs a spec with center=true")
        is_adversarial = weights.adversarial > 0 or weights.features > 0
        if is_adversarial and not discriminators:
            raise BadInput(
                "train.task.weights has adversarial losses but there are no discriminators; "
                "give some, or set adversarial and features to 0"
            )
        self._discriminators = dict(discriminators) if is_adversarial else {}
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
            # In one call: twice as many examples are done in less than twice the time.
            judged = [logits for logits, _ in judge(torch.cat([true, fake.detach()]))]
            good, bad = zip(*(logits.chunk(2) for logits in judged), strict=True)
            return {"total": discriminator_loss(list(bad), list(good))}
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
            judged = judge(fake)
            with torch.no_grad():
                wanted = [seen for _, seen in judge(true)]
            judge.requires_grad_(True)
            adversarial.append(generator_loss([logits for logits, _ in judged]))
            features.append(feature_matching_loss([seen for _, seen in judged], wanted))
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
    discriminators: Mapping[str, Discriminator]
    adversarial_from: int

    def objective(self, model: nn.Module, spec: SpectrogramSpec) -> Objective:
        require_kind(model, Generator, "vocoding")
        return Vocoding(
            cast(Generator, model), spec, self.weights, self.discriminators, self.adversarial_from
        )
