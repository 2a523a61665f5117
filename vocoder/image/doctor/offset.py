"""A constant offset of recordings, which an image shows as a line that a speaker never makes."""

from __future__ import annotations

import numpy as np

from vocoder.image.codec.base import Codec
from vocoder.image.doctor.options import Finding
from vocoder.spec import SpectrogramSpec

# Rows above the lowest that the lowest is compared with. A Hann window spreads a constant over two
# bins, which two mel bands may share.
_COMPARED = slice(2, 8)
# A constant's level doesn't change: from the quietest tenth of the columns to their median by this
# much at most. Recordings without one measured 8 to 35 dB, with one of 0.1 % or more 0 to 3 dB.
_STEADY_DB = 4.0
# It stands above the rows that follow, in the quietest tenth, by this much at least. An offset of
# 0.3 % measured 20 to 70 dB at eight bits.
_ABOVE_DB = 10.0
_QUIET = 0.1
_MIN_COLUMNS = 64


class ConstantOffset:
    """Takes images one by one, and tells whether a constant offset was left in the recordings."""

    def __init__(self, codec: Codec | None, spec: SpectrogramSpec | None) -> None:
        self._range_db = 0.0 if codec is None else codec.db_max - codec.db_min
        self._shown = spec is not None and (spec.fmin or 0) < spec.sample_rate / spec.n_fft
        self._lowest: list[np.ndarray] = []
        self._compared: list[np.ndarray] = []

    def add(self, level: np.ndarray) -> None:
        """``(bins, frames)``, 0 (floor) to 1 (top)."""
        if self._shown and len(level) >= _COMPARED.stop:
            filled = level[:, level.any(axis=0)]  # without the filling
            self._lowest.append(filled[0])
            self._compared.append(filled[_COMPARED])

    def findings(self, where: str, *, given: bool) -> list[Finding]:
        if not self._lowest:
            return []
        lowest_db = self._range_db * np.concatenate(self._lowest)
        if len(lowest_db) < _MIN_COLUMNS:
            return []
        quiet_db, median_db = np.quantile(lowest_db, [_QUIET, 0.5])
        others_db = self._range_db * np.quantile(np.hstack(self._compared), _QUIET, axis=1).mean()
        if median_db - quiet_db > _STEADY_DB or quiet_db - others_db < _ABOVE_DB:
            return []
        found = (
            "the lowest band never falls silent: even in pauses it stays "
            f"{quiet_db - others_db:.0f} dB above those that follow; the recordings have a "
            "constant offset (DC), which comes back as a hum"
        )
        fix = "recordings without it; encode takes it away" + (
            ", so encode again" if given else ", so encode and train again"
        )
        return [Finding(code="offset", where=where, found=found, fix=fix)]
