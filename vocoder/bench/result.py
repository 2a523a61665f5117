"""What a benchmark found, as plain values and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tabulate import tabulate

# Told how much of a case is done since the last call; a whole case is 1.
Tick = Callable[[float], object]

_COLUMNS = ("case", "threads", "what", "seconds", "x real time", "vocoder faster", "measures")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What all cases are measured with; ``conf/bench.yaml`` describes the keys."""

    input: str | None
    seconds: float
    seed: int
    repetitions: int
    inverters: list[str]
    generated: str | None
    tiles: int
    minutes: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that was timed.

    Parameters
    ----------
    times_s : list of float
        Every repetition.
    audio_s : float or None
        Length of the audio that it made, if that is what it does.
    measures : dict of str to float
        What else was found out; medians where they differ between repetitions.
    """

    name: str
    times_s: list[float]
    audio_s: float | None = None
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def median_s(self) -> float:
        """Median of the times."""
        return median(self.times_s)

    def to_dict(self, against: Row | None) -> dict[str, Any]:
        """Plain values; ``ratio`` tells how many times faster the row ``against`` is."""
        return {
            "name": self.name,
            "times_s": self.times_s,
            "median_s": self.median_s,
            "times_real_time": None if self.audio_s is None else self.audio_s / self.median_s,
            "ratio": None if against is None else self.median_s / against.median_s,
            "measures": self.measures,
        }


def case_dict(
    case: str, threads: int, about: str, rows: Sequence[Row], *, compare: bool
) -> dict[str, Any]:
    """Plain values of a case; with ``compare``, all rows are compared with the first."""
    first, *others = rows
    return {
        "case": case,
        "threads": threads,
        "about": about,
        "rows": [
            first.to_dict(None),
            *(row.to_dict(first if compare else None) for row in others),
        ],
    }


def table(report: dict[str, Any]) -> str:
    """The whole report in Markdown, its table aligned for the terminal as well."""
    machine, settings = report["machine"], report["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    source = settings["input"] or f"synthetic speech, seed {settings['seed']}"
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:.1f} at the start; "
        f"{machine['system']}; {versions}.",
        f"Medians of {settings['repetitions']}; {settings['seconds']:g} s of audio ({source}).",
        "",
        *(f"* {case['case']}: {case['about']}" for case in _first_of_each(report["cases"])),
        "",
    ]
    rows = [_cells(case, row) for case in report["cases"] for row in case["rows"]]
    return "\n".join([*lines, tabulate(rows, _COLUMNS, tablefmt="github", disable_numparse=True)])


def _first_of_each(cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({case["case"]: case for case in reversed(cases)}.values())[::-1]


def _cells(case: dict[str, Any], row: dict[str, Any]) -> tuple[str, ...]:
    speed, ratio = row["times_real_time"], row["ratio"]
    return (
        case["case"],
        str(case["threads"]),
        row["name"],
        f"{row['median_s']:.3g}",
        "" if speed is None else f"{speed:.3g}",
        "" if ratio is None else f"{ratio:.1f}x",
        ", ".join(f"{name} {value:.4g}" for name, value in row["measures"].items()),
    )
