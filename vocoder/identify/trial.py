"""How well audio explains what a file shows, if it is read in some way."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.identify.laws import Analysis, Range
from vocoder.identify.pitch import comb
from vocoder.image.codec.law import Law
from vocoder.inverter.base import Inverter
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse

SECONDS = 1.5  # of the loudest part that is tried
MIN_COLUMNS = 64
LONG_N_FFT = 4096  # of which less is tried
N_ITER = 6
# Sparse frames are met by more waveforms; a quarter of a window from frame to frame is usual.
USUAL_OVERLAP = 4.0
HIGH_RATE = 32_000  # from which bins of 1024 are too wide for low voices
PITCH_RANGE_DB = 80.0
HARMONIC = 0.2  # how strong the comb is in speech (`pitch.comb`)


class Trial:
    """Invert a piece of what a file shows, in one way after the other.

    Parameters
    ----------
    fractions : ndarray
        ``(rows, columns)``, 0 to 1, row 0 the lowest frequency, 1 the loudest.
    """

    def __init__(self, fractions: np.ndarray) -> None:
        self.fractions = fractions
        total = fractions.mean(axis=0, dtype=np.float64)
        self._sums = np.concatenate([[0.0], np.cumsum(total)])

    def piece(self, columns: int) -> np.ndarray:
        """The loudest so many columns."""
        if columns >= self.fractions.shape[1]:
            return self.fractions
        begin = int(np.argmax(self._sums[columns:] - self._sums[:-columns]))
        return self.fractions[:, begin : begin + columns]

    def score(self, analysis: Analysis, width: Range) -> float:
        """How far the audio's own spectrogram is from the piece; see `Reading.score`."""
        spec = analysis.spec
        slow = spec.n_fft > LONG_N_FFT
        hop = analysis.placement.get("hop_length") or spec.hop_length
        columns = MIN_COLUMNS if slow else round(SECONDS * spec.sample_rate / hop)
        piece = self.piece(max(MIN_COLUMNS, columns))
        try:
            law = Law(**width.law(spec), **analysis.placement)
            wanted = law.pixels_to_decibels(piece, spec)
        except BadInput:
            return math.inf
        decibels = np.maximum(wanted, -200.0).astype(np.float32)
        given = Spectrogram(torch.from_numpy(decibels)[None], spec)
        samples = _quick()(given)
        shown = analyse(samples, spec).decibels[0].numpy()
        edge = math.ceil(spec.n_fft / spec.hop_length / 2)
        inner = slice(edge, max(edge + 1, decibels.shape[1] - edge))
        loudest, top = float(decibels.max()), float(piece.max())

        def as_fractions(db: np.ndarray) -> np.ndarray:
            return width.fractions(db[:, inner] - loudest, top, spec.power)

        truth = as_fractions(decibels)
        spread = float(np.abs(truth - truth.mean()).mean())
        if not spread:
            return math.inf
        error = float(np.abs(as_fractions(shown) - truth).mean()) / spread
        sparse = math.sqrt(max(1.0, USUAL_OVERLAP * spec.hop_length / spec.win_length))
        doubt = (analysis.prior * width.prior) ** _weight(spec)
        doubt *= analysis.misfit * unharmonic(samples, spec.sample_rate)
        return float(error * sparse * doubt)


def unharmonic(samples: torch.Tensor, sample_rate: int) -> float:
    """Above 1 where harmonics are not equally far apart: audio that was read in a wrong place."""
    n_fft = 1024 if sample_rate < HIGH_RATE else 2048
    spec = SpectrogramSpec.stft(
        sample_rate=sample_rate, n_fft=n_fft, hop_length=n_fft // 2, pad_mode="constant", power=1.0
    )
    decibels = analyse(samples, spec).decibels[0].numpy()
    strength = comb(np.clip(1 + (decibels - decibels.max()) / PITCH_RANGE_DB, 0, 1))[0]
    return math.sqrt(HARMONIC / max(strength, HARMONIC / 10))


def _weight(spec: SpectrogramSpec) -> float:
    """How much doubts count: the more the less a spectrogram tells of its audio."""
    return min(max(1.0, 2 * spec.hop_length / spec.bins), 8.0)


@lru_cache(maxsize=1)
def _quick() -> Inverter:
    # A network for some specs would have these explain everything better.
    inverter: Inverter = load(
        "inverter", "griffin_lim", n_iter=N_ITER, refine_from=2, refine_every=1, mels=None
    )
    return inverter
