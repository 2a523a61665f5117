"""All measures by name: which there are, what they need, and taking several of one pair."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.util import find_spec

import numpy as np

from vocoder.config import nearest
from vocoder.errors import BadInput
from vocoder.evaluate.alignment import checked, find_delay, undo_delay
from vocoder.evaluate.metrics.loudness import loudness_difference_lu
from vocoder.evaluate.metrics.optional import optional_package
from vocoder.evaluate.metrics.perceptual import dnsmos, estoi, pesq_wb, visqol
from vocoder.evaluate.metrics.pitch import pitch_errors
from vocoder.evaluate.metrics.spectral import (
    level_difference_db,
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
    mel_distance_db,
)

HIGHER, LOWER, ZERO = "higher", "lower", "zero"


@dataclass(frozen=True)
class Column:
    """One figure of a file.

    Parameters
    ----------
    name : str
    title : str
        For tables and pictures, with the unit.
    better : {"higher", "lower", "zero"}
        Where the good end is; ``zero`` for signed differences.
    digits : int
        After the point, in tables.
    """

    name: str
    title: str
    better: str
    digits: int


class Pair:
    """Two sounds brought to the same time, polarity and length.

    Parameters
    ----------
    reference, sound : ndarray
        ``(samples,)``, not necessarily of equal length.
    sample_rate : int
        Of both, in Hz.

    Attributes
    ----------
    reference, sound : ndarray
        float64, of equal length: what both have.
    delay_s : float
        How late the sound was.
    sign : int
        -1 where its polarity was turned over, else 1.

    Raises
    ------
    BadInput
        As `vocoder.evaluate.alignment.align` does.
    """

    def __init__(self, reference: np.ndarray, sound: np.ndarray, sample_rate: int) -> None:
        delay_samples, self.sign = find_delay(reference, sound, sample_rate)
        self.sample_rate = sample_rate
        self.delay_s = delay_samples / sample_rate
        self.reference, self.sound = undo_delay(reference, sound, delay_samples, self.sign)
        checked(self.reference, "the part of the reference that both have")
        checked(self.sound, "the part of the sound that both have")

    @cached_property
    def matched(self) -> np.ndarray:
        """The sound at the reference's level."""
        level_db = level_difference_db(self.reference, self.sound)
        return np.asarray(self.sound * 10 ** (-level_db / 20))


@dataclass(frozen=True)
class Measure:
    """One kind of measure, which may give several figures.

    Parameters
    ----------
    columns : tuple of Column
    take : callable
        From a `Pair` to figures by the names of the columns.
    packages : tuple of str
        Modules that must be there.
    extra : str
        The extra of ours that installs them.
    """

    columns: tuple[Column, ...]
    take: Callable[[Pair], dict[str, float]]
    packages: tuple[str, ...] = ()
    extra: str = "evaluate"

    def require(self) -> None:
        """Refuse if a package is missing."""
        for package in self.packages:
            optional_package(package, self.columns[0].title, extra=self.extra)


def _single(
    column: Column,
    function: Callable[[np.ndarray, np.ndarray, int], float],
    *packages: str,
    matched: bool = False,
    extra: str = "evaluate",
) -> Measure:
    """A measure of one figure; ``matched`` where levels must be the same."""

    def take_it(pair: Pair) -> dict[str, float]:
        sound = pair.matched if matched else pair.sound
        return {column.name: function(pair.reference, sound, pair.sample_rate)}

    return Measure((column,), take_it, packages, extra)


def _pitch(pair: Pair) -> dict[str, float]:
    cents, voicing = pitch_errors(pair.reference, pair.matched, pair.sample_rate)
    return {"voicing_error": voicing} | ({} if cents is None else {"f0_rmse_cents": cents})


def _dnsmos_difference(reference: np.ndarray, sound: np.ndarray, sample_rate: int) -> float:
    return dnsmos(sound, sample_rate) - dnsmos(reference, sample_rate)


