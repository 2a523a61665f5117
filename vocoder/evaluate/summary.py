"""From files to systems: means, differences from the baseline, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vocoder.audio import MIN_OFFSET
from vocoder.errors import some_of
from vocoder.evaluate.inference import ALPHA, Interval, holm, mean_interval, paired_p
from vocoder.evaluate.metrics.metric import ARROWS, LOWER, METRICS, ZERO, Metric
from vocoder.evaluate.work import Measured

TEST = (
    "two-sided sign-flip permutation test of the mean difference, utterance by utterance; "
    "p corrected over the systems by Holm's method, each metric by itself"
)
# Differences from the reference above which a note says so.
TOLD_LENGTH_S, TOLD_DELAY_S = 0.1, 0.05


@dataclass(frozen=True)
class Comparison:
    """A system against the baseline in one metric, over the utterances that both have.

    Parameters
    ----------
    difference : Interval
        System minus baseline; of metrics whose good end is 0, of their absolute values.
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
    metrics : list of Metric
        Those that any file has.
    means : dict
        System to column to `Interval`.
    comparisons : dict
        System to column to `Comparison`; without the baseline.
    """

    metrics: list[Metric]
    means: dict[str, dict[str, Interval]]
    baseline: str
    comparisons: dict[str, dict[str, Comparison]]


def summarise(
    files: Sequence[Measured], systems: Sequence[str], baseline: str, *, seed: int
) -> Summary:
    """Means with intervals, and every system against the baseline.

    ``systems`` are in the order of the tables; ``seed`` is that of the bootstrap and of drawn
    permutations.
    """
    metrics = [one for one in METRICS.values() if any(one.column in x.values for x in files)]
    means: dict[str, dict[str, Interval]] = {system: {} for system in systems}
    comparisons: dict[str, dict[str, Comparison]] = {
        system: {} for system in systems if system != baseline
    }
    for metric in metrics:
        values = {
            system: {
                file.utterance: file.values[metric.column]
                for file in files
                if file.system == system and metric.column in file.values
            }
            for system in systems
        }
        for system, found in values.items():
            if found:
                means[system][metric.column] = mean_interval(
                    list(found.values()), list(found), seed=seed
                )
        if metric.better == ZERO:  # the question is which is nearer to it
            values = {
                system: {name: abs(value) for name, value in found.items()}
                for system, found in values.items()
            }
        for system, comparison in _compare(values, baseline, seed).items():
            comparisons[system][metric.column] = comparison
    return Summary(metrics, means, baseline, comparisons)


def _compare(
    values: Mapping[str, Mapping[str, float]], baseline: str, seed: int
) -> dict[str, Comparison]:
    """Every other system against the baseline in one metric."""
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
    titles = [f"{one.heading} {ARROWS[one.better]}" for one in summary.metrics]
    rows = [["system", "files", *titles]]
    for system, means in summary.means.items():
        cells = [
            means[one.column].text(one.digits) if one.column in means else ""
            for one in summary.metrics
        ]
        n_files = max((interval.n for interval in means.values()), default=0)
        rows.append([f"`{system}`", str(n_files), *cells])
    lines = [markdown(rows), "", "Mean over utterances (95 % bootstrap interval of it)."]
    if any(summary.comparisons.values()):
        distances = [
            f"absolute {one.heading} {ARROWS[LOWER]}" if one.better == ZERO else title
            for one, title in zip(summary.metrics, titles, strict=True)
        ]
        rows = [["minus baseline", *distances]]
        for system, compared in summary.comparisons.items():
            cells = [_difference(compared.get(one.column), one.digits) for one in summary.metrics]
            rows.append([f"`{system}`", *cells])
        lines += ["", markdown(rows), "", f"Baseline `{summary.baseline}`. Mean difference over "]
        lines[-1] += f"utterances that both have (95 % bootstrap interval), and p: {TEST}. "
        lines[-1] += f"Bold where p is below {ALPHA:.2g}."
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, whose first row is its head."""
    head, *body = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


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
            one.column: {"title": one.heading, "better": one.better} for one in summary.metrics
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
    values = asdict(interval)
    return values | {"low": None, "high": None} if math.isnan(interval.low) else values


def records(files: Sequence[Measured], metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """One row a file, for a table that other programs read; what is not known is ``None``."""
    return [
        {
            "system": file.system,
            "utterance": file.utterance,
            "file": file.path,
            "seconds": round(file.seconds, 3),
            **{one.column: file.values.get(one.column) for one in metrics},
            "length_difference_s": _rounded(file.length_difference_s),
            "delay_ms": None if file.delay_s is None else _rounded(1000 * file.delay_s),
            "polarity_inverted": None if file.inverted is None else str(file.inverted).lower(),
            "problem": "; ".join(f"{name}: {reason}" for name, reason in file.problems.items()),
        }
        for file in files
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def notes(files: Sequence[Measured]) -> list[str]:
    """Say what was put right before measuring, and in which files."""
    lengths, delays, inverted, offsets, of_reference = [], [], [], [], []
    for one in files:
        name = f"{one.system}/{one.utterance}"
        if abs(one.length_difference_s or 0) > TOLD_LENGTH_S:
            lengths.append(f"{name} ({one.length_difference_s:+.2f} s)")
        if abs(one.delay_s or 0) > TOLD_DELAY_S:
            delays.append(f"{name} ({1000 * (one.delay_s or 0):+.0f} ms)")
        if one.inverted:
            inverted.append(name)
        if one.offset:
            offsets.append(f"{name} ({100 * one.offset:+.2f} %)")
        if one.reference_offset:
            of_reference.append(f"{one.utterance} ({100 * one.reference_offset:+.2f} %)")
    constant = f"hold a constant offset above {100 * MIN_OFFSET:g} % of full scale; it was removed"
    return [
        f"{len(found)} of {len(files)} {what}: {some_of(found, ', ')}"
        for found, what in (
            (
                lengths,
                f"files are more than {TOLD_LENGTH_S:g} s longer or shorter than their reference; "
                "what both have was measured",
            ),
            (
                delays,
                f"files are more than {1000 * TOLD_DELAY_S:g} ms late (+) or early (-); "
                "they were aligned",
            ),
            (inverted, "files have the opposite polarity; it was inverted"),
            (offsets, f"files {constant}"),
            (of_reference, f"files have a reference that {constant.replace('hold', 'holds')}"),
        )
        if found
    ]
