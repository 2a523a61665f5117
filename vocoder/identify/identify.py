"""What the file of a spectrogram that says nothing of itself probably is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.identify.arrays import MAX_BANDS, array_analyses, array_ranges
from vocoder.identify.laws import (
    CONSTANT_Q,
    LINEAR,
    OURS_DB,
    PAIRS,
    SIGNED,
    TOGETHER,
    UNUSUAL,
    Analysis,
    Settings,
    analyses,
    as_words,
    codec_words,
    image_ranges,
    is_usual,
    lasting,
    may_blur,
    resized,
    squared,
)
from vocoder.identify.look import (
    View,
    as_seen,
    guessed_seconds,
    look_at_numbers,
    look_at_pixels,
)
from vocoder.identify.mels import by_mel_harmonics, other_mels
from vocoder.identify.own import Attempt, arss_bands, of_array, of_image, signed
from vocoder.identify.pitch import bin_is_missing, comb, harmonics_rise
from vocoder.identify.search import LENGTH_SHARE, LIKELY_RANGES, search
from vocoder.identify.trial import Trial
from vocoder.image.array import INFO_SUFFIX, find_arrays, meaning, read_numbers
from vocoder.image.codec.base import Codec
from vocoder.image.codec.law import Law
from vocoder.image.doctor.looks import UNLIKE, skewness, tilt, unlikeness
from vocoder.image.file import read_image
from vocoder.spec import SpectrogramSpec

# Readings whose scores differ by less than this share explain the file equally well.
EQUAL_SHARE = 0.05
LENGTH_NEAR = 0.02
SHOWN = 5
# sox draws 513 rows and 100 columns a second, where they fit.
SOX_ROWS, SOX_COLUMNS_HZ = 513, 100.0
LOWEST_HZ = (20.0, 27.5, 30.0, 32.7, 40.0, 50.0, 55.0, 60.0, 65.4, 80.0, 100.0)
LIKELY_LOWEST, FURTHER = 3, 1.4  # a trial tells those apart that are so many times as high
PITCH_COLUMNS, VOTING_COLUMNS = 200, 600
GUESSED = "how long it lasts is only guessed: codec.seconds= says it in place of codec.hop_length="
RESIZED = "it may have been resized in time too: codec.seconds= says how long it lasts"
OURS = {"cmap", "reference", "db_min", "db_max"}  # what gray8 and colormap can say
USUAL_SHARE = 0.8  # of the 100 dB that `unlikeness` is about
# How much less likely speech is than its mirror image, for every hundredth by which what would be
# its upper half is the brighter one.
TILT_COUNTS = 4.0
VOTES_COUNT = 0.15  # as much tilt as all votes for a way up
UPRIGHT = 0.03  # by how much most images' standing upright counts as tilt
# Against skewness: of the range, per share of pixels that are in it; of colour maps.
EXTREME, EXTREMES_COUNT, USUAL_MAP = 0.01, 5.0, 0.3


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to read a file; given spec and codec alone, what the file itself says.

    Parameters
    ----------
    codec : Codec or None
        ``None`` where the spec alone says what an array holds.
    words : tuple of str
        The settings as the command line takes them.
    score : float
        How far the spectrogram of the inverted audio is from what the file shows: mean absolute
        difference over mean absolute deviation, times a factor above 1 for what is less usual.
        0 is best. 0 too where the file says itself what it is.
    seconds : float or None
        How long the audio is; ``None`` where the file says itself what it is.
    reasons : tuple of str
        What speaks for it, in words.
    """

    spec: SpectrogramSpec
    codec: Codec | None
    words: tuple[str, ...] = ()
    score: float = 0.0
    reasons: tuple[str, ...] = ("the file says so itself: no settings are needed",)
    seconds: float | None = None


