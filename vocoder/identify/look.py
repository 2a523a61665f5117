"""What a file shows before anything is known of it: a rectangle of numbers from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from vocoder.errors import BadInput
from vocoder.identify.laws import is_usual
from vocoder.image.codec.base import channel_spread
from vocoder.image.codec.colours import MAX_DISTANCE
from vocoder.image.codec.maps import map_colours, map_path, nearest_map
from vocoder.image.codec.palette import EDGE, HUE_CORNERS, Hue
from vocoder.image.doctor.looks import looks_grey, middle_columns

APART = 12  # levels between colours that are not the same
SIDE_SHARE = 0.95  # of a figure's frame that must be there
BORDER_SHARE = 0.5  # of an image's outermost pixels that its border's colour is not
FIGURE_SHARE = 0.2  # of the image that a spectrogram in a figure covers at least
FILLED = 0.9  # of a panel that shows a spectrogram, unless its silence is of the page's colour
MAX_LINE = 4  # pixels that a frame is thick
STRONG = 0.6  # of the highest peak
BLENDED = 2  # pixels beside it that are part of it
SHARP_FRAMES = ("sox", "ffmpeg")  # are not blended with what they hold
# Columns and rows that are drawn several times over: so few of them differ.
REPEATED_SHARE, MAX_REPEATS, MIN_COLUMNS = 0.7, 20, 32
FINER = 8  # than whole columns in all
# Amplitudes as they are lie next to black, and show little but in decibels.
NEXT_TO_BLACK, SHOWN_DB = 0.02, 80.0
CHANGES_HZ = 2.1  # of what bands of speech hold


@dataclass(frozen=True, kw_only=True)
class View:
    """The numbers of a file, as they lie in it.

    Parameters
    ----------
    fractions : ndarray
        ``(rows, columns)``, float32, 0 to 1; row 0 is an image's lowest, an array's first.
    codec : dict
        Settings of `Foreign` that lead to them.
    low, high : float or None
        Of arrays: the numbers that became 0 and 1.
    mean, deviation : float
        Of an array's numbers.
    stretch : float
        Columns of the file for one here.
    unseen : int
        Columns of a large image that are not looked at.
    is_hue : bool
        Whether the colours are those of ``codec=hue``.
    is_deep : bool
        Whether it is an image of 16 bits.
    reasons : list of str
        What was seen.
    """

    fractions: np.ndarray
    codec: dict[str, Any] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    mean: float = 0.0
    deviation: float = 0.0
    stretch: float = 1.0
    unseen: int = 0
    is_hue: bool = False
    is_deep: bool = False
    reasons: list[str] = field(default_factory=list)

    @property
    def is_array(self) -> bool:
        """Whether the file holds numbers instead of pixels."""
        return self.low is not None


def look_at_numbers(numbers: np.ndarray) -> View:
    """See an array."""
    if not np.isfinite(numbers).all():
        raise BadInput("it holds NaN or infinity, such as log(0)", key="array.finite")
    low, high = float(numbers.min()), float(numbers.max())
    if not low < high:
        raise BadInput("all its numbers are the same", key="array.range")
    fractions = ((numbers - low) / (high - low)).astype(np.float32)
    words = f"an array of {numbers.shape[0]} x {numbers.shape[1]} numbers, {low:g} to {high:g}"
    mean, deviation = float(numbers.mean()), float(numbers.std())
    return View(
        fractions=fractions, low=low, high=high, mean=mean, deviation=deviation, reasons=[words]
    )


def look_at_pixels(pixels: np.ndarray, *, transposed: bool = False) -> View:
    """See an image: cut figures out, take colours back to numbers. Of large ones the middle."""
    rows, columns = pixels.shape[:2]
    reasons = [f"{columns} x {rows} pixels"]
    codec: dict[str, Any] = {}
    if transposed:
        pixels = pixels.swapaxes(0, 1)
        rows, columns = columns, rows
        codec["transposed"] = True
        reasons.append("time runs down")
    pixels = middle_columns(pixels)
    if unseen := columns - pixels.shape[1]:
        reasons.append(f"the middle {pixels.shape[1]} columns are looked at")
    exact = bordered_box(pixels)
    if box := exact or figure_box(pixels):
        left, top, right, bottom = box
        pixels = pixels[top:bottom, left:right]
        codec["crop"] = list(box)
        reasons.append(f"a figure: the spectrogram is {right - left} x {bottom - top} pixels of it")
    fractions, is_hue = _fractions(pixels, codec, reasons)
    if box and not exact and codec.get("cmap") not in SHARP_FRAMES:
        fractions = fractions[BLENDED:-BLENDED, BLENDED:-BLENDED]
        left, top, right, bottom = box
        codec["crop"] = [left + BLENDED, top + BLENDED, right - BLENDED, bottom - BLENDED]
    if box and transposed:  # the crop comes first
        codec["crop"] = [codec["crop"][side] for side in (1, 0, 3, 2)]
    if len(np.unique(fractions[:: max(1, len(fractions) // 64)])) < 3:
        raise BadInput("it has hardly any shades; no spectrogram", key="image.colours")
    fractions = fractions[::-1].astype(np.float32)
    once, stretch = _once(fractions)
    if stretch != 1:
        reasons.append(f"every frame is drawn several times: there are {once.shape[1]}")
    return View(
        fractions=once,
        codec=codec,
        stretch=stretch,
        unseen=unseen,
        is_hue=is_hue,
        is_deep=pixels.dtype == np.uint16,
        reasons=reasons,
    )


def bordered_box(pixels: np.ndarray) -> tuple[int, int, int, int] | None:
    """Where an image of a usual number of rows, or columns, is that has a border of one colour and
    nothing else around it: left, top, right, bottom; else ``None``."""
    sides = (pixels[:1], pixels[-1:], pixels[:, :1], pixels[:, -1:])
    if any(np.ptp(side, axis=(0, 1)).any() for side in sides):
        return None
    drawn = _drawn(pixels)
    across, down = np.flatnonzero(drawn.any(axis=0)), np.flatnonzero(drawn.any(axis=1))
    if not len(down):
        return None
    left, top, right, bottom = map(int, (across[0], down[0], across[-1] + 1, down[-1] + 1))
    if not is_usual(bottom - top) and not is_usual(right - left):
        return None
    inner = drawn[top:bottom, left:right]
    return (left, top, right, bottom) if _has_sides(inner, BORDER_SHARE) else None


def _drawn(pixels: np.ndarray) -> np.ndarray:
    """What is not of the page's colour, ``(rows, columns)``."""
    colours = pixels if pixels.ndim == 3 else pixels[..., None]
    return np.asarray((np.abs(colours.astype(np.int32) - colours[0, 0]) > APART).any(axis=2))


