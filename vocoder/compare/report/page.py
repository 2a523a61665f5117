"""The report as a page: one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from matplotlib.ticker import MaxNLocator

from vocoder.compare.answers import SCALES
from vocoder.compare.report.results import Results
from vocoder.compare.report.wording import (
    SHARES,
    TESTS,
    TITLES,
    headline,
    interval,
    is_sure,
    methods,
    neutral,
    notes,
    number,
    p_value,
    turned,
)
from vocoder.compare.statistics.findings import Finding
from vocoder.compare.statistics.ratings import QUARTILES, SCORE
from vocoder.compare.statistics.strengths import STRENGTH

_MARGIN = 0.05  # of an axis, on both sides
MAX_TICKS = 4


@dataclass(frozen=True)
class Axis:
    """Where values stand, in per cent of a plot's width; the ends are values, the rest places."""

    low: float
    high: float
    ticks: list[tuple[float, str]]
    neutral: float | None

    @classmethod
    def of(cls, findings: Sequence[Finding], question: str) -> Axis:
        """A whole rating scale, or all intervals and the neutral value."""
        measure = findings[0].measure
        middle = neutral(measure)
        if measure == SCORE:
            low, high = SCALES[question]
        else:
            ends = [end for one in findings for end in (one.low, one.high) if end is not None]
            ends += [] if middle is None else [middle]
            low, high = min(ends), max(ends)
            # A single narrow interval is not blown up to the whole width.
            grow = max(0.0, (0.2 if measure in SHARES else 0.5) - (high - low)) / 2
            low, high = low - grow, high + grow
        margin = _MARGIN * (high - low)
        bare = cls(low - margin, high + margin, [], None)
        marks = [one for one in MaxNLocator(MAX_TICKS).tick_values(low, high) if low <= one <= high]
        if measure in SHARES:
            marks = [one for one in marks if 0 <= one <= 1]
        ticks = [
            (bare.at(one), f"{100 * one:.0f} %" if measure in SHARES else f"{one:g}")
            for one in marks
        ]
        return cls(bare.low, bare.high, ticks, None if middle is None else bare.at(middle))

    def at(self, value: float) -> float:
        """Place of a value."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def page(results: Results) -> str:
    """The whole page as HTML."""
    folder = files("vocoder.compare.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "report.html").read_text(encoding="utf-8"))
    study = results.study
    measures = dict.fromkeys(finding.measure for finding in results.decisive.findings)
    return template.render(
        style=(folder / "style.css").read_text(encoding="utf-8"),
        study=study,
        headline=headline(results.decisive),
        facts={
            "test": TESTS[study.test],
            "systems": len(study.systems),
            "items": len(study.items),
            "listeners": len(results.listeners),
            "screened out": len(results.excluded),
            "answers": len(results.answers),
        },
        notes=notes(results),
        sections=[_section(results, measure) for measure in measures],
        listeners=sorted(results.listeners, key=lambda one: not one.excluded),
        comments=[answer for answer in results.answers if answer.comment],
        n_excluded=len(results.excluded),
        methods=methods(study.test),
    )


def _section(results: Results, measure: str) -> dict[str, Any]:
    """Title, columns and rows of one measure; all listeners' rows below those without screened."""
    findings = [turned(one) for one in results.decisive.of(measure)]
    if measure in (STRENGTH, SCORE):
        findings.sort(key=lambda one: -(one.value or 0.0))
    everyone = [] if results.screened is None else results.everyone.of(measure)
    others = {frozenset(_names(one)): one for one in everyone}
    shown = [*findings, *map(turned, everyone)]
    axis = None if findings[0].low is None else Axis.of(shown, results.study.test)
    rows = []
    for finding in findings:
        rows.append(_row(finding, finding.subject, axis, "sure" if is_sure(finding) else ""))
        if other := others.get(frozenset(_names(finding))):
            if _names(other)[0] != _names(finding)[0]:
                other = turned(other)
            rows.append(_row(other, "all listeners", axis, "everyone"))
    columns = dict.fromkeys(name for row in rows for name in row["cells"])
    return {
        "title": TITLES[measure],
        "test": findings[0].test,
        "axis": axis,
        "screened": bool(others),
        "boxes": any("median" in one.detail for one in findings),
        "columns": [name for name in columns if _tells(name, rows)],
        "rows": rows,
    }


def _tells(column: str, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether a column is not empty; the number of listeners is said above if it is one."""
    values = {row["cells"].get(column, "") for row in rows}
    return values != {""} and (column != "listeners" or len(values) > 1)


def _names(finding: Finding) -> tuple[str, ...]:
    detail = finding.detail
    return (detail["first"], detail["second"]) if "first" in detail else (finding.subject,)


def _row(finding: Finding, name: str, axis: Axis | None, kind: str) -> dict[str, Any]:
    measure, detail = finding.measure, finding.detail
    cells = {"estimate": number(finding.value, measure), "95 % interval": interval(finding)}
    if "median" in detail:
        cells["median"] = number(detail["median"], measure)
        cells["quartiles"] = (
            f"{number(detail['quartile1'], measure)} to {number(detail['quartile3'], measure)}"
        )
    cells |= {"p": p_value(finding.p), "p (Holm)": p_value(finding.p_holm)}
    if "wilcoxon_holm" in detail:
        cells["p (Wilcoxon)"] = p_value(detail["wilcoxon_holm"])
    if "ties" in detail:
        cells["for : against : ties"] = "{wins} : {losses} : {ties}".format_map(detail)
    if "right" in detail:
        cells["right"] = str(detail["right"])
    cells |= {"answers": str(finding.n_answers), "listeners": str(finding.n_listeners)}
    marks = {}
    if axis is not None:
        values = {"low": finding.low, "value": finding.value, "high": finding.high}
        values |= {key: detail[key] for key in QUARTILES if key in detail}
        marks = {key: axis.at(value) for key, value in values.items() if value is not None}
    return {"name": name, "kind": kind, "cells": cells, "marks": marks}