def identify(path: str | Path) -> list[Reading]:
    """Rank the ways to read an image or an array.

    Returns
    -------
    list of Reading
        The best first; those whose score is within `EQUAL_SHARE` of it are as good. Those of
        `other_lengths` are among them.
    """
    path = Path(path)
    is_array = bool(find_arrays(path))
    if is_array and path.with_suffix(INFO_SUFFIX).exists():
        return [Reading(spec=meaning(path, None)[0], codec=None)]
    image = None if is_array else read_image(path)
    if image is not None and image.info is not None:
        return [Reading(spec=image.info.spec, codec=image.info.codec)]
    numbers = read_numbers(path) if image is None else image.pixels
    try:
        if image is None or image.mode == "F":
            return _ranked(_of_array(numbers, first_row="low" if is_array else "high"))
        return _ranked(_of_pixels(numbers))
    except BadInput as error:
        raise BadInput(f"{path}: {error}", key=error.key) from error


def equals(readings: list[Reading]) -> list[Reading]:
    """Those that are as good as the first."""
    return [one for one in readings if one.score <= readings[0].score * (1 + EQUAL_SHARE)]


def other_lengths(readings: list[Reading]) -> list[Reading]:
    """The best of every other length that the audio may have, where no reading is much better."""
    lengths = [readings[0].seconds or 0.0]
    found = []
    for one in readings[1:]:
        near = any(abs((one.seconds or 0.0) - length) <= LENGTH_NEAR * length for length in lengths)
        if not near and one.score <= readings[0].score * (1 + LENGTH_SHARE):
            lengths.append(one.seconds or 0.0)
            found.append(one)
    return found


def _ranked(readings: Iterable[Reading]) -> list[Reading]:
    best: dict[tuple[Any, ...], Reading] = {}
    for one in sorted(readings, key=lambda reading: reading.score):
        best.setdefault(one.words, one)
    ranked = list(best.values())
    return [*ranked[:SHOWN], *(one for one in other_lengths(ranked) if one not in ranked[:SHOWN])]


def _require_likeness(fractions: np.ndarray) -> None:
    """Refuse what looks like no spectrogram, whatever is up and whatever is loud."""
    ways = [one for way in (fractions, fractions[::-1]) for one in (way, 1 - way)]
    if min(unlikeness(np.clip(1 + (one - 1) * USUAL_SHARE, 0, 1)) for one in ways) > UNLIKE:
        raise BadInput(
            "it does not look like a spectrogram: of a photograph, a chart or text there is "
            "nothing to hear. If it is one, give spec= and codec= yourself, and force=true",
            key="image.unlike",
        )


def _of_pixels(pixels: np.ndarray) -> list[Reading]:
    """Of what is as wide as bands are, and as much brighter on one side, time may run down."""
    view = look_at_pixels(pixels)
    seen = as_seen(view.fractions)
    _require_likeness(seen)
    readings = _of_image(view)
    rows, columns = seen.shape
    known = view.is_hue or view.stretch != 1 or view.codec.get("cmap") in SIGNED
    may_turn = not known and columns <= MAX_BANDS and is_usual(columns)
    if may_turn and abs(tilt(seen.T)) > abs(tilt(seen)):
        against = UNUSUAL if is_usual(rows) else 1 / UNUSUAL
        for one in _of_image(look_at_pixels(pixels, transposed=True)):
            readings.append(replace(one, score=one.score * against))
    return readings


