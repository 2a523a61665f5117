"""What the numbers of somebody else's spectrogram mean, as plain data.

A file holds numbers: pixels as 0 (the darkest, or a colour map's first colour) to 1, arrays what
they like. A `Law` says how such a number becomes decibels of a full-scale sine, and where in the
file which frequency and which time stand. Images and arrays share it (`Foreign`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vocoder.errors import BadInput
from vocoder.image.codec.base import STRIP_PIXELS
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import bin_centres_hz, mel_points_hz

UNITS = ("db", "ln", "log10", "log1p", "linear")
FROM_ZERO = ("log1p", "linear")  # units of which silence is 0
REFERENCES = ("full_scale", "one", "max")
FIRST_ROWS = ("high", "low")
ROWS = ("bins", "stretched", "linear", "log", "mel", "specshow", "constant_q")
C1_HZ = 32.70319566257483  # where librosa.cqt begins
_ALMOST = 1e-4  # of a range: how near its end counts as the end


@dataclass(frozen=True, kw_only=True)
class Law:
    """How numbers in a file stand for decibels, frequencies and times.

    Parameters
    ----------
    unit : {"db", "ln", "log10", "log1p", "linear"}
        What a value is: decibels, a natural or decimal logarithm of what the spec says (of
        magnitudes for ``power: 1``, of powers for 2), the natural one of 1 and that, or that.
    exponent : float
        Of ``linear`` and ``log1p``: that was raised to it; 0.25 makes the fourth root.
    reference : {"full_scale", "one", "max"}
        What 0 dB is, or what ``linear`` and ``log1p`` call 1: a sine of amplitude 1, a value of 1
        (librosa's ``ref=1``, torch.log), or the file's own loudest value (``ref=np.max``).
    max_db : float
        Of ``reference: max``: where the loudest value goes, in dB of a full-scale sine, since the
        file does not keep it.
    db_min, db_max : float
        Of ``unit: db``: what the lowest and the highest number mean. The lowest is silence.
    min, max : float or None
        The same for the other units, in that unit; 0 and 1 for ``linear``. In an array that is not
        rescaled, ``min`` alone says what was clipped, which is silence.
    at_min, at_max : float or None
        Which numbers of an array stand for ``min`` and ``max``: 0 and 1, or -4 and 4. ``None``:
        it holds the values themselves.
    mean, deviation : float
        Of arrays: number times ``deviation`` plus ``mean`` is the value.
    top_db : float or None
        Everything so far below the loudest value or further was clipped and is silence (librosa's
        ``top_db``).
    dark_is_loud : bool
        Whether the darkest pixel, or a map's first colour, is the loudest.
    row_0 : {"high", "low"} or None
        What stands in the first row, the top one of an image: the highest or the lowest
        frequency. ``None``: ``high`` in images, ``low`` in arrays.
    transposed : bool
        Whether time runs down instead of across.
    crop : list of int or None
        ``[left, top, right, bottom]`` of the spectrogram inside of a figure, in pixels; right and
        bottom may be counted from the far edge, as 0 or negative numbers.
    rows : {"bins", "stretched", "linear", "log", "mel", "specshow", "constant_q"}
        ``bins``: a row is a band of the spec. Otherwise rows are interpolated to the bands:
        ``stretched`` over all of them, whatever they are; ``linear`` or ``log`` in Hz, or in HTK's
        ``mel``, from ``hz_min`` in the lowest row to ``hz_max`` in the highest; ``specshow`` as
        `librosa.display.specshow` draws mel bands on its mel axis and plain bins on its log axis;
        ``constant_q`` upwards from ``hz_min``, ``bins_per_octave`` an octave, scaled as
        `librosa.cqt` does: a sine of amplitude 1 is half the square root of its row's window
        length.
    hz_min, hz_max : float or None
        ``None``: 0 (for ``constant_q`` C1, 32.7 Hz; not for ``log``) and half the sample rate.
    bins_per_octave : int
        Of ``rows: constant_q``.
    first_bin : int
        Of ``rows: bins``: how many bands are missing below the lowest row (1 without 0 Hz).
    hop_length : float or None
        Samples from column to column where they are not the spec's: columns are interpolated.
    seconds : float or None
        The same by the length of all columns together.
    """

    unit: str = "db"
    exponent: float = 1.0
    reference: str = "full_scale"
    max_db: float = -12.0
    db_min: float = -100.0
    db_max: float = 0.0
    min: float | None = None
    max: float | None = None
    at_min: float | None = None
    at_max: float | None = None
    mean: float = 0.0
    deviation: float = 1.0
    top_db: float | None = None
    dark_is_loud: bool = False
    row_0: str | None = None
    transposed: bool = False
    crop: list[int] | None = None
    rows: str = "bins"
    hz_min: float | None = None
    hz_max: float | None = None
    bins_per_octave: int = 12
    first_bin: int = 0
    hop_length: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, choices in (
            ("unit", UNITS),
            ("reference", REFERENCES),
            ("row_0", (None, *FIRST_ROWS)),
            ("rows", ROWS),
        ):
            self._require(getattr(self, name) in choices, name, f"one of {choices}")
        for name in (
            *("exponent", "deviation", "top_db", "hz_max", "hop_length", "seconds"),
            "bins_per_octave",
        ):
            value = getattr(self, name)
            self._require(value is None or value > 0, name, "above 0")
        for name in ("min", "max"):
            self._require(
                self.unit != "db" or getattr(self, name) is None,
                name,
                f"null for unit=db; give codec.db_{name}",
            )
        low, high = self.ends()
        if low is not None and high is not None:
            self._require(low < high, "db_min" if self.unit == "db" else "min", f"below {high:g}")
        if (self.at_min is None) != (self.at_max is None) or (
            self.at_min is not None and self.at_min == self.at_max
        ):
            self._require(False, "at_min", f"a number other than at_max ({self.at_max})")
        self._require(
            self.crop is None or (isinstance(self.crop, list) and len(self.crop) == 4),
            "crop",
            "[left, top, right, bottom]",
        )
        self._require(self.first_bin >= 0, "first_bin", "0 or more")
        self._require(self.first_bin == 0 or self.rows == "bins", "first_bin", "0 unless rows=bins")
        lowest = self.hz_min
        self._require(
            lowest is None or 0 <= lowest < (self.hz_max or math.inf), "hz_min", "0 to hz_max"
        )
        self._require(self.rows != "log" or bool(lowest), "hz_min", "above 0 for rows=log")
        self._require(
            self.hop_length is None or self.seconds is None, "seconds", "null beside hop_length"
        )

    def _require(self, ok: bool, name: str, expected: str) -> None:
        if not ok:
            raise BadInput(
                f"codec.{name} is {getattr(self, name)!r}; expected {expected}",
                key=f"codec.{name}",
            )

    def ends(self) -> tuple[float | None, float | None]:
        """What the lowest and the highest number mean, in the unit, where that is known."""
        if self.unit == "db":
            return self.db_min, self.db_max
        low = self.min or 0.0 if self.unit in FROM_ZERO else self.min
        return low, 1.0 if self.unit == "linear" and self.max is None else self.max

    @property
    def keeps_columns(self) -> bool:
        """Whether a column of the file is a frame of the spec."""
        return self.hop_length is None and self.seconds is None

    @property
    def invertible(self) -> bool:
        """Whether spectrograms can be written by it too, not only read."""
        return self.rows == "bins" and self.keeps_columns and self.crop is None

    def pixels_to_decibels(self, fractions: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        """Decode fractions of 0 to 1, row 0 the lowest band, any number of rows and columns.

        Returns
        -------
        ndarray
            ``(bins, frames)``, dB of a full-scale sine, -inf for silence.
        """
        return self._placed([self._of_fractions(fractions)], spec)

    def _placed(
        self, strips: Iterable[tuple[np.ndarray, np.ndarray]], spec: SpectrogramSpec
    ) -> np.ndarray:
        """Values in the law's unit, and which of them are silent, to the spec's decibels; columns
        in strips, of which only what they become is kept."""
        if self.top_db is not None:  # which needs the loudest of all
            values, silent = (np.hstack(parts) for parts in zip(*strips, strict=True))
            strips = [(values, silent)]
        placed, loudest = [], -math.inf
        for values, silent in strips:
            db = self._to_decibels(values, spec, silent)
            loudest = max(loudest, float(db.max()))
            placed.append(self._place_rows(db, spec).astype(np.float32))
        joined = np.hstack(placed)
        placed.clear()
        if self.reference == "max" and math.isfinite(loudest):
            joined += np.float32(self.max_db - loudest)
        return self._place_columns(joined, spec)

    def _of_fractions(self, fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, high = self._range()
        lightness = 1 - fractions if self.dark_is_loud else fractions
        return low + lightness * (high - low), lightness <= 0

    def _of_numbers(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = numbers.astype(np.float64)
        low: float | None
        if self.at_min is not None and self.at_max is not None:
            low, high = self._range()
            values = low + (values - self.at_min) / (self.at_max - self.at_min) * (high - low)
            slack = _ALMOST * (high - low)
        else:
            values = values * self.deviation + self.mean
            low, slack = self.ends()[0], _ALMOST
        if self.unit in FROM_ZERO and float(values.min()) < 0:
            raise BadInput(
                f"the array holds values down to {float(values.min()):g}, not magnitudes; "
                "expected codec.unit=db, ln or log10, or codec.at_min and codec.at_max",
                key="array.range",
            )
        silent = np.zeros(values.shape, bool) if low is None else values <= low + slack
        return values, silent

    def decibels_to_fractions(self, decibels: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        """Encode dB of a full-scale sine ``(bins, frames)`` as fractions, row 0 the lowest."""
        if not self.invertible:
            raise BadInput(
                "codec.crop, codec.rows, codec.hop_length and codec.seconds are for reading only; "
                "leave them out to write",
                key="codec.readonly",
            )
        decibels = decibels[self.first_bin :]
        per_decade = 20 / spec.power
        shifted = decibels - self._shift(spec, float(decibels.max()))
        if self.unit in FROM_ZERO:
            values = 10 ** (shifted / per_decade * self.exponent)
            values = np.log1p(values) if self.unit == "log1p" else values
        else:
            values = shifted / self.unit_db(spec)
        low, high = self._range()
        fractions = np.clip((values - low) / (high - low), 0, 1)
        return np.asarray(1 - fractions if self.dark_is_loud else fractions)

    def _range(self) -> tuple[float, float]:
        low, high = self.ends()
        if low is None or high is None:
            raise BadInput(
                f"codec.unit={self.unit} needs codec.min and codec.max: what the darkest and the "
                "brightest pixel mean, in that unit",
                key="codec.range",
            )
        return low, high

    def unit_db(self, spec: SpectrogramSpec) -> float:
        """One of a logarithmic unit, in dB."""
        per_decade = 20 / spec.power
        return {"db": 1.0, "ln": per_decade / math.log(10), "log10": per_decade}[self.unit]

    def _shift(self, spec: SpectrogramSpec, loudest_db: float) -> float:
        """From the unit's 0 dB to a full-scale sine."""
        if self.reference == "one" and self.rows != "constant_q":  # which differs from row to row
            return magnitude_of_1_db(spec)
        return loudest_db if self.reference == "max" else 0.0

    def _to_decibels(
        self, values: np.ndarray, spec: SpectrogramSpec, silent: np.ndarray
    ) -> np.ndarray:
        if self.unit in FROM_ZERO:
            values = np.maximum(np.expm1(values) if self.unit == "log1p" else values, 0)
            with np.errstate(divide="ignore"):
                db = 20 / spec.power / self.exponent * np.log10(values)
        else:
            db = values * self.unit_db(spec)
        if self.top_db is not None:
            silent = silent | (db <= float(db.max()) - self.top_db + _ALMOST)
        if self.rows == "constant_q" and self.reference != "full_scale":
            db = db + self._constant_q_1_db(len(db), spec)[:, None]
        if self.reference != "max":
            db = db + self._shift(spec, 0.0)
        return np.where(silent, -np.inf, db)

    def _place_rows(self, db: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        """Rows to the spec's bands."""
        if self.rows == "bins":
            if db.shape[0] != spec.bins - self.first_bin:
                fix = (
                    "cut axes off with codec.crop; of an image of another size say what its rows "
                    "are with codec.rows"
                )
                if db.shape[1] == spec.bins - self.first_bin:
                    turned = str(not self.transposed).lower()
                    fix = f"it seems to be transposed: codec.transposed={turned}"
                raise BadInput(
                    f"it has {db.shape[0]} rows; expected {spec.bins - self.first_bin}; {fix}",
                    key="image.size",
                )
            missing = np.full((self.first_bin, db.shape[1]), -np.inf)
            return np.concatenate([missing, db]) if self.first_bin else db
        return interpolate(db, self._row_of_band(db.shape[0], spec))

    def _place_columns(self, db: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        """Columns to the spec's frames."""
        hop = self.hop_length
        if self.seconds is not None:
            hop = self.seconds * spec.sample_rate / db.shape[1]
        if hop is None:
            return db
        frames = int((db.shape[1] - 1) * hop / spec.hop_length + _ALMOST) + 1
        return interpolate(db.T, np.arange(frames) * spec.hop_length / hop).T

    def _constant_q_hz(self, n_rows: int) -> np.ndarray:
        lowest = C1_HZ if self.hz_min is None else self.hz_min
        return np.asarray(lowest * 2 ** (np.arange(n_rows) / self.bins_per_octave))

    def _constant_q_1_db(self, n_rows: int, spec: SpectrogramSpec) -> np.ndarray:
        """A magnitude of 1 in every row, in dB of a full-scale sine (`librosa.filters`)."""
        ratio = 2 ** (2 / self.bins_per_octave)
        lengths = (ratio + 1) / (ratio - 1) * spec.sample_rate / self._constant_q_hz(n_rows)
        return np.asarray(20 * np.log10(2 / np.sqrt(lengths)))

    def _row_of_band(self, n_rows: int, spec: SpectrogramSpec) -> np.ndarray:
        """Where among the rows each band of the spec lies; beyond them where it is missing."""
        if self.rows == "stretched":
            middles = (np.arange(spec.bins) + 0.5) * n_rows / spec.bins - 0.5
            return np.asarray(np.clip(middles, 0, n_rows - 1))
        if self.rows == "specshow":
            return _specshow_axis(spec) * n_rows - 0.5
        hz = bin_centres_hz(spec)
        low, high = self.hz_min or 0.0, self.hz_max or spec.sample_rate / 2
        if self.rows == "constant_q":
            low, high = self._constant_q_hz(n_rows)[[0, -1]]
        if high <= low:
            raise BadInput(
                f"codec.hz_min is {low:g}; expected below {high:g} Hz", key="codec.hz_min"
            )
        if self.rows in ("log", "constant_q"):
            with np.errstate(divide="ignore"):
                share = np.log(hz / low) / math.log(high / low)
        elif self.rows == "mel":
            share = np.log((700 + hz) / (700 + low)) / math.log((700 + high) / (700 + low))
        else:
            share = (hz - low) / (high - low)
        return np.asarray(share * (n_rows - 1))


def _specshow_axis(spec: SpectrogramSpec) -> np.ndarray:
    """Where bands stand, 0 to 1, on matplotlib's ``symlog`` axis of base 2: straight up to 1 kHz,
    as high as two octaves, then by octaves; of plain bins straight up to C2, as high as one. The
    axis begins and ends half a band beyond them."""
    mel = spec.kind == "mel"
    bands = mel_points_hz(spec) if mel else bin_centres_hz(spec)
    hz = np.array([1.5 * bands[0] - 0.5 * bands[1], *bands, 1.5 * bands[-1] - 0.5 * bands[-2]])
    straight_hz, octaves = (1000.0, 2) if mel else (2 * C1_HZ, 1)
    above = octaves + np.log2(np.maximum(hz, straight_hz) / straight_hz)
    heights = np.where(hz < straight_hz, hz / straight_hz * octaves, above)
    return np.asarray((heights[1:-1] - heights[0]) / (heights[-1] - heights[0]))


def interpolate(db: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows of decibels at places between whole ones; silent beyond the first and the last.

    Silence (-inf) has no decibels to be mixed with: the nearer row decides.
    """
    last = len(db) - 1
    beyond = (places < -0.5) | (places > last + 0.5)
    places = np.clip(np.where(np.isfinite(places), places, 0), 0, last)
    lower = np.minimum(places.astype(int), max(last - 1, 0))
    shares = (places - lower).astype(db.dtype)[:, None]
    result = np.empty((len(places), db.shape[1]), db.dtype)
    some = max(1, STRIP_PIXELS // db.shape[1])
    for here in (slice(begin, begin + some) for begin in range(0, len(places), some)):
        below, share = lower[here], shares[here]
        first, second = db[below], db[np.minimum(below + 1, last)]
        with np.errstate(invalid="ignore"):
            mixed = (1 - share) * first + share * second
        nearer = np.where(share < 0.5, first, second)
        result[here] = np.where(np.isfinite(first) & np.isfinite(second), mixed, nearer)
    result[beyond] = -np.inf
    return result


def magnitude_of_1_db(spec: SpectrogramSpec) -> float:
    """A magnitude, or power, of 1, in dB of a full-scale sine."""
    return -20 / spec.power * math.log10(spec.full_scale)
