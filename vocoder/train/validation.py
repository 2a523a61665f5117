"""How good a model is while it trains: the same lines each time, measured as listeners would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from vocoder.errors import BadInput
from vocoder.evaluate.metrics import estoi, mel_distance_db
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse
from vocoder.train.board import Board
from vocoder.train.examples import Example, Source
from vocoder.train.objective.base import Objective

SHOWN = 3  # lines whose sound and pictures are written


@dataclass(frozen=True)
class Line:
    """A line to validate on, and what the best thinkable inverter would give."""

    name: str
    example: Example
    n_samples: int


@dataclass(frozen=True)
class Verdict:
    """What a validation found.

    Parameters
    ----------
    estoi, mel_distance_db : float
        Means over the lines.
    """

    estoi: float
    mel_distance_db: float


class Validation:
    """Fixed lines, each damaged in the same way every time.

    Parameters
    ----------
    sources : sequence of Source
        The lines of each are taken in turn.
    spec : SpectrogramSpec
    lines : int
        How many at most.
    seed : int
        Of the damage.

    Raises
    ------
    BadInput
        No line long enough to measure.
    """

    def __init__(self, sources: Sequence[Source], spec: SpectrogramSpec, lines: int, seed: int):
        self._spec = spec
        self._lines: list[Line] = []
        longest = max(len(source.total_frames) for source in sources)
        candidates = [
            (source, index)
            for index in range(longest)
            for source in sources
            if index < len(source.total_frames)
        ]
        for number, (source, index) in enumerate(candidates):
            if len(self._lines) == lines:
                break
            example = source.whole(index, np.random.default_rng((seed, number)))
            n_samples = min(example.sound.size, spec.n_samples(example.true.shape[1]))
            try:
                estoi(example.sound[:n_samples], example.sound[:n_samples], spec.sample_rate)
            except BadInput:  # too short or silent to be measured
                continue
            self._lines.append(Line(f"line{len(self._lines):02d}", example, n_samples))
        if not self._lines:
            raise BadInput(
                "no line to validate on: the validation split has none with 0.4 s of speech"
            )

    @torch.inference_mode()
    def __call__(
        self,
        objective: Objective,
        model: nn.Module,
        device: torch.device,
        step: int,
        board: Board | None,
    ) -> Verdict:
        """Render every line with ``model`` and measure it; show the first on the board."""
        scores, distances = [], []
        for number, line in enumerate(self._lines):
            values = torch.from_numpy(line.example.damaged)[None].to(device)
            sound = objective.render(model, values)[0, : line.n_samples].float().cpu().numpy()
            true = line.example.sound[: line.n_samples]
            if not np.isfinite(sound).all() or not np.abs(sound).max() > 0:
                scores.append(0.0)
                continue
            scores.append(estoi(true, sound, self._spec.sample_rate))
            distances.append(mel_distance_db(true, sound, self._spec.sample_rate))
            if board is not None and number < SHOWN:
                self._show(board, line, sound, step)
        verdict = Verdict(
            float(np.mean(scores)), float(np.mean(distances)) if distances else float("inf")
        )
        if board is not None:
            board.add_scalar("validation/estoi", verdict.estoi, step)
            board.add_scalar("validation/mel_distance_db", verdict.mel_distance_db, step)
        return verdict

    def _show(self, board: Board, line: Line, sound: np.ndarray, step: int) -> None:
        rate = self._spec.sample_rate
        board.add_audio(f"{line.name}/sound", torch.from_numpy(sound)[None], step, rate)
        after = analyse(torch.from_numpy(sound)[None], self._spec).decibels[0]
        frames = min(after.shape[1], line.example.true.shape[1])
        rows = [line.example.damaged, after.numpy(), line.example.true]
        picture = np.concatenate([self._grey(row[:, :frames]) for row in rows])
        board.add_grey(f"{line.name}/given_made_true", picture, step)
        if step == 0:
            board.add_audio(
                f"{line.name}/true", torch.from_numpy(line.example.sound)[None], step, rate
            )

    def _grey(self, decibels: np.ndarray) -> np.ndarray:
        return np.asarray((decibels[::-1] / FLOOR_DB * -255 + 255).clip(0, 255), np.uint8)
