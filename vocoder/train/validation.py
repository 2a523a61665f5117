"""How good a model is while it trains: the same utterances each time, measured as one listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
import torch
from torch import nn

from vocoder.errors import BadInput
from vocoder.evaluate.metrics import estoi, mel_distance_db
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse
from vocoder.train.examples import Example, Source
from vocoder.train.logging import Curves
from vocoder.train.tasks.base import Task

SHOWN = 3  # utterances whose waveforms and spectrograms are written
# Of silence, and of what is no number.
WORST_MEL_DISTANCE_DB = 100.0
# A model whose output is this much farther from the truth than the first one's has diverged,
# whatever its ESTOI, which hears a chance likeness in noise too.
DIVERGED_DB = 3.0


@dataclass(frozen=True)
class Scores:
    """What a validation found, for each utterance."""

    estoi: list[float]
    mel_distance_db: list[float]

    @property
    def mean_estoi(self) -> float:
        """Mean over the utterances."""
        return float(np.mean(self.estoi))

    @property
    def mean_mel_distance_db(self) -> float:
        """Mean over the utterances."""
        return float(np.mean(self.mel_distance_db))

    def has_diverged(self, first: Scores) -> bool:
        """Whether it is much worse than where the run began."""
        return self.mean_mel_distance_db > first.mean_mel_distance_db + DIVERGED_DB

    def is_better(self, best: Scores) -> bool:
        """Whether it is more intelligible."""
        return self.mean_estoi > best.mean_estoi


class Validation:
    """Fixed utterances, each degraded in the same way every time.

    The utterances of all sources are taken in turn, so many at most; ``seed`` is the degradation's.
    """

    def __init__(
        self, sources: Sequence[Source], spec: SpectrogramSpec, utterances: int, seed: int
    ) -> None:
        self._spec = spec
        self._utterances: list[Example] = []
        numbered = [[(source, i) for i in range(len(source.total_frames))] for source in sources]
        in_turn = [one for turn in zip_longest(*numbered) for one in turn if one is not None]
        for number, (source, index) in enumerate(in_turn):
            if len(self._utterances) == utterances:
                break
            example = source.whole(index, np.random.default_rng((seed, number)))
            n_samples = min(example.waveform.size, spec.n_samples(example.true.shape[1]))
            waveform = example.waveform[:n_samples]
            try:
                estoi(waveform, waveform, spec.sample_rate)
            except BadInput:  # too short or silent to be measured
                continue
            self._utterances.append(replace(example, waveform=waveform))
        if not self._utterances:
            raise BadInput(
                "nothing to validate on: no utterance of the validation split has 0.4 s of speech",
                key="data.validation.empty",
            )

    @torch.inference_mode()
    def __call__(
        self,
        task: Task,
        model: nn.Module,
        device: torch.device,
        step: int,
        curves: Curves | None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Scores | None:
        """Render every utterance with ``model`` and measure it; the first go into the curves.

        Nothing is found once ``stop`` says so.
        """
        scores, distances = [], []
        for number, example in enumerate(self._utterances):
            if stop():
                return None
            true = example.waveform
            decibels = torch.from_numpy(example.degraded)[None].to(device)
            made = task.render(model, decibels)[0, : true.size].float().cpu().numpy()
            if not np.isfinite(made).all() or not np.abs(made).max() > 0:
                scores.append(0.0)
                distances.append(WORST_MEL_DISTANCE_DB)
                continue
            distance = mel_distance_db(true, made, self._spec.sample_rate)
            # Rounded: the last bits depend on where in memory the arrays lie.
            scores.append(round(float(np.nan_to_num(estoi(true, made, self._spec.sample_rate))), 6))
            distances.append(round(float(np.fmin(distance, WORST_MEL_DISTANCE_DB)), 6))
            if curves is not None and number < SHOWN:
                self._show(curves, f"utterance{number:02d}", example, made, step)
        found = Scores(scores, distances)
        if curves is not None:
            curves.add_scalar("validation/estoi", found.mean_estoi, step)
            curves.add_scalar("validation/mel_distance_db", found.mean_mel_distance_db, step)
        return found

    def _show(
        self, curves: Curves, name: str, example: Example, made: np.ndarray, step: int
    ) -> None:
        rate, waveform = self._spec.sample_rate, torch.from_numpy(made)[None]
        curves.add_audio(f"{name}/made", waveform, step, rate)
        after = analyse(waveform, self._spec).decibels[0]
        frames = min(after.shape[1], example.true.shape[1])
        bins = self._spec.bins  # of several analyses the first
        rows = [example.degraded[:bins], after.numpy(), example.true[:bins]]
        image = np.concatenate([_grey(row[:, :frames]) for row in rows])
        curves.add_image(f"{name}/given_made_true", image, step)
        if step == 0:
            curves.add_audio(f"{name}/true", torch.from_numpy(example.waveform)[None], step, rate)


def _grey(decibels: np.ndarray) -> np.ndarray:
    return np.asarray((decibels[::-1] / FLOOR_DB * -255 + 255).clip(0, 255), np.uint8)
