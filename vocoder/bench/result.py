"""What a benchmark found, as plain values and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tabulate import tabulate

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


@dataclass(frozen=True)
class Case:
    """What was timed, described in words.

    Parameters
    ----------
    is_race : bool
        Whether the rows after the first do the same as it, and are compared with it.
    """

    about: str
    rows: list[Row]
    is_race: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values; ``ratio`` tells how many times faster the first row of a race is."""
        first = self.rows[0] if self.is_race else None
        return {
            "about": self.about,
            "rows": [
                {
                    "name": row.name,
                    "times_s": row.times_s,
                    "median_s": row.median_s,
                    "times_real_time": None if row.audio_s is None else row.audio_s / row.median_s,
                    "ratio": None
                    if first is None or row is first
                    else row.median_s / first.median_s,
                    "measures": row.measures,
                }
                for row in self.rows
            ],
        }


def table(report: dict[str, Any]) -> str:
    """The whole report in Markdown, its table aligned for the terminal as well."""
    machine, settings = report["machine"], report["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    source = settings["input"] or f"synthetic speech, seed {settings['seed']}"
    about = {case["case"]: case["about"] for case in report["cases"]}
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:.1f} at the start; "
        f"{machine['system']}; {versions}.",
        f"Medians of {settings['repetitions']}; {settings['seconds']:g} s of audio ({source}).",
        "",
        *(f"* {name}: {text}" for name, text in about.items()),
        "",
    ]
    rows = [_cells(case, row) for case in report["cases"] for row in case["rows"]]
    return "\n".join([*lines, tabulate(rows, _COLUMNS, tablefmt="github", disable_numparse=True)])


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
