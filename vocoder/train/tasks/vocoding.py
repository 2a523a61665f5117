"""Learning to turn spectrograms into audio: spectral losses first, then discriminators as well."""

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
from vocoder.train.examples import Batch
from vocoder.train.losses import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    mel_loss,
    multi_resolution_loss,
    resolutions,
)
from vocoder.train.tasks.base import MODEL, Task, require_centred, require_weights, weighted

SPECTRAL = ("convergence", "log", "loudness", "mel")
ADVERSARIAL = ("adversarial", "features")
# The bands of the mel loss, in the spec's own frames.
MEL_LOSS_BANDS = 80


@dataclass(kw_only=True)
class Vocoding(Task):
    """Trains a generator with spectral losses, and from some step on with discriminators."""

    model_type = Generator

    # ``convergence``, ``log``, ``loudness``: of `multi_resolution_loss`; ``mel``: of `mel_loss`;
    # ``adversarial``, ``features``: of what the discriminators say and see. 0 leaves one out.
    weights: Mapping[str, float]
    discriminators: Mapping[str, Discriminator]  # unused where both adversarial weights are 0
    adversarial_from: int  # the step at which they begin to learn and to count

    def __post_init__(self) -> None:
        require_weights(self.weights, (*SPECTRAL, *ADVERSARIAL), SPECTRAL)
        if not any(self.weights[name] > 0 for name in ADVERSARIAL):
            self.discriminators = {}
        elif not self.discriminators:
            raise BadInput(
                "train.task.weights has adversarial losses but there are no discriminators; "
                "give some, or set adversarial and features to 0",
                key="train.task.discriminators.missing",
            )

    def setup(self, model: nn.Module, spec: SpectrogramSpec) -> None:
        super().setup(model, spec)
        require_centred(spec)
        self._first_sample = cast(Generator, model).first_sample
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
        self._fake: Tensor | None = None  # of the discriminators' steps, for the generator's

    def networks(self) -> Mapping[str, nn.Module]:
        return {MODEL: self.model, **self.discriminators}

    def order(self, step: int) -> list[str]:
        return [*(self.discriminators if step >= self.adversarial_from else {}), MODEL]

    def losses(self, name: str, batch: Batch, step: int) -> dict[str, Tensor]:
        first = self._first_sample
        if self._fake is None:
            generated: Tensor = self.model(batch.degraded)
            self._fake = generated[:, max(0, -first) : generated.shape[1] - max(0, first)]
        # Where the model begins before or after the centre of its first frame, both are cut.
        true = batch.waveform[:, max(0, first) : batch.waveform.shape[1] - max(0, -first)]
        fake = self._fake
        if name != MODEL:
            # In one call: twice as many examples are done in less than twice the time.
            outputs = self.discriminators[name](torch.cat([true, fake.detach()]))
            good, bad = zip(*(logits.chunk(2) for logits, _ in outputs), strict=True)
            return {"total": discriminator_loss(list(bad), list(good))}
        self._fake = None
        losses = multi_resolution_loss(fake, true, self._resolutions)
        losses["mel"] = mel_loss(fake, true, self._mel_spec)
        weights = dict(self.weights)
        if len(self.order(step)) > 1:
            losses |= self._adversarial_losses(fake, true)
        else:
            weights |= dict.fromkeys(ADVERSARIAL, 0.0)
        return weighted(losses, weights)

    def _adversarial_losses(self, fake: Tensor, true: Tensor) -> dict[str, Tensor]:
        adversarial, features = [], []
        for discriminator in self.discriminators.values():
            discriminator.requires_grad_(False)  # the generator learns here
            outputs = discriminator(fake)
            with torch.no_grad():
                wanted = [maps for _, maps in discriminator(true)]
            discriminator.requires_grad_(True)
            adversarial.append(generator_loss([logits for logits, _ in outputs]))
            features.append(feature_matching_loss([maps for _, maps in outputs], wanted))
        return {
            "adversarial": torch.stack(adversarial).mean(),
            "features": torch.stack(features).mean(),
        }

    def render(self, model: nn.Module, decibels: Tensor) -> Tensor:
        first = self._first_sample
        waveform: Tensor = model(decibels)[:, max(0, -first) :]
        return functional.pad(waveform, (max(0, first), 0))
