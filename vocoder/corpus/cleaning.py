"""Which clips are good enough to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from vocoder.audio import MIX
from vocoder.corpus.levels import Levels, levels
from vocoder.corpus.spans import Span
from vocoder.errors import BadInput

CLIPPED, NOISY, QUIET, OFFSET = "clipped", "noisy", "too quiet", "constant offset"
# The greatest positive number of 16 bits.
FULL_SCALE = 32767 / 32768

_NEAR = 0.999  # of the recording's extreme, where its flat tops lie
_LEAST = 0.1  # nothing below is taken for an extreme, as silence is flat too
_BLOCK_FRAMES = 1 << 20


@dataclass(frozen=True)
class Quality:
    """What is measured of a clip.

    Parameters
    ----------
    levels : Levels
    snr_db : float
        See `activity.Activity.snr_db`.
    clipped : float
        Share of its samples that are clipped, 0 to 1.
    offset : float
        Its mean, which should be 0, as a share of full scale.
    """

    levels: Levels
    snr_db: float
    clipped: float
    offset: float


def quality(samples: np.ndarray, snr_db: float, clipped: float) -> Quality:
    """Measure a clip, ``(samples,)``, full scale at 1."""
    return Quality(levels(samples), snr_db, clipped, abs(float(np.mean(samples, dtype=np.float64))))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a clip must keep to.

    Parameters
    ----------
    least_snr_db : float
        20 dB of noise below speech is heard in every pause, and a vocoder learns to make it.
    most_clipped : float
        Share of samples; a thousandth is 22 samples a second.
    least_rms_dbfs : float
        Quieter clips are distant, or somebody else in the background.
    most_offset : float
        Share of full scale; what lies above is a defective or distorted recording.

    Raises
    ------
    BadInput
        A share outside 0 to 1.
    """

    least_snr_db: float = 20.0
    most_clipped: float = 1e-3
    least_rms_dbfs: float = -50.0
    most_offset: float = 0.01

    def __post_init__(self) -> None:
        for name in ("most_clipped", "most_offset"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} is {getattr(self, name)}; expected a share from 0 to 1")

    def fault(self, clip: Quality) -> str | None:
        """Why a clip is not good enough; ``None`` if it is."""
        if clip.levels.rms_dbfs < self.least_rms_dbfs:
            return QUIET
        if clip.clipped > self.most_clipped:
            return CLIPPED
        if clip.offset > self.most_offset:
            return OFFSET
        return NOISY if clip.snr_db < self.least_snr_db else None


class Clipping:
    """Where a recording is clipped, in any channel that is used.

    Looked for at the recording's own rate, since resampling rounds flat tops off: samples at or
    beyond full scale, and runs of three or more equal ones at the recording's greatest or least
    value, which is where a recording lies that was clipped first and turned down then.

    Parameters
    ----------
    path : Path
        A file that `vocoder.audio.read_audio` has read without complaint.
    channel : "mix" or int
        All channels, or one of them, counted from 1.
    """

    def __init__(self, path: Path, channel: str | int = MIX) -> None:
        highest, lowest = _LEAST, -_LEAST
        positions, values = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        with soundfile.SoundFile(path) as file:
            self.sample_rate: int = file.samplerate
            channels = range(file.channels) if channel == MIX else [int(channel) - 1]
            start = 0
            for block in file.blocks(_BLOCK_FRAMES, dtype="float32", always_2d=True):
                for index in channels:
                    sound = np.ascontiguousarray(block[:, index])
                    highest = max(highest, float(sound.max()))
                    lowest = min(lowest, float(sound.min()))
                    where = _flat(sound, _NEAR * lowest, _NEAR * highest)
                    positions.append(where + start)
                    values.append(sound[where])
                start += len(block)
        # Extremes were those up to the block; now they are known.
        value = np.concatenate(values)
        flat = (value >= _NEAR * highest) | (value <= _NEAR * lowest)
        self._positions = np.unique(np.concatenate(positions)[flat | (np.abs(value) >= FULL_SCALE)])

    def share(self, span: Span) -> float:
        """Share of a span's samples that are clipped."""
        first, last = (round(edge * self.sample_rate) for edge in span)
        count = np.searchsorted(self._positions, last) - np.searchsorted(self._positions, first)
        return float(count) / max(last - first, 1)


def _flat(sound: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where samples are beyond full scale, or beyond ``low`` or ``high`` and in runs of three."""
    where = np.flatnonzero((sound >= min(high, FULL_SCALE)) | (sound <= max(low, -FULL_SCALE)))
    padded = np.pad(sound, 2, constant_values=np.nan)
    before, just_before, here, just_after, after = (padded[where + shift] for shift in range(5))
    run = (
        ((just_before == here) & (here == just_after))
        | ((before == here) & (just_before == here))
        | ((just_after == here) & (after == here))
    )
    clipped: np.ndarray = where[run | (np.abs(here) >= FULL_SCALE)]
    return clipped
