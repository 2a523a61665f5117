"""Voice activity: when somebody speaks, how loud, and over how much noise.

A detector of our own, since the well-kept libraries bring either networks with dependencies that
this package avoids, or eight-year-old code that decides on 16 kHz telephone models. What it has to
find is easy by comparison: speech loud enough to train on. It goes by the level above a noise floor
that it tracks, and by voicing, so that doors, clicks and breath are no speech. Music is not told
from speech; cut it out, or give labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from vocoder.corpus.spans import Span, merge
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse_linear

BAND_HZ = (100.0, 7000.0)  # what levels are taken from: without rumble, hum and DC
PITCH_HZ = (65.0, 400.0)
VOICE_BAND_HZ = (60.0, 2000.0)  # where voicing is looked for; noise is stronger above
FRAME_S, HOP_S = 0.046, 0.0116  # 1024 and 256 samples at 22 050 Hz
SILENT_DB = -110.0  # given to frames without any sound
LEAST_FLOOR_DB = -95.0  # what the rounding to 16 bits makes; after a noise gate it is nothing

FLOOR_WINDOW_S = 10.0
FLOOR_PERCENTILE, LOUD_PERCENTILE = 5.0, 95.0
# Speech begins where the level is so far above the floor and no further below loud speech, and
# lasts until it falls below the second pair.
START_DB, STOP_DB = (10.0, -35.0), (6.0, -42.0)
VOICED = 0.5  # least normalised autocorrelation of a voiced frame
LEAST_VOICED_S = 0.06
LEAST_SPEECH_S = 0.12
BRIDGE_S = 0.25  # pauses up to this, such as stops within words, belong to the speech around

_BLOCK_FRAMES = 4096


@dataclass(frozen=True)
class Activity:
    """A recording as the detector hears it; arrays of one value a frame.

    Parameters
    ----------
    hop_s : float
        From the middle of a frame to that of the next; the first lies at 0.
    level_db : ndarray
        RMS level between 100 Hz and 7 kHz, in dB relative to 1.0.
    floor_db : ndarray
        The tracked noise floor in the same unit.
    speech : list of Span
        Where somebody speaks.
    """

    hop_s: float
    level_db: np.ndarray
    floor_db: np.ndarray
    speech: list[Span]

    def frames(self, span: Span) -> slice:
        """The frames whose middle lies in a span; at least one."""
        first = min(math.ceil(span.start_s / self.hop_s), len(self.level_db) - 1)
        return slice(first, max(math.floor(span.end_s / self.hop_s) + 1, first + 1))

    def snr_db(self, span: Span) -> float:
        """Signal-to-noise ratio of a span, estimated.

        The span's mean power less that of the noise floor around it, over that of the floor, all
        between 100 Hz and 7 kHz. The floor is the fifth percentile of frame levels within 10 s.
        Noise that comes and goes with the speech, as after a noise gate, is not seen.

        Returns
        -------
        float
            In dB.
        """
        frames = self.frames(span)
        power = float(np.mean(10 ** (self.level_db[frames] / 10)))
        noise = float(np.mean(10 ** (self.floor_db[frames] / 10)))
        return 10 * math.log10(max(power - noise, 1e-3 * noise) / noise)

    def quietest_s(self, span: Span) -> float:
        """The moment in a span where the level is lowest."""
        frames = self.frames(span)
        return float(frames.start + np.argmin(self.level_db[frames])) * self.hop_s


def listen(samples: np.ndarray, sample_rate: int) -> Activity:
    """Find speech.

    Parameters
    ----------
    samples : ndarray
        ``(samples,)``, float32.
    sample_rate : int
        In Hz.

    Returns
    -------
    Activity
    """
    spec = _spec(sample_rate)
    level_db, voiced = _features(samples, spec)
    hop_s = spec.hop_length / sample_rate
    floor_db, loud_db = _tracks(level_db, hop_s)
    speech = _decide(level_db, floor_db, loud_db, voiced, hop_s)
    total_s = len(samples) / sample_rate
    return Activity(hop_s, level_db, floor_db, [Span(a, min(b, total_s)) for a, b in speech])


def _spec(sample_rate: int) -> SpectrogramSpec:
    n_fft = 2 ** round(math.log2(FRAME_S * sample_rate))
    return SpectrogramSpec.stft(
        sample_rate=sample_rate,
        n_fft=n_fft,
        hop_length=round(HOP_S * sample_rate),
        pad_mode="constant",
        power=2.0,
    )


def _features(samples: np.ndarray, spec: SpectrogramSpec) -> tuple[np.ndarray, np.ndarray]:
    """Level and voicing of every frame, block by block."""
    hz = np.fft.rfftfreq(spec.n_fft, 1 / spec.sample_rate)
    in_band = (hz >= BAND_HZ[0]) & (hz <= BAND_HZ[1])
    in_voice = (hz >= VOICE_BAND_HZ[0]) & (hz <= VOICE_BAND_HZ[1])
    window = np.hanning(spec.n_fft + 1)[:-1]
    # Parseval: a sound's mean square is twice the sum over its positive frequencies.
    scale = 2 / (spec.n_fft * float(np.sum(window**2)))
    own = np.fft.irfft(np.abs(np.fft.rfft(window)) ** 2)
    lags = slice(int(spec.sample_rate / PITCH_HZ[1]), int(spec.sample_rate / PITCH_HZ[0]) + 1)
    levels, voiced = [], []
    step = _BLOCK_FRAMES * spec.hop_length
    half = spec.n_fft // 2
    for begin in range(0, len(samples) + 1, step):
        # Whole frames of the neighbours on both sides, cut off again.
        first = max(begin - math.ceil(half / spec.hop_length) * spec.hop_length, 0)
        piece = np.ascontiguousarray(samples[first : begin + step + half])
        if not len(piece):
            break
        power = analyse_linear(torch.from_numpy(piece)[None], spec)[0].T.numpy()
        skip = (begin - first) // spec.hop_length
        power = power[skip : skip + _BLOCK_FRAMES]
        levels.append(power[:, in_band].sum(axis=1) * scale)
        # Autocorrelation of the frame over that of its window (Boersma 1993).
        correlation = np.fft.irfft(np.where(in_voice, power, 0), axis=1)
        energy = np.maximum(correlation[:, :1], 1e-20)
        voiced.append(np.max(correlation[:, lags] / energy * (own[0] / own[lags]), axis=1))
    mean_square = np.concatenate(levels)
    level_db = 10 * np.log10(np.maximum(mean_square, 10 ** (SILENT_DB / 10)))
    return level_db, np.concatenate(voiced) > VOICED


def _tracks(level_db: np.ndarray, hop_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Noise floor and level of loud speech around every frame."""
    width = min(round(FLOOR_WINDOW_S / hop_s), len(level_db))
    step = max(round(1.0 / hop_s), 1)
    last = len(level_db) - width
    starts = np.unique([*range(0, last, step), last])
    tracks = np.empty((2, len(starts)))
    for index, start in enumerate(starts):
        window = np.maximum(level_db[start : start + width], LEAST_FLOOR_DB)
        tracks[:, index] = np.percentile(window, (FLOOR_PERCENTILE, LOUD_PERCENTILE))
    middle = starts + width / 2
    floor_db, loud_db = (np.interp(np.arange(len(level_db)), middle, track) for track in tracks)
    return floor_db, loud_db


def _decide(
    level_db: np.ndarray,
    floor_db: np.ndarray,
    loud_db: np.ndarray,
    voiced: np.ndarray,
    hop_s: float,
) -> list[Span]:
    # A window that holds a shout and whispers should not lose the whispers.
    start = np.maximum(floor_db + START_DB[0], loud_db + START_DB[1])
    stop = np.maximum(floor_db + STOP_DB[0], loud_db + STOP_DB[1])
    above, certain = level_db > stop, level_db > start
    spans = []
    for first, last in _runs(above):
        if certain[first:last].any():
            spans.append(Span((first - 0.5) * hop_s, (last - 0.5) * hop_s))
    kept = []
    for span in merge(spans, BRIDGE_S):
        frames = slice(round(span.start_s / hop_s + 0.5), round(span.end_s / hop_s + 0.5))
        voiced_s = np.count_nonzero(voiced[frames] & above[frames]) * hop_s
        if span.length_s >= LEAST_SPEECH_S and voiced_s >= LEAST_VOICED_S:
            kept.append(Span(max(span.start_s, 0.0), span.end_s))
    return kept


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last index of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
