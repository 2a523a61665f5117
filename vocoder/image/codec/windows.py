"""Three analyses of one recording in the three colours, with windows of three lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vocoder.errors import BadInput, expect
from vocoder.image.codec.base import PNG, WEBP, LevelCodec, require_number
from vocoder.spec import SpectrogramSpec


@dataclass(frozen=True, kw_only=True)
class Windows(LevelCodec):
    """Red is fine in time, green is the spec's own analysis, blue is fine in pitch.

    Each channel holds 255 levels of the same range, in dB of a full-scale sine under its own
    window. Around a click the long window's blue spreads over time, between the harmonics of a
    steady voice the short window's red, and what all windows see alike, such as hiss, is grey. A
    generator errs in each of them in partly independent ways, and phase retrieval finds the one
    waveform that explains all three. JPEG is none of its containers: it stores colour at half the
    resolution.

    Parameters
    ----------
    red_window, blue_window : int
        In samples, one shorter and one longer than the spec's; see `SpectrogramSpec.with_window`.
    red_weight, blue_weight : float
        How much they count in a joint inversion, where green counts 1.
    """

    name: ClassVar[str] = "windows"
    mode: ClassVar[str] = "RGB"
    suffixes: ClassVar[tuple[str, ...]] = PNG + WEBP
    top = 255

    red_window: int
    blue_window: int
    red_weight: float
    blue_weight: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("red_window", "blue_window"):
            value = getattr(self, name)
            samples = type(value) is int and value > 0
            expect(samples, f"codec.{name}", value, "a whole number of samples above 0")
        for name in ("red_weight", "blue_weight"):
            value = getattr(self, name)
            require_number(value, f"codec.{name}", "0 or more")
            expect(value >= 0, f"codec.{name}", value, "0 or more")

    def analyses(self, spec: SpectrogramSpec) -> tuple[tuple[SpectrogramSpec, float], ...]:
        """Green first, then red and blue."""
        if spec.kind != "mel" or not spec.center:
            raise BadInput(
                f"codec windows needs centred mel bands, which are the same for all windows; the "
                f"spec is {spec.describe()}",
                key="codec.windows.spec",
            )
        if not self.red_window < spec.win_length < self.blue_window:
            raise BadInput(
                f"codec.red_window is {self.red_window} and codec.blue_window {self.blue_window}; "
                f"expected one below and one above the spec's win_length {spec.win_length}",
                key="codec.windows.range",
            )
        if self.red_window < spec.hop_length:
            raise BadInput(
                f"codec.red_window is {self.red_window}, shorter than a hop of the spec, "
                f"{spec.hop_length}; expected that or more, such as "
                f"codec.red_window={spec.win_length // 2} codec.blue_window={spec.win_length * 2}",
                key="codec.windows.range",
            )
        red, blue = (spec.with_window(window) for window in (self.red_window, self.blue_window))
        return (spec, 1.0), (red, self.red_weight), (blue, self.blue_weight)

    def _colours(self, levels: np.ndarray) -> np.ndarray:
        green, red, blue = np.split(levels.astype(np.uint8), 3)
        return np.stack([red, green, blue], axis=2)

    def _levels(self, pixels: np.ndarray) -> tuple[np.ndarray, None]:
        red, green, blue = np.moveaxis(pixels, 2, 0)
        return np.concatenate([green, red, blue]), None
