"""The report as a page: one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from vocoder.compare.report.forest import draw_forest
from vocoder.compare.report.methods import methods
from vocoder.compare.report.results import Results
from vocoder.compare.report.wording import (
    TESTS,
    TITLES,
    headline,
    interval,
    is_against,
    is_sure,
    notes,
    number,
    p_value,
    power,
    turned,
)
from vocoder.compare.statistics.bradley_terry import STRENGTH
from vocoder.compare.statistics.finding import Finding
from vocoder.compare.statistics.ratings import SCORE

# Nothing is fetched, whatever a name from outside contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(results: Results) -> str:
    """The whole page as HTML."""
    title = escape(results.study.title)
    style = (files("vocoder.compare.report") / "style.css").read_text(encoding="utf-8")
    said = notes(results)
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}: results</title>\n<style>\n{style}</style>\n</head>\n<body>",
        f"<header>\n<h1>{title}</h1>",
        f'<p class="headline">{escape(headline(results.decisive))}</p>',
        f'<p class="question">The question was: {escape(results.study.question)}</p>',
        _facts(results),
        "</header>\n<main>",
        _list("What went wrong", results.problems, "problems"),
        _list("Before you believe it", said),
        *(_measure(results, measure) for measure in _measures(results)),
        _paragraph("How many trials it takes", power(results)),
        _listeners(results),
        _methods(results),
        "</main>",
        f"<footer><p>Seed {results.study.seed}. Every number is in report.csv and report.json."
        "</p></footer>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _measures(results: Results) -> list[str]:
    return list(dict.fromkeys(finding.measure for finding in results.decisive.findings))


def _facts(results: Results) -> str:
    study = results.study
    facts = {
        "test": TESTS[study.test],
        "systems": str(len(study.systems)),
        "items": str(len(study.items)),
        "listeners": str(len(results.listeners)),
        "screened out": str(len(results.excluded)),
        "answers": str(len(results.answers.answers)),
    }
    cells = "".join(f"<div><dt>{name}</dt><dd>{escape(v)}</dd></div>" for name, v in facts.items())
    return f'<dl class="facts">{cells}</dl>'


def _measure(results: Results, measure: str) -> str:
    """Heading, forest plot and table of one measure."""
    findings, everyone = _readable(
        results.decisive.of(measure),
        [] if results.screened is None else results.everyone.of(measure),
    )
    figure = ""
    if all(one.low is not None for one in findings):
        svg = draw_forest(findings, everyone)
        figure = f'<div class="scroll" tabindex="0">{svg}</div>'
    legend = []
    if figure and everyone:
        legend.append("Filled: without the listeners screened out. Hollow: all listeners.")
    if findings[0].test:
        legend.append(f"p: {findings[0].test}.")
    text = f'<p class="legend">{" ".join(legend)}</p>' if legend else ""
    table = _table(_rows(findings, everyone), TITLES[measure])
    return f"<section>\n<h2>{TITLES[measure]}</h2>\n{figure}{text}{table}\n</section>"


def _readable(
    findings: Sequence[Finding], everyone: Sequence[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """The better of a pair first, and systems from the best down."""
    others = {one.subject: one for one in everyone}
    order = list(findings)
    if findings[0].measure in (STRENGTH, SCORE):
        order.sort(key=lambda one: -(one.value or 0.0))
    against = {one.subject for one in findings if is_against(one)}

    def faced(finding: Finding) -> Finding:
        return turned(finding) if finding.subject in against else finding

    return (
        [faced(one) for one in order],
        [faced(others[one.subject]) for one in order if one.subject in others],
    )


# Heading, and the detail it is of.
_COUNTS = {"wins": "for", "losses": "against", "ties": "ties", "right": "right", "blocks": "blocks"}
Row = tuple[str, dict[str, str]]


def _rows(findings: Sequence[Finding], everyone: Sequence[Finding]) -> list[Row]:
    """Class and cells of each row; all listeners' rows stand below those without the screened."""
    others = {one.subject: one for one in everyone}
    rows: list[Row] = []
    for finding in findings:
        rows.append(("sure" if is_sure(finding) else "", _cells(finding, finding.subject)))
        if finding.subject in others:
            rows.append(("everyone", _cells(others[finding.subject], "all listeners")))
    return rows


def _cells(finding: Finding, name: str) -> dict[str, str]:
    cells = {
        "": name,
        "estimate": number(finding.value, finding.measure),
        "95 % interval": interval(finding),
    }
    cells |= {
        heading: str(finding.detail[key])
        for key, heading in _COUNTS.items()
        if key in finding.detail
    }
    cells |= {"answers": str(finding.n_answers), "listeners": str(finding.n_listeners)}
    return cells | {"p": p_value(finding.p), "p (Holm)": p_value(finding.p_holm)}


def _table(rows: Sequence[Row], caption: str) -> str:
    """Columns that are empty throughout are left out."""
    names = dict.fromkeys(name for _, cells in rows for name in cells)
    names = dict.fromkeys(name for name in names if any(cells.get(name) for _, cells in rows))
    text = {"reason"}
    head = "".join(
        f'<th scope="col"{_class("text", name in text)}>{escape(name)}</th>' for name in names
    )
    body = ""
    for kind, cells in rows:
        first, *rest = names
        body += f'<tr{_class(kind, bool(kind))}><th scope="row">{escape(cells[first])}</th>'
        body += "".join(
            f"<td{_class('text', name in text)}>{escape(cells.get(name, ''))}</td>" for name in rest
        )
        body += "</tr>\n"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}: table">'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def _class(name: str, wanted: bool) -> str:
    return f' class="{name}"' if wanted else ""


def _listeners(results: Results) -> str:
    n_trials = len(results.study.trials)
    rows: list[Row] = [
        (
            "",
            {
                "listener": one.name,
                "answers": f"{one.n_answers} of {n_trials}",
                "seconds an answer (median)": f"{one.seconds:.1f}",
                "screened out": "yes" if one.excluded else "no",
                "reason": one.excluded,
            },
        )
        for one in sorted(results.listeners, key=lambda one: not one.excluded)
    ]
    table = _table(rows, "Listeners")
    summary = f"Listeners ({len(results.listeners)}, {len(results.excluded)} screened out)"
    return f"<section><details><summary>{summary}</summary>{table}</details></section>"


def _methods(results: Results) -> str:
    items = "".join(f"<li>{escape(one)}</li>" for one in methods(results.study.test))
    return (
        "<section><details><summary>How this was computed</summary>"
        f"<ul>{items}</ul></details></section>"
    )


def _list(title: str, sentences: Sequence[str], kind: str = "") -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(one)}</li>" for one in sentences)
    return f"<section{_class(kind, bool(kind))}>\n<h2>{title}</h2>\n<ul>{items}</ul>\n</section>"


def _paragraph(title: str, text: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n<p>{escape(text)}</p>\n</section>" if text else ""