def _has_sides(drawn: np.ndarray, share: float = SIDE_SHARE) -> bool:
    sides = (drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1])
    return bool(min(side.mean() for side in sides) >= share)


def figure_box(pixels: np.ndarray) -> tuple[int, int, int, int] | None:
    """Where the spectrogram is in a figure with axes: left, top, right, bottom; else ``None``.

    What a figure shows differs from the page around it along all of its four sides: it is another
    colour there, or has a frame. Of several panels the largest is taken of which hardly anything
    is of the page's colour, unlike a waveform.
    """
    colours = (pixels if pixels.ndim == 3 else pixels[..., None]).astype(np.int32)
    drawn = _drawn(pixels)
    edges = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    if edges.mean() > 1 - SIDE_SHARE:
        return None
    labels, _ = ndimage.label(drawn)
    best: tuple[float, int, int, int, int] | None = None
    for index, (down, across) in enumerate(ndimage.find_objects(labels), start=1):
        mine = labels[down, across] == index
        if mine.size < FIGURE_SHARE * drawn.size:
            continue
        # Ticks stick out of the frame.
        rows = np.flatnonzero(mine.mean(axis=1) > mine.mean(axis=1).max() / 2)
        columns = np.flatnonzero(mine.mean(axis=0) > mine.mean(axis=0).max() / 2)
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        inner = mine[top:bottom, left:right]
        size = (inner.mean() > FILLED) + mine.size / drawn.size
        if _has_sides(inner) and (not best or size > best[0]):
            x, y = across.start, down.start
            best = (size, x + int(left), y + int(top), x + int(right), y + int(bottom))
    if best is None:
        return None
    _, left, top, right, bottom = best
    left += _line(colours[top:bottom, left:right].swapaxes(0, 1))
    right -= _line(colours[top:bottom, left:right].swapaxes(0, 1)[::-1])
    top += _line(colours[top:bottom, left:right])
    bottom -= _line(colours[top:bottom, left:right][::-1])
    return left, top, right, bottom


def _line(colours: np.ndarray) -> int:
    """How thick a frame of one colour the first rows are; quiet ones go on for longer."""
    for thick in range(MAX_LINE + 1):
        row = colours[thick]
        if (np.abs(row - np.median(row, axis=0)) > APART).any(axis=1).mean() > 1 - SIDE_SHARE:
            return thick
        if thick and (np.abs(row - colours[0]) > APART).any(axis=1).mean() > SIDE_SHARE:
            return thick
    return 0