# In the order of the tables. Spectra are compared at the same level, which is a measure of its own.
MEASURES: dict[str, Measure] = {
    "estoi": _single(Column("estoi", "ESTOI", HIGHER, 3), estoi),
    "visqol": _single(
        Column("visqol", "ViSQOL", HIGHER, 2), visqol, "visqol", "ai_edge_litert.interpreter"
    ),
    "pesq": _single(Column("pesq_wb", "PESQ-WB", HIGHER, 2), pesq_wb, "pesq", extra="pesq"),
    "dnsmos": _single(
        Column("dnsmos_difference", "DNSMOS difference", HIGHER, 2),
        _dnsmos_difference,
        "speechmos.dnsmos",
        matched=True,
    ),
    "mcd": _single(
        Column("mel_cepstral_distortion_db", "MCD dB", LOWER, 2), mel_cepstral_distortion_db
    ),
    "f0": Measure(
        (
            Column("f0_rmse_cents", "F0 RMSE cents", LOWER, 0),
            Column("voicing_error", "voicing error", LOWER, 3),
        ),
        _pitch,
        ("swift_f0",),
    ),
    "lsd": _single(
        Column("log_spectral_distance_db", "LSD dB", LOWER, 2),
        log_spectral_distance_db,
        matched=True,
    ),
    "mel": _single(Column("mel_distance_db", "mel dB", LOWER, 2), mel_distance_db, matched=True),
    "loudness": _single(
        Column("loudness_difference_lu", "loudness LU", ZERO, 1),
        loudness_difference_lu,
        "pyloudnorm",
    ),
    "level": _single(
        Column("level_difference_db", "level dB", ZERO, 1),
        lambda reference, sound, _: level_difference_db(reference, sound),
    ),
}
# Of a sound alone, and of a sound and the picture it was made of.
ALONE = Column("dnsmos", "DNSMOS", HIGHER, 2)
PICTURE = Column("picture_distance_db", "picture dB", LOWER, 2)
COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (*(one for kind in MEASURES.values() for one in kind.columns), ALONE, PICTURE)
}
OPT_IN = "pesq"


def installed() -> list[str]:
    """Names of all measures, without PESQ where its package is not there."""
    return [name for name in MEASURES if name != OPT_IN or find_spec("pesq") is not None]


def require_measures(names: Sequence[str]) -> None:
    """Refuse names that do not exist and measures whose packages are missing, before any work.

    Raises
    ------
    BadInput
    """
    for name in names:
        if name not in MEASURES:
            raise BadInput(f"there is no measure {name}{nearest(name, list(MEASURES))}")
        MEASURES[name].require()


def measure_pair(
    reference: np.ndarray,
    sound: np.ndarray,
    sample_rate: int,
    names: Sequence[str] | None = None,
    problems: dict[str, str] | None = None,
) -> dict[str, float]:
    """Align a sound to its reference and measure it.

    Parameters
    ----------
    reference, sound : ndarray
        ``(samples,)``, floating point, full scale at 1; the lengths may differ.
    sample_rate : int
        Of both, in Hz.
    names : sequence of str, optional
        Keys of `MEASURES`; without them, `installed`.
    problems : dict, optional
        Takes the names of measures that cannot be taken, such as ViSQOL of a short sound, and the
        reasons. Without it the first of them raises.

    Returns
    -------
    dict of str to float
        By the names in `COLUMNS`. ``f0_rmse_cents`` is not there where no frame is voiced in both.

    Raises
    ------
    BadInput
        No such measure, a package is not installed, the sounds cannot be aligned (silent, empty,
        not finite, too short); and without ``problems``, what the single measures raise.
    """
    names = installed() if names is None else names
    require_measures(names)
    return take(Pair(reference, sound, sample_rate), names, problems)


def take(
    pair: Pair, names: Sequence[str], problems: dict[str, str] | None = None
) -> dict[str, float]:
    """Measures of an aligned pair; as `measure_pair`."""
    found: dict[str, float] = {}
    for name in names:
        try:
            values = MEASURES[name].take(pair)
            if not all(map(math.isfinite, values.values())):
                raise BadInput(f"{name} gives no number for these sounds")
            found |= values
        except BadInput as error:
            if problems is None:
                raise
            problems[name] = str(error)
    return found


@dataclass(frozen=True)
class Measures:
    """What `measure` found.

    Parameters
    ----------
    estoi : float
        Extended short-time objective intelligibility, up to 1.
    log_spectral_distance_db, mel_distance_db : float
        After matching the level; 0 is perfect.
    level_difference_db : float
        Above 0 where the sound is louder than the reference.
    pesq_wb : float or None
        Wide-band PESQ, 1.0 to 4.64; ``None`` where not asked for.
    """

    estoi: float
    log_spectral_distance_db: float
    mel_distance_db: float
    level_difference_db: float
    pesq_wb: float | None = None

    def to_dict(self) -> dict[str, float]:
        """Names to values, without those that were not measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def measure(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int, *, pesq: bool
) -> Measures:
    """The few measures that need little time; parameters and errors as `measure_pair`.

    Parameters
    ----------
    pesq : bool
        Whether to compute PESQ too, which needs the extra ``pesq``.
    """
    names = ["estoi", "lsd", "mel", "level", *(["pesq"] if pesq else [])]
    return Measures(**measure_pair(reference, degraded, sample_rate, names))
