"""Which utterances are good enough to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocoder.audio import MIX
from vocoder.audio_file import open_audio, read_blocks
from vocoder.corpus.levels import levels
from vocoder.corpus.spans import Span
from vocoder.errors import expect

CLIPPED, NOISY, QUIET, OFFSET = "clipped", "noisy", "too quiet", "constant offset"
FULL_SCALE = 32767 / 32768  # the greatest positive number of 16 bits

_NEAR = 0.999  # of the recording's extreme, where its flat tops lie
_MIN_EXTREME = 0.1  # nothing below is taken for an extreme, as silence is flat too


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an utterance must keep to."""

    # 20 dB of noise below speech is heard in every pause, and a vocoder learns to make it.
    min_snr_db: float = 20.0
    max_clipped: float = 1e-3  # share of samples: 22 a second
    min_rms_dbfs: float = -50.0  # below, it is distant, or somebody in the background
    max_offset: float = 0.01  # share of full scale; above, the recording is defective

    def __post_init__(self) -> None:
        for name in ("max_clipped", "max_offset"):
            value = getattr(self, name)
            expect(0 <= value <= 1, f"limits.{name}", value, "a share from 0 to 1")

    def fault(self, samples: np.ndarray, snr_db: float, clipped: float) -> str | None:
        """Why an utterance is not good enough; ``None`` if it is.

        Of ``(samples,)``, full scale at 1; ``clipped`` is the share of those that are clipped.
        """
        if levels(samples).rms_dbfs < self.min_rms_dbfs:
            return QUIET
        if clipped > self.max_clipped:
            return CLIPPED
        if abs(float(np.mean(samples, dtype=np.float64))) > self.max_offset:
            return OFFSET
        return NOISY if snr_db < self.min_snr_db else None


class Clipping:
    """Where a recording is clipped, in any channel that is used.

    Looked for at the recording's own rate, since resampling rounds flat tops off: runs of three or
    more equal samples at the recording's greatest or least value, which is where a recording lies
    that was clipped first and turned down then; and samples at or beyond full scale, unless the
    file holds floating-point numbers, which go on beyond.
    """

    def __init__(self, path: Path, channel: str | int = MIX) -> None:
        highest, lowest, start = _MIN_EXTREME, -_MIN_EXTREME, 0
        positions, values = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        with open_audio(path) as file:
            self.sample_rate: int = file.samplerate
            full_scale = np.inf if file.subtype in ("FLOAT", "DOUBLE") else FULL_SCALE
            for block in read_blocks(file, path):
                for index in range(file.channels) if channel == MIX else [int(channel) - 1]:
                    samples = np.ascontiguousarray(block[:, index])
                    highest = max(highest, float(samples.max()))
                    lowest = min(lowest, float(samples.min()))
                    where = _flat(samples, _NEAR * lowest, _NEAR * highest, full_scale)
                    positions.append(where + start)
                    values.append(samples[where])
                start += len(block)
        # Extremes were those up to the block; now they are known.
        value = np.concatenate(values)
        flat = (value >= _NEAR * highest) | (value <= _NEAR * lowest)
        self._positions = np.unique(np.concatenate(positions)[flat | (np.abs(value) >= full_scale)])

    def share(self, span: Span) -> float:
        """Share of a span's samples that are clipped."""
        first, last = (round(edge * self.sample_rate) for edge in span)
        count = np.diff(np.searchsorted(self._positions, (first, last)))[0]
        return float(count) / max(last - first, 1)


def _flat(samples: np.ndarray, low: float, high: float, full_scale: float) -> np.ndarray:
    """Where samples are beyond full scale, or beyond ``low`` or ``high`` and in runs of three."""
    where = np.flatnonzero((samples >= min(high, full_scale)) | (samples <= max(low, -full_scale)))
    padded = np.pad(samples, 2, constant_values=np.nan)
    before, just_before, here, just_after, after = (padded[where + shift] for shift in range(5))
    run = (
        ((just_before == here) & (here == just_after))
        | ((before == here) & (just_before == here))
        | ((just_after == here) & (after == here))
    )
    clipped: np.ndarray = where[run | (np.abs(here) >= full_scale)]
    return clipped
