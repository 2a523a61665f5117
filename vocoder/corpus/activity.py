"""Voice activity: when somebody speaks, how loud, and over how much noise.

A detector of our own. silero-vad, whose wheel carries its weights, ends speech .4 s earlier in the
median of 300 of the recordings of recipes/fillets, where words decay in a reverberant room: what
it cuts off lies 19 to 31 dB below the speech. It takes eight times as long, finds no speech in one
of them, and levels and noise floor are needed beside it in any case. What has to be found here is
easy by comparison: speech loud enough to train on. It goes by the level above a noise floor that
it tracks, and by voicing, so that doors, clicks and breath are no speech. Music is not told from
speech; cut it out, or give labels.
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
SILENT_DB = -110.0  # given to frames of digital silence
MIN_FLOOR_DB = -95.0  # what the rounding to 16 bits makes; after a noise gate it is nothing

FLOOR_WINDOW_S = 10.0
FLOOR_PERCENTILE, LOUD_PERCENTILE = 5.0, 95.0
# Speech begins where the level is so far above the floor and no further below loud speech, and
# lasts until it falls below the second pair. A window that holds a shout and whispers keeps both.
START_DB, STOP_DB = (10.0, -35.0), (6.0, -42.0)
VOICED = 0.5  # least normalised autocorrelation of a voiced frame
MIN_VOICED_S = 0.06
MIN_SPEECH_S = 0.12
BRIDGE_S = 0.25  # pauses up to this, such as stops within words, belong to the speech around

_BLOCK_FRAMES = 4096


@dataclass(frozen=True)
class Activity:
    """What the detector finds in a recording; arrays of one value a frame."""

    hop_s: float  # from the middle of a frame to that of the next; the first lies at 0
    level_db: np.ndarray  # RMS between 100 Hz and 7 kHz, relative to 1.0
    floor_db: np.ndarray  # the tracked noise floor
    speech: list[Span]

    def frames(self, span: Span) -> slice:
        """Frames whose middle lies in a span; at least one."""
        first = min(math.ceil(span.start_s / self.hop_s), len(self.level_db) - 1)
        return slice(first, max(math.floor(span.end_s / self.hop_s) + 1, first + 1))

    def snr_db(self, span: Span) -> float:
        """Estimate the signal-to-noise ratio of a span, in dB.

        The span's mean power less that of the noise floor around it, over that of the floor, all
        between 100 Hz and 7 kHz. The floor is the fifth percentile of frame levels within 10 s.
        Noise that comes and goes with the speech, as after a noise gate, is not seen.
        """
        frames = self.frames(span)
        power = float(np.mean(10 ** (self.level_db[frames] / 10)))
        noise = float(np.mean(10 ** (self.floor_db[frames] / 10)))
        return 10 * math.log10(max(power - noise, 1e-3 * noise) / noise)

    def quietest_s(self, span: Span) -> float:
        """The moment in a span where the level is lowest."""
        frames = self.frames(span)
        return float(frames.start + np.argmin(self.level_db[frames])) * self.hop_s


def find_speech(samples: np.ndarray, sample_rate: int) -> Activity:
    """Find speech in a recording, ``(samples,)``, float32.

    >>> find_speech(np.zeros(22_050, np.float32), 22_050).speech
    []
    """
    spec = SpectrogramSpec.stft(
        sample_rate=sample_rate,
        n_fft=2 ** round(math.log2(FRAME_S * sample_rate)),
        hop_length=round(HOP_S * sample_rate),
        pad_mode="constant",
        power=2.0,
    )
    hop_s = spec.hop_length / sample_rate
    level_db, voiced = _features(samples, spec)
    floor_db, loud_db = _tracks(level_db, hop_s)
    start = np.maximum(floor_db + START_DB[0], loud_db + START_DB[1])
    stop = np.maximum(floor_db + STOP_DB[0], loud_db + STOP_DB[1])
    above = level_db > stop
    edges = np.flatnonzero(np.diff(above, prepend=False, append=False)).reshape(-1, 2)
    runs = [run for run in edges if (level_db > start)[slice(*run)].any()]
    # A frame stands for the time half a hop around its middle.
    spans = merge((Span(*((run - 0.5) * hop_s)) for run in runs), BRIDGE_S)
    spoken = voiced & above
    speech = [
        Span(max(span.start_s, 0.0), min(span.end_s, len(samples) / sample_rate))
        for span in spans
        if span.length_s >= MIN_SPEECH_S
        and np.count_nonzero(spoken[slice(*(round(edge / hop_s + 0.5) for edge in span))]) * hop_s
        >= MIN_VOICED_S
    ]
    return Activity(hop_s, level_db, floor_db, speech)


def _features(samples: np.ndarray, spec: SpectrogramSpec) -> tuple[np.ndarray, np.ndarray]:
    """Level and voicing of every frame, block by block."""
    hz = np.fft.rfftfreq(spec.n_fft, 1 / spec.sample_rate)
    in_band = (hz >= BAND_HZ[0]) & (hz <= BAND_HZ[1])
    in_voice = (hz >= VOICE_BAND_HZ[0]) & (hz <= VOICE_BAND_HZ[1])
    window = np.hanning(spec.n_fft + 1)[:-1]
    # Parseval: the mean square is twice the sum over positive frequencies.
    scale = 2 / (spec.n_fft * float(np.sum(window**2)))
    own = np.fft.irfft(np.abs(np.fft.rfft(window)) ** 2)
    lags = slice(int(spec.sample_rate / PITCH_HZ[1]), int(spec.sample_rate / PITCH_HZ[0]) + 1)
    levels, voiced = [], []
    step, half = _BLOCK_FRAMES * spec.hop_length, spec.n_fft // 2
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
    last = len(level_db) - width
    starts = np.unique([*range(0, last, max(round(1.0 / hop_s), 1)), last])
    windows = [np.maximum(level_db[start : start + width], MIN_FLOOR_DB) for start in starts]
    tracks = np.percentile(windows, (FLOOR_PERCENTILE, LOUD_PERCENTILE), axis=1)
    frames = np.arange(len(level_db))
    floor_db, loud_db = (np.interp(frames, starts + width / 2, track) for track in tracks)
    return floor_db, loud_db
