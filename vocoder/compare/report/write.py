"""Writing the report: ``report.html``, ``report.csv``, ``report.json``, and webMUSHRA's tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vocoder.compare.answers import AbxAnswer, MushraAnswer, PreferenceAnswer
from vocoder.compare.report.page import page
from vocoder.compare.report.results import Results, read_results
from vocoder.compare.report.wording import headline, notes, power
from vocoder.compare.statistics.finding import Analysis, Finding
from vocoder.compare.webmushra.tables import write_mushra, write_paired_comparison
from vocoder.errors import BadInput
from vocoder.files import atomic_path, refuse_existing, write_text

PAGE_NAME, TABLE_NAME, NUMBERS_NAME = "report.html", "report.csv", "report.json"
MUSHRA_NAME, PAIRED_NAME = "mushra.csv", "paired_comparison.csv"
N_BOOTSTRAP = 2000
DONE, INCOMPLETE = 0, 2
# Those of a finding's details that have a column.
_DETAILS = (
    "wins",
    "losses",
    "ties",
    "right",
    "heard_share",
    "statistic",
    "design_effect",
    "needed_answers",
    "more_answers",
)
_COLUMNS = (
    "listeners",
    "question",
    "measure",
    "subject",
    "value",
    "low",
    "high",
    "test",
    "p",
    "p_holm",
    "n_answers",
    "n_listeners",
    "n_items",
)


def write_report(
    results: Path,
    output: Path,
    *,
    overwrite: bool,
    seed: int,
    n_bootstrap: int = N_BOOTSTRAP,
    tell: Callable[[str], object] | None = None,
) -> int:
    """Analyse a listening session and write what it says.

    Parameters
    ----------
    results : Path
        Folder of the study and its results.
    output : Path
        Folder for the report.
    overwrite : bool
        Whether a report there may be replaced.
    seed : int
        Of the bootstrap.
    n_bootstrap : int
        Samples of each kind.
    tell : callable or None
        Called with the outcome in a sentence, then problems, then the page's name.

    Returns
    -------
    int
        0, or 2 if an answer was lost in a cut line (all others are in the report).

    Raises
    ------
    BadInput
        No results, results that contradict the study, or a report exists.
    """
    if n_bootstrap < 2:
        raise BadInput(f"n_bootstrap is {n_bootstrap}; expected 2 or more, usually {N_BOOTSTRAP}")
    for name in (PAGE_NAME, TABLE_NAME, NUMBERS_NAME, MUSHRA_NAME, PAIRED_NAME):
        refuse_existing(output / name, overwrite=overwrite)
    found = read_results(results, seed=seed, n_bootstrap=n_bootstrap)
    write_text(output / PAGE_NAME, page(found), overwrite=overwrite)
    _write_table(output / TABLE_NAME, found, overwrite=overwrite)
    text = json.dumps(numbers(found, seed, n_bootstrap), indent=1, ensure_ascii=False)
    write_text(output / NUMBERS_NAME, text + "\n", overwrite=overwrite)
    answers = found.answers
    if mushra := answers.of(MushraAnswer):
        write_mushra(output / MUSHRA_NAME, mushra, found.study.title, overwrite=overwrite)
    if paired := [*answers.of(AbxAnswer), *answers.of(PreferenceAnswer)]:
        write_paired_comparison(
            output / PAIRED_NAME,
            paired,
            found.study.title,
            systems=found.study.systems,
            overwrite=overwrite,
        )
    for line in (headline(found.decisive), *found.problems, f"report: {output / PAGE_NAME}"):
        if tell is not None:
            tell(line)
    return INCOMPLETE if found.problems else DONE


def numbers(results: Results, seed: int, n_bootstrap: int) -> dict[str, Any]:
    """All that the report says, as plain values for JSON; never the study's secret."""
    study = results.study
    return {
        "headline": headline(results.decisive),
        "problems": results.problems,
        "notes": notes(results),
        "power": power(results),
        "study": {
            "title": study.title,
            "question": study.question,
            "test": study.test,
            "seed": study.seed,
            "systems": list(study.systems),
            "items": list(study.items),
            "trials_per_listener": len(study.trials),
        },
        "bootstrap": {"seed": seed, "samples": n_bootstrap},
        "answers": {
            "counted": len(results.answers.answers),
            "replaced": results.answers.n_replaced,
            "cut_lines": list(results.answers.cut_lines),
        },
        "listeners": [
            {
                "listener": one.name,
                "answers": one.n_answers,
                "median_seconds": one.seconds,
                "screened_out": one.excluded or None,
            }
            for one in results.listeners
        ],
        "findings": {name: [one.to_dict() for one in a.findings] for name, a in _sets(results)},
    }


def _write_table(path: Path, results: Results, *, overwrite: bool) -> None:
    with (
        atomic_path(path, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, [*_COLUMNS, *_DETAILS], lineterminator="\n")
        writer.writeheader()
        for name, analysis in _sets(results):
            writer.writerows(_row(name, finding) for finding in analysis.findings)


def _row(listeners: str, finding: Finding) -> dict[str, Any]:
    values = {"listeners": listeners, **finding.to_dict()}
    details = {name: finding.detail[name] for name in _DETAILS if name in finding.detail}
    return {name: values[name] for name in _COLUMNS} | details


def _sets(results: Results) -> list[tuple[str, Analysis]]:
    """The analyses by the listeners they are of."""
    sets = [("all", results.everyone)]
    return sets if results.screened is None else [*sets, ("screened", results.screened)]
