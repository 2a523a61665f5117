"""Three channels of grey images that should be equal."""

from __future__ import annotations

import numpy as np

from vocoder.image.codec.base import Codec, channel_spread, planes
from vocoder.image.doctor.options import Finding

# Decoding averages three channels. What is left of their disagreement after that matters from
# half a level on; less hides in the rounding to 8 bits. Real output of pix2pix measured 1.5.
CHANNEL_ERROR_LEVELS = 0.5
CHANNEL_APART_LEVELS = 8  # only noted: the share of pixels whose channels are further apart


class Channels:
    """Takes grey images one by one, and tells how far their channels disagree."""

    def __init__(self) -> None:
        self._variance: list[float] = []
        self._apart: list[float] = []
        self._max = 0

    def add(self, pixels: np.ndarray) -> None:
        """``(rows, columns)`` or ``(rows, columns, 3)``, uint8."""
        spread = channel_spread(pixels)
        self._apart.append(float((spread > CHANNEL_APART_LEVELS).mean()))
        self._max = max(self._max, int(spread.max()))
        if not spread.any():
            self._variance.append(0.0)
            return
        r, g, b = planes(pixels.astype(np.float32))
        squares = (r - g) ** 2 + (g - b) ** 2 + (b - r) ** 2
        self._variance.append(float(squares.mean()) / 6)  # the unbiased variance of three

    def findings(self, where: str, codec: Codec | None) -> list[Finding]:
        if not self._variance:
            return []
        left = float(np.sqrt(np.mean(self._variance) / 3))
        if left <= CHANNEL_ERROR_LEVELS:
            return []
        in_db = f" ({left * codec.resolution_db():.2f} dB)" if codec else ""
        found = (
            "the three channels should be equal, but "
            f"{np.mean(self._apart):.1%} of the pixels are more than {CHANNEL_APART_LEVELS} "
            f"levels apart, up to {self._max}; averaging leaves an error of about "
            f"{left:.1f} levels{in_db}"
        )
        fix = "--input_nc 1 --output_nc 1 (train and test), or longer training"
        if codec is None:  # nothing says that they should be grey
            fix = f"codec=, as vocoder identify finds it; of a grey pix2pix: {fix}"
        return [Finding(code="channels", where=where, found=found, fix=fix)]
