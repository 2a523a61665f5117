"""Writing the report: page, tables, numbers, and webMUSHRA's tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from vocoder.compare.answers import AbxAnswer, MushraAnswer, PreferenceAnswer
from vocoder.compare.report.page import page
from vocoder.compare.report.results import Results, read_results
from vocoder.compare.report.wording import headline, notes
from vocoder.compare.statistics.ratings import QUARTILES
from vocoder.compare.webmushra import write_mushra, write_paired_comparison
from vocoder.files import atomic_path, refuse_existing, write_text

PAGE_NAME, TABLE_NAME, NUMBERS_NAME = "report.html", "report.csv", "report.json"
ANSWERS_NAME, MUSHRA_NAME, PAIRED_NAME = "answers.csv", "mushra.csv", "paired_comparison.csv"
# Those of a finding's details that have a column.
_DETAILS = (
    *("wins", "losses", "ties", "right", "heard_share", "statistic", "wilcoxon", "wilcoxon_holm"),
    *QUARTILES,
)
_COLUMNS = (
    *("listeners", "question", "measure", "subject", "value", "low", "high", "test", "p", "p_holm"),
    *("n_answers", "n_listeners", "n_items"),
)


def write_report(
    results: Path,
    output: Path,
    *,
    overwrite: bool,
    tell: Callable[[str], object] = lambda line: None,
) -> None:
    """Analyse a listening study and write what it says.

    Parameters
    ----------
    results : Path
        Folder of the study and its answers.
    output : Path
        Folder for the report.
    overwrite : bool
        Whether a report there may be replaced.
    tell : callable
        Called with the outcome in a sentence, then the page's name.
    """
    names = (PAGE_NAME, TABLE_NAME, NUMBERS_NAME, ANSWERS_NAME, MUSHRA_NAME, PAIRED_NAME)
    for name in names:
        refuse_existing(output / name, overwrite=overwrite)
    found = read_results(results)
    study = found.study
    write_text(output / PAGE_NAME, page(found), overwrite=overwrite)
    rows = [
        {"listeners": name, **finding.to_dict(), **finding.detail}
        for name, analysis in found.analyses.items()
        for finding in analysis.findings
    ]
    _write_table(output / TABLE_NAME, (*_COLUMNS, *_DETAILS), rows, overwrite=overwrite)
    text = json.dumps(numbers(found), indent=1, ensure_ascii=False)
    write_text(output / NUMBERS_NAME, text + "\n", overwrite=overwrite)
    given = [answer.model_dump() for answer in found.answers]
    _write_table(output / ANSWERS_NAME, list(given[0]), given, overwrite=overwrite)
    ratings = [one for one in found.answers if isinstance(one, MushraAnswer)]
    if ratings:
        write_mushra(
            output / MUSHRA_NAME,
            ratings,
            study.title,
            study.questions,
            found.details,
            overwrite=overwrite,
        )
    pairs = [one for one in found.answers if isinstance(one, AbxAnswer | PreferenceAnswer)]
    if pairs:
        write_paired_comparison(
            output / PAIRED_NAME,
            pairs,
            study.title,
            study.questions,
            found.details,
            systems=study.systems,
            overwrite=overwrite,
        )
    tell(headline(found.decisive))
    tell(f"report: {output / PAGE_NAME}")


def numbers(results: Results) -> dict[str, Any]:
    """All that the report says, as plain values for JSON; never the study's secret."""
    study = results.study
    return {
        "headline": headline(results.decisive),
        "notes": notes(results),
        "study": {
            **study.model_dump(include={"title", "question", "test", "seed", "systems", "items"}),
            "trials_per_listener": len(study.trials),
        },
        "answers": len(results.answers),
        "listeners": [
            {
                "listener": one.name,
                "answers": one.n_answers,
                "median_seconds": one.seconds,
                "screened_out": one.excluded or None,
                "details": one.details,
            }
            for one in results.listeners
        ],
        "findings": {
            name: [one.to_dict() for one in analysis.findings]
            for name, analysis in results.analyses.items()
        },
    }


def _write_table(
    path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]], *, overwrite: bool
) -> None:
    with (
        atomic_path(path, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