def _of_image(view: View) -> list[Reading]:
    if own := signed(Trial(view.fractions), view):
        analysis, width, score = own
        codec = dict(view.codec) | analysis.placement | width.codec
        return [_reading(analysis, codec, score, view.reasons, view)]
    dark = _dark_is_loud(view)
    bright = 1 - view.fractions if dark else view.fractions
    reasons = [*view.reasons, f"{'dark' if dark else 'bright'} is loud"]
    if is_smooth(view) and view.codec.get("cmap") != "sox":
        reasons.append(GUESSED)
    elif not is_usual(len(view.fractions)) and view.stretch == 1:
        reasons.append(RESIZED)
    # Constant-Q has as many rows below 260 Hz, where little is, as between there and 2 kHz.
    per_octave = CONSTANT_Q.get(len(bright)) or arss_bands(len(bright))
    slope = UPRIGHT + (
        VOTES_COUNT * harmonics_rise(Trial(bright).piece(VOTING_COLUMNS), per_octave)
        if per_octave
        else tilt(as_seen(bright))
    )
    # Linear bins are as consistent upside down, but speech is brighter in the lower half.
    ways: list[tuple[bool, Attempt]] = []
    best: Attempt | None = None
    for low_first in (slope < 0, slope >= 0):
        trial = Trial(bright[::-1] if low_first else bright)
        known = _image_analyses(trial, view)
        if view.is_hue:  # which has no settings of place
            known = [one for one in known if not one.placement]
        against = 1.0
        if best is not None:
            against += TILT_COUNTS * abs(slope)
            likely = [best[1], *image_ranges()[:LIKELY_RANGES]]
            scores = [trial.score(one, width) for one in known for width in likely]
            scores += map(_score, of_image(trial))
            if min(scores) * against > best[2]:
                continue
        found = [*search(trial, known, image_ranges(), refine=True), *of_image(trial)]
        ways += [(low_first, (one, width, score * against)) for one, width, score in found]
        best = min(found, key=_score)
    readings = []
    for low_first, (analysis, width, score) in ways:
        codec = dict(view.codec) | analysis.placement | width.codec
        if dark:
            codec["dark_is_loud"] = True
        if low_first:
            codec["row_0"] = "low"
        if view.stretch != 1:
            codec["hop_length"] = round(analysis.spec.hop_length / view.stretch, 4)
        if width.width_db == OURS_DB and set(codec) <= OURS:
            codec["reference"] = "full_scale"
        side = f"the {'first' if low_first else 'last'} row is the lowest frequency"
        readings.append(_reading(analysis, codec, score, [*reasons, side], view))
    return readings


def _dark_is_loud(view: View) -> bool:
    """By its sharp minima, and by more of it being silent than as loud as the loudest; few people
    run a colour map backwards."""
    fractions = view.fractions
    silent, loudest = (fractions < EXTREME).mean(), (fractions > 1 - EXTREME).mean()
    usual = USUAL_MAP if "cmap" in view.codec else 0.0
    return bool(skewness(fractions) > EXTREMES_COUNT * (silent - loudest) + usual)


def _score(attempt: Attempt) -> float:
    return attempt[2]


def _image_analyses(trial: Trial, view: View) -> list[Analysis]:
    n_rows = len(trial.fractions)
    known = [] if view.stretch != 1 else analyses(n_rows)
    if view.codec.get("cmap") == "sox" and n_rows == SOX_ROWS:
        place = {"hop_length": load("spec", "sox").sample_rate / SOX_COLUMNS_HZ}
        others = [] if "crop" in view.codec else known  # sox's own axes are around it
        return [Analysis(option="sox", placement=place), *others]
    if not is_usual(n_rows) or view.stretch != 1:
        figure = "crop" in view.codec or is_smooth(view)
        known = [*resized(lowest_hz(trial), figure=figure), *known]
        if is_smooth(view):
            seconds = guessed_seconds(view.fractions)
            known = [lasting(one, seconds, view) for one in known if may_blur(one, seconds, view)]
        return by_mel_harmonics(trial, known)
    known += other_mels(n_rows, known, is_array=False)
    return by_mel_harmonics(trial, by_harmonics(trial, known))


def is_smooth(view: View) -> bool:
    """Whether the columns of a figure are pixels, and its frames are not to be seen. What is drawn
    in a colour map, with other rows than bands, is a figure without its axes."""
    drawn = not {"crop", "cmap"}.isdisjoint(view.codec)
    return drawn and view.stretch == 1 and not is_usual(len(view.fractions))


def by_harmonics(trial: Trial, known: list[Analysis]) -> list[Analysis]:
    """Where 0 Hz or Nyquist is missing, harmonics of plain bins tell which; without a voice both
    stay alike."""
    if not any("first_bin" in one.placement for one in known):
        return known
    vote = bin_is_missing(trial.piece(VOTING_COLUMNS))
    return [
        one
        if one.spec.kind == "mel" or one.placement.get("first_bin", 0) == (vote > 0)
        else replace(one, prior=(1 + abs(vote)) * one.prior)
        for one in known
    ]


