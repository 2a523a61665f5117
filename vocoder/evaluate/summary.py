"""From files to systems: means, differences from the baseline, and how to tell them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vocoder.compare.statistics.findings import ALPHA, holm
from vocoder.evaluate.inference import Interval, mean_interval, paired_p
from vocoder.evaluate.metrics.measure import COLUMNS, HIGHER, LOWER, ZERO, Column
from vocoder.evaluate.work import Measured

ARROWS = {HIGHER: "↑", LOWER: "↓", ZERO: "→ 0"}  # where the good end is
TEST = (
    "two-sided sign-flip permutation test of the mean difference, utterance by utterance; "
    "p corrected over the systems by Holm's method, each measure by itself"
)
# Sounds whose length differs more from their reference's are told of.
TOLD_LENGTH_S = 0.1


@dataclass(frozen=True)
class Comparison:
    """A system against the baseline in one measure, over the utterances that both have.

    Parameters
    ----------
    difference : Interval
        System minus baseline; of measures whose good end is 0, of their absolute values.
    p, p_holm : float
        Of `paired_p`, and corrected for the number of systems.
    """

    difference: Interval
    p: float
    p_holm: float


@dataclass(frozen=True)
class Summary:
    """What the files say of the systems.

    Parameters
    ----------
    columns : list of Column
        Measures that any file has.
    means : dict
        System to name of measure to `Interval`.
    baseline : str
    comparisons : dict
        System to name of measure to `Comparison`; without the baseline.
    """

    columns: list[Column]
    means: dict[str, dict[str, Interval]]
    baseline: str
    comparisons: dict[str, dict[str, Comparison]]


def summarise(
    files: Sequence[Measured], systems: Sequence[str], baseline: str, *, seed: int
) -> Summary:
    """Means with intervals, and every system against the baseline.

    Parameters
    ----------
    files : sequence of Measured
    systems : sequence of str
        In the order of the tables.
    baseline : str
        One of them.
    seed : int
        Of the bootstrap and of drawn permutations.
    """
    columns = [one for one in COLUMNS.values() if any(one.name in file.values for file in files)]
    means: dict[str, dict[str, Interval]] = {system: {} for system in systems}
    comparisons: dict[str, dict[str, Comparison]] = {
        system: {} for system in systems if system != baseline
    }
    for column in columns:
        values = {
            system: {
                file.utterance: file.values[column.name]
                for file in files
                if file.system == system and column.name in file.values
            }
            for system in systems
        }
        for system, found in values.items():
            if found:
                means[system][column.name] = mean_interval(
                    list(found.values()), list(found), seed=seed
                )
        if column.better == ZERO:  # the question is which is nearer to it
            values = {
                system: {name: abs(value) for name, value in found.items()}
                for system, found in values.items()
            }
        for system, comparison in _compare(values, baseline, seed).items():
            comparisons[system][column.name] = comparison
    return Summary(columns, means, baseline, comparisons)


def _compare(
    values: Mapping[str, Mapping[str, float]], baseline: str, seed: int
) -> dict[str, Comparison]:
    """Every other system against the baseline in one measure."""
    found = {}
    for system, own in values.items():
        common = [name for name in own if name in values[baseline]]
        if system != baseline and common:
            apart = [own[name] - values[baseline][name] for name in common]
            p = paired_p(apart, seed=seed)
            found[system] = Comparison(mean_interval(apart, common, seed=seed), p, p)
    corrected = holm([one.p for one in found.values()])
    return {
        system: replace(one, p_holm=p)
        for (system, one), p in zip(found.items(), corrected, strict=True)
    }


def table(summary: Summary) -> str:
    """Both tables as Markdown: means, and differences from the baseline."""
    titles = [f"{one.title} {ARROWS[one.better]}" for one in summary.columns]
    rows = [["system", "files", *titles]]
    for system, means in summary.means.items():
        cells = [_mean(means.get(one.name), one.digits) for one in summary.columns]
        n_files = max((interval.n for interval in means.values()), default=0)
        rows.append([f"`{system}`", str(n_files), *cells])
    lines = [*_markdown(rows), "", "Mean over utterances (95 % bootstrap interval of it)."]
    if any(summary.comparisons.values()):
        distances = [
            f"absolute {one.title} {ARROWS[LOWER]}" if one.better == ZERO else title
            for one, title in zip(summary.columns, titles, strict=True)
        ]
        rows = [["minus baseline", *distances]]
        for system, compared in summary.comparisons.items():
            cells = [_difference(compared.get(one.name), one.digits) for one in summary.columns]
            rows.append([f"`{system}`", *cells])
        lines += ["", *_markdown(rows), "", f"Baseline `{summary.baseline}`. Mean difference over "]
        lines[-1] += f"utterances that both have (95 % bootstrap interval), and p: {TEST}. "
        lines[-1] += f"Bold where p is below {ALPHA:.2g}."
    return "\n".join(lines)


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


def _mean(interval: Interval | None, digits: int) -> str:
    return "" if interval is None else interval.text(digits)


def _difference(found: Comparison | None, digits: int) -> str:
    if found is None:
        return ""
    p = f"p {found.p_holm:.2g}" if found.p_holm >= 0.001 else "p < 0.001"
    text = f"{found.difference.text(digits + 1)}, {p}"
    return f"**{text}**" if found.p_holm < ALPHA else text


def to_json(summary: Summary) -> dict[str, Any]:
    """Plain values; what is not known is ``None``."""
    return {
        "baseline": summary.baseline,
        "measures": {
            one.name: {"title": one.title, "better": one.better} for one in summary.columns
        },
        "systems": {
            system: {name: _interval(interval) for name, interval in means.items()}
            for system, means in summary.means.items()
        },
        "test": TEST,
        "comparisons": {
            system: {
                name: {**_interval(one.difference), "p": one.p, "p_holm": one.p_holm}
                for name, one in compared.items()
            }
            for system, compared in summary.comparisons.items()
        },
    }


def _interval(interval: Interval) -> dict[str, float | int | None]:
    ends = {
        end: None if math.isnan(value) else value
        for end, value in (("low", interval.low), ("high", interval.high))
    }
    return {"mean": interval.mean, **ends, "n": interval.n}


def to_csv(files: Sequence[Measured], columns: Sequence[Column]) -> str:
    """One row a file."""
    text = io.StringIO()
    names = [one.name for one in columns]
    fields = ["system", "utterance", "file", "seconds", *names]
    fields += ["length_difference_s", "delay_ms", "polarity_inverted", "problem"]
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    for file in files:
        row: dict[str, Any] = {
            "system": file.system,
            "utterance": file.utterance,
            "file": file.path,
            "seconds": round(file.seconds, 3),
            "length_difference_s": _rounded(file.length_difference_s, 4),
            "delay_ms": _rounded(file.delay_s and 1000 * file.delay_s, 4),
            "polarity_inverted": "" if file.inverted is None else str(file.inverted).lower(),
            "problem": "; ".join(f"{name}: {reason}" for name, reason in file.problems.items()),
        }
        writer.writerow(row | {name: file.values.get(name, "") for name in names})
    return text.getvalue()


def _rounded(value: float | None, digits: int) -> float | str:
    return "" if value is None else round(value, digits)


def notes(files: Sequence[Measured]) -> list[str]:
    """What is worth knowing and no problem."""
    lengths = [
        file
        for file in files
        if file.length_difference_s is not None and abs(file.length_difference_s) > TOLD_LENGTH_S
    ]
    inverted = [file for file in files if file.inverted]
    told = []
    if lengths:
        told.append(
            f"{len(lengths)} of {len(files)} files are more than {TOLD_LENGTH_S:g} s longer or "
            f"shorter than their reference, such as {lengths[0].system}/{lengths[0].utterance} "
            f"({lengths[0].length_difference_s:+.2f} s); what both have was measured"
        )
    if inverted:
        told.append(
            f"{len(inverted)} of {len(files)} files had their polarity turned over; "
            "it was turned back"
        )
    return told
