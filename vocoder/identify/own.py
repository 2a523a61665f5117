"""Presets of a spec and a codec of one name, of which neither is tried without the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from vocoder.config import load
from vocoder.identify.laws import (
    OWN_ARRAYS,
    OWN_IMAGES,
    SIGNED,
    Analysis,
    Range,
    Settings,
    differences,
)
from vocoder.identify.look import View, are_amplitudes
from vocoder.identify.trial import Trial
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.law import Law

Attempt = tuple[Analysis, Range, float]
PLACED = ("rows", "hz_min", "hz_max", "hop_length")
SEEN = ("cmap", "crop", "row_0", "transposed")  # what the file itself shows
NEAR, SPANNED = 2e-3, 0.6  # of a preset's range that its arrays go through at least
# ffmpeg's legend is 25 (log10(rate) + 1) pixels wide beside 64 of margin above: whole pixels.
FFMPEG_RATES = (44_100, 22_050, 48_000, 16_000, 24_000, 32_000, 8_000, 96_000)
# Samples from column to column of ffmpeg's, which are the recording's by 4096: 1 to 40 s.
MIN_HOP, MAX_HOP = 4.0, 512.0
GRID, FINE = math.sqrt(2), 1.005
# ARSS asks how many bands an octave has, and goes from 27.5 Hz up to 20 kHz, or a little more.
ARSS_BANDS, ARSS_OCTAVES = (12, 24, 36, 48), (9.5, 9.75)
ARSS_PRIOR = 0.5  # hardly anything else shows amplitudes on so many rows


def signed(trial: Trial, view: View) -> Attempt | None:
    """What the program that alone draws with such colours draws; ``None`` without one."""
    name = SIGNED.get(view.codec.get("cmap", ""))
    if name is None:
        return None
    changes: Settings = {}
    if name == "showspectrumpic":
        left = view.codec.get("crop", [int(25 * (math.log10(FFMPEG_RATES[0]) + 1))])[0]
        rates = (one for one in FFMPEG_RATES if int(25 * (math.log10(one) + 1)) == left)
        size = 2 * len(trial.fractions)
        wanted = {"sample_rate": next(rates, 44_100), "n_fft": size, "win_length": size}
        spec = load("spec", name)
        changes = {key: value for key, value in wanted.items() if value != getattr(spec, key)}
    analysis, width = _preset(name, changes)
    if name == "showspectrumpic":

        def score(hop: float) -> float:
            return trial.score(_with_hop(analysis, hop), width)

        analysis = _with_hop(analysis, float(round(best_hop(score))))
        hop = "found by how well audio explains the columns: check it against the recording's"
    else:
        analysis = _with_hop(analysis, float(analysis.spec.hop_length))
        hop = "that of Audacity's usual zoom, which the image does not tell: codec.seconds= does"
    view.reasons.append(f"{name} alone draws with such colours; codec.hop_length is {hop}")
    return analysis, width, trial.score(analysis, width)


def of_image(trial: Trial) -> list[Attempt]:
    """Of the images' own presets those with so many rows, tried."""
    n_rows = len(trial.fractions)
    found = [_preset(name) for name in OWN_IMAGES if load("spec", name).bins == n_rows]
    if are_amplitudes(trial.fractions) and (bands := arss_bands(n_rows)):
        analysis, width = _preset("arss")
        place = analysis.placement | {"bins_per_octave": bands}
        found.append((replace(analysis, placement=place, prior=ARSS_PRIOR), width))
    return [(analysis, width, trial.score(analysis, width)) for analysis, width in found]


def arss_bands(n_rows: int) -> int | None:
    """Bands an octave of so many rows, if they may be ARSS's."""
    low, high = ARSS_OCTAVES
    return next((one for one in ARSS_BANDS if low * one <= n_rows <= high * one), None)


def of_array(trial: Trial, view: View, *, transposed: bool) -> list[Attempt]:
    """Of the arrays' own presets those with so many bands and such numbers, tried."""
    found: list[Attempt] = []
    for name in OWN_ARRAYS:
        law: Law = load("codec", name)
        analysis, width = _preset(name)
        low, high = law.at_min or 0.0, law.at_max or 0.0
        seen_low, seen_high = view.low or 0.0, view.high or 0.0
        inside = low - NEAR <= seen_low and seen_high <= high + NEAR
        share = (seen_high - seen_low) / (high - low)
        usual = len(trial.fractions) == analysis.spec.bins and law.transposed == transposed
        if inside and usual and share > SPANNED:
            width = replace(width, width_db=(width.width_db or 0.0) * share)
            found.append((analysis, width, trial.score(analysis, width)))
    return found


def best_hop(score: Callable[[float], float]) -> float:
    """Samples from column to column that score lowest: over a coarse grid, then between the
    neighbours of the best."""
    n_steps = round(math.log(MAX_HOP / MIN_HOP, GRID))
    grid = [MIN_HOP * GRID**step for step in range(n_steps + 1)]
    best = min(grid, key=score)
    low, high = best / GRID, best * GRID
    while high / low > FINE:
        first, second = low ** (2 / 3) * high ** (1 / 3), low ** (1 / 3) * high ** (2 / 3)
        if score(first) < score(second):
            high = second
        else:
            low = first
    return math.sqrt(low * high)


def _with_hop(analysis: Analysis, hop: float) -> Analysis:
    return replace(analysis, placement=analysis.placement | {"hop_length": hop})


def _preset(name: str, changes: Settings | None = None) -> tuple[Analysis, Range]:
    analysis = Analysis(option=name, changes=changes or {})
    law: Law = load("codec", name)
    settings = differences(law, Foreign())
    place = {key: settings.pop(key) for key in PLACED if key in settings}
    codec = {key: value for key, value in settings.items() if key not in SEEN}
    if law.unit == "linear":
        return replace(analysis, placement=place), Range(exponent=law.exponent, codec=codec)
    low, high = law.ends()
    width_db = law.unit_db(analysis.spec) * ((high or 0.0) - (low or 0.0))
    return replace(analysis, placement=place), Range(width_db=width_db, codec=codec)