def lowest_hz(trial: Trial) -> list[float]:
    """Where rows of logarithmic frequencies up to half the rate may begin, for harmonics to be
    equally far apart; the likeliest first."""
    spec = load("spec", "linear512", **LINEAR)
    width_db = 80.0

    def harmonic(hz: float) -> float:
        law = Law(reference="max", db_min=-width_db, rows="log", hz_min=hz)
        db = law.pixels_to_decibels(trial.piece(PITCH_COLUMNS), spec)
        return comb(np.clip((db - db.max()) / width_db + 1, 0, 1))[0]

    likely: list[float] = []
    for hz in sorted(LOWEST_HZ, key=harmonic, reverse=True):
        if all(max(hz / one, one / hz) > FURTHER for one in likely):
            likely.append(hz)
    return likely[:LIKELY_LOWEST]


def _of_array(numbers: np.ndarray, first_row: str) -> list[Reading]:
    if numbers.ndim != 2 or not numbers.size or numbers.dtype.kind not in "fiu":
        raise BadInput(
            f"an array of {numbers.dtype} of shape {numbers.shape}; expected numbers of two "
            "dimensions, one spectrogram a file",
            key="array.shape",
        )
    view = look_at_numbers(numbers)
    readings = []
    for transposed, known in array_analyses(*numbers.shape):
        fractions = view.fractions.T if transposed else view.fractions
        slope = tilt(fractions)
        usual = first_row == "low"
        # Lowest bands first, as is usual, unless the others are brighter.
        for low_first in {usual, slope >= 0}:
            against = 1.0 + TILT_COUNTS * abs(slope) if low_first != (slope >= 0) else 1.0
            against *= 1.0 if low_first == usual else UNUSUAL
            trial = Trial(fractions if low_first else fractions[::-1])
            found: list[Attempt] = []
            more = other_mels(len(fractions), known, is_array=True)
            fitting = by_harmonics(trial, by_mel_harmonics(trial, [*known, *more]))
            for power in (1.0, 2.0):
                ranges = array_ranges(view, power)
                if mine := [one for one in fitting if one.spec.power == power]:
                    found += search(trial, mine, ranges, refine=False)
            plain = [squared(one) for one in fitting if one.spec.kind == "linear"]
            told = [one for one in ranges if "unit" in one.codec]  # decibels are the same
            if plain and told:
                found += search(trial, plain, told, refine=False)
            found = [(analysis, width, score * against) for analysis, width, score in found]
            if low_first == usual:  # which presets say
                found += of_array(trial, view, transposed=transposed)
            for analysis, width, score in found:
                codec = dict(width.codec) | analysis.placement
                if transposed:
                    codec["transposed"] = True
                if low_first != usual:
                    codec["row_0"] = "low" if low_first else "high"
                readings.append(_reading(analysis, codec, score, view.reasons, view))
    if not readings:
        raise BadInput(
            f"an array of {numbers.shape}; expected a usual number of bands one way or the other",
            key="array.shape",
        )
    return readings


def _reading(
    analysis: Analysis, codec: Settings, score: float, reasons: list[str], view: View
) -> Reading:
    words = as_words("spec", analysis.option, analysis.changes)
    option, changes = codec_words(codec, view)
    together = analysis.option in (option, *PAIRS.get(option, ()))
    if together and "n_mels" not in analysis.changes:
        score *= TOGETHER
    rows, columns = view.fractions.shape
    turned = view.is_array and codec.get("transposed")
    frames = rows if turned else columns * view.stretch + view.unseen
    hop_length = codec.get("hop_length", analysis.spec.hop_length)
    return Reading(
        spec=analysis.spec,
        codec=load("codec", option, **changes),
        words=(*words, *as_words("codec", option, changes)),
        score=score,
        reasons=tuple(reasons),
        seconds=frames * hop_length / analysis.spec.sample_rate,
    )