def _fractions(
    pixels: np.ndarray, codec: dict[str, Any], reasons: list[str]
) -> tuple[np.ndarray, bool]:
    """Pixels to 0 to 1, the settings noted in ``codec``; and whether they are those of hue."""
    if pixels.ndim == 2:
        top = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}[pixels.dtype]
        reasons.append("grey")
        return pixels / np.float32(top), False
    flat = [int(np.ptp(pixels[..., channel])) for channel in range(3)]
    moving = [channel for channel in range(3) if flat[channel]]
    if 0 < len(moving) < 3:
        name = ("red", "green", "blue")[moving[0]]
        codec["channel"] = name
        reasons.append(
            "two channels, stereo: green is read, blue is the other"
            if moving == [1, 2]
            else f"only the {name} channel holds something"
        )
        return pixels[..., moving[0]] / np.float32(255), False
    if looks_grey(pixels) and float(channel_spread(pixels).mean()) < APART:
        reasons.append("grey")
        return pixels.mean(axis=2) / np.float32(255), False
    cmap, distance = nearest_map(pixels)
    hue = Hue(db_min=-100.0, db_max=0.0).path()
    some = pixels.reshape(-1, 1, 3)[:: max(1, pixels.size // 30_000)]
    hue_distance = float(hue.nearest(some)[1].mean())
    if min(distance, hue_distance) > MAX_DISTANCE:
        raise BadInput(
            f"its colours are those of no map: {distance:.0f} steps of 255 from the nearest, "
            f"{cmap}. Of a photograph there is nothing to hear; if it is a spectrogram, cut out "
            "an image of its colour bar and give that as codec.cmap=",
            key="image.colours",
        )
    if hue_distance < distance:
        reasons.append("the colours of codec=hue")
        return hue.nearest(pixels)[0] / np.float32(EDGE * (len(HUE_CORNERS) - 1)), True
    reasons.append(f"the colours of {cmap} ({distance:.1f} steps of 255 off)")
    codec["cmap"] = cmap
    return map_path(cmap).nearest(pixels)[0] / np.float32(len(map_colours(cmap)) - 1), False


def are_amplitudes(fractions: np.ndarray) -> bool:
    """Whether fractions of 0 to 1, ``(rows, columns)``, are amplitudes as they are, of which most
    are next to nothing."""
    return bool(np.median(fractions) <= NEXT_TO_BLACK)


def as_seen(fractions: np.ndarray) -> np.ndarray:
    """Fractions of 0 to 1, ``(rows, columns)``, in decibels where they are amplitudes: for what is
    judged by the looks. Of the same shape and range."""
    if not are_amplitudes(fractions):
        return fractions
    db = 20 * np.log10(np.maximum(fractions, 10 ** (-SHOWN_DB / 20)))
    return np.asarray(1 + db / SHOWN_DB)


def guessed_seconds(fractions: np.ndarray) -> float:
    """How long speech lasts that changes as often as is usual; rarely twice or half as long."""
    rows = fractions - fractions.mean(axis=1, keepdims=True)
    columns = rows.shape[1]
    spectra = np.abs(np.fft.rfft(rows * np.hanning(columns), FINER * columns, axis=1)) ** 2
    power, changes = spectra.sum(axis=0), np.arange(spectra.shape[1]) / FINER  # in all of them
    some = changes > 1.5
    usual = np.exp((np.log(changes[some]) * power[some]).sum() / power[some].sum())
    return float(usual / CHANGES_HZ)


def _once(fractions: np.ndarray) -> tuple[np.ndarray, float]:
    """One of every group of equal columns, where most repeat their neighbour; and how many make a
    group."""
    seen = as_seen(fractions)
    changes = np.abs(np.diff(seen, axis=1)).mean(axis=0)
    total = fractions.shape[1]
    some = np.maximum(seen[:, 1:], seen[:, :-1]).any(axis=0)  # silence repeats itself, too
    if total < MIN_COLUMNS or (changes > changes.max() / 50)[some].mean() > REPEATED_SHARE:
        return fractions, 1.0
    # How often columns change: quiet ones may not, and groups differ by one.
    steps = np.minimum(changes, np.median(changes[changes > 0]))
    spectrum = np.abs(np.fft.rfft(steps - steps.mean(), FINER * total))
    first = FINER * total // MAX_REPEATS
    # The lowest of the peaks: its multiples are as strong.
    place = first + int(np.argmax(spectrum[first:] > STRONG * spectrum[first:].max()))
    place += int(np.argmax(spectrum[place : place + 2 * FINER]))
    width = FINER * total / place
    middles = (np.arange(round(total / width)) + 0.5) * width
    return np.asarray(fractions[:, np.minimum(middles.astype(int), total - 1)]), width
