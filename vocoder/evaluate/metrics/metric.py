"""What a metric is: a function with a decorator, from which tables, help and ranking follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np

from vocoder.config import nearest
from vocoder.errors import BadInput
from vocoder.evaluate.alignment import Pair

HIGHER, LOWER, ZERO = "higher", "lower", "zero"
ARROWS = {HIGHER: "↑", LOWER: "↓", ZERO: "→ 0"}  # where the good end is
REFERENCE, IMAGE, ALONE = "reference", "image", "alone"
Function = TypeVar("Function", bound=Callable[..., float | None])


@dataclass(frozen=True)
class Metric:
    """One figure of a waveform.

    Parameters
    ----------
    name : str
        As ``measures=`` has it; one metric of a name may need a reference and another none.
    title, unit : str
        For tables and plots; the unit may be empty.
    better : {"higher", "lower", "zero"}
        Where the good end is; ``zero`` for signed differences.
    digits : int
        After the point, in tables.
    function : callable
        ``(reference, degraded, sample_rate)``, aligned; ``(samples, sample_rate)`` if it needs no
        reference; ``(spectrogram, samples)`` if it needs the image. It returns ``None`` where it
        is not defined and raises `BadInput` where it cannot be taken.
    needs : {"reference", "image", "alone"}
        What the waveform is compared with; metrics of the waveform alone are taken where there is
        no reference.
    match_level : bool
        Whether ``degraded`` is brought to the level of the reference before.
    packages : tuple of str
        Modules that it imports, installed by our extra ``extra``.
    default : bool
        Whether it is taken when nobody names it.
    """

    name: str
    function: Callable[..., float | None]
    title: str
    better: str
    digits: int
    unit: str = ""
    needs: str = REFERENCE
    match_level: bool = False
    packages: tuple[str, ...] = ()
    extra: str = "evaluate"
    default: bool = True

    @property
    def column(self) -> str:
        """Its name in CSV and JSON: the function's."""
        return str(getattr(self.function, "__name__", self.name))

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} {self.unit}".strip()

    @property
    def summary(self) -> str:
        """The first line of the function's documentation."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    @property
    def installed(self) -> bool:
        """Whether its packages are there; they are not imported."""
        return all(find_spec(module.partition(".")[0]) for module in self.packages)

    def of_pair(self, pair: Pair) -> float | None:
        """Take it of a pair."""
        degraded = pair.matched if self.match_level else pair.degraded
        return self.function(pair.reference, degraded, pair.sample_rate)


# By column, in the order of the tables; the first that was measured says which file is best.
METRICS: dict[str, Metric] = {}


def metric(name: str, **fields: Any) -> Callable[[Function], Function]:
    """Register a function as a `Metric` of these fields.

    Examples
    --------
    >>> @metric("peak", title="peak", unit="dB", better=ZERO, digits=1)
    ... def peak_difference_db(reference, degraded, sample_rate):
    ...     "Peak level above that of the reference."
    ...     return 20 * np.log10(np.abs(degraded).max() / np.abs(reference).max())
    >>> METRICS.pop("peak_difference_db").heading
    'peak dB'
    """

    def register(function: Function) -> Function:
        found = Metric(name, function, **fields)
        METRICS[found.column] = found
        return function

    return register


def choose_metrics(
    names: Sequence[str] | None = None, given: Collection[str] = (REFERENCE,)
) -> tuple[list[Metric], list[str]]:
    """Choose what is measured, before any work.

    Parameters
    ----------
    names : sequence of str, optional
        As in ``measures=``; without it, all defaults. Metrics of an image are always taken where
        there is one.
    given : collection of {"reference", "image"}
        What there is to compare with.

    Returns
    -------
    metrics : list of Metric
        In the order of the tables.
    notes : list of str
        What is left out since a package is missing. It raises where nothing else is left.
    """
    usable = [
        one
        for one in METRICS.values()
        if one.needs in given or (one.needs == ALONE and REFERENCE not in given)
    ]
    known = list(dict.fromkeys(one.name for one in METRICS.values() if one.needs != IMAGE))
    for name in names or ():
        if name not in known:
            raise BadInput(
                f"measures has {name}, which is unknown{nearest(name, known)}; expected some of "
                f"{', '.join(known)}",
                "measures.unknown",
            )
        if all(one.name != name for one in usable):
            alone = [one.name for one in usable if one.needs == ALONE]
            raise BadInput(
                f"measures has {name}, which needs reference=; without it expected "
                f"{', '.join(alone)}",
                "measures.reference",
            )
    chosen: list[Metric] = []
    missing: list[Metric] = []
    for one in usable:
        if not (one.needs == IMAGE or (one.default if names is None else one.name in names)):
            continue
        (chosen if one.installed else missing).append(one)
    if missing and not chosen:
        raise BadInput(f"nothing is left to measure; {_missing(missing)}", "measures.extra")
    return chosen, [_missing(missing)] if missing else []


def _missing(metrics: Sequence[Metric]) -> str:
    extras = {one.extra: [m.title for m in metrics if m.extra == one.extra] for one in metrics}
    listed = (f"{', '.join(of)} (pip install 'vocoder[{extra}]')" for extra, of in extras.items())
    return f"left out, since packages are missing: {'; '.join(listed)}"


def measure(
    reference: np.ndarray,
    degraded: np.ndarray,
    sample_rate: int,
    names: Sequence[str] | None = None,
    problems: dict[str, str] | None = None,
) -> dict[str, float]:
    """Align a waveform to its reference and measure it.

    Parameters
    ----------
    reference, degraded : ndarray
        ``(samples,)``, floating point, full scale at 1; the lengths may differ.
    sample_rate : int
        Of both, in Hz.
    names : sequence of str, optional
        Without them, all that are taken by default and whose packages are installed.
    problems : dict, optional
        Takes the names of metrics that cannot be taken, such as ViSQOL of a short waveform, and
        why. Without it the first of them raises.

    Returns
    -------
    dict of str to float
        By column of `METRICS`. ``f0_rmse_cents`` is not there where no frame is voiced in both.
    """
    metrics, _ = choose_metrics(names)
    pair = Pair(reference, degraded, sample_rate)
    return take(metrics, lambda one: one.of_pair(pair), problems)


def take(
    metrics: Sequence[Metric],
    values_of: Callable[[Metric], float | None],
    problems: dict[str, str] | None = None,
) -> dict[str, float]:
    """Take metrics one by one, as `measure`: what one cannot do stops no other.

    ``values_of`` takes a metric of whatever is measured.
    """
    found: dict[str, float] = {}
    for one in metrics:
        try:
            value = values_of(one)
            if value is None:
                continue
            if not math.isfinite(value):
                raise BadInput(f"{one.title} gives no number for this waveform", "measure.infinite")
            found[one.column] = value
        except BadInput as error:
            if problems is None:
                raise
            problems[one.name] = str(error)
    return found


def optional_package(module: str, what: str, extra: str = "evaluate") -> Any:
    """Import a module of one of our extras; ``what`` needs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise BadInput(
            f"{what} needs the package {module.partition('.')[0]}; install it with "
            f"pip install 'vocoder[{extra}]'",
            "measures.extra",
        ) from error
