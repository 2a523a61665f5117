"""Writing the report: page, tables, numbers, and webMUSHRA's tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vocoder.compare.report.page import page
from vocoder.compare.report.results import Results, read_results
from vocoder.compare.report.wording import headline, notes
from vocoder.compare.statistics.ratings import QUARTILES
from vocoder.compare.webmushra import FILES, table
from vocoder.files import refuse_existing, write_text
from vocoder.tables import write_table

PAGE_NAME, TABLE_NAME, NUMBERS_NAME = "report.html", "report.csv", "report.json"
ANSWERS_NAME = "answers.csv"
_COLUMNS = (
    *("listeners", "question", "measure", "subject", "value", "low", "high", "test", "p", "p_holm"),
    *("n_answers", "n_listeners", "n_items"),
    # Those of a finding's details that have a column.
    *("wins", "losses", "ties", "right", "statistic", "wilcoxon", "wilcoxon_holm"),
    *QUARTILES,
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
    for name in (PAGE_NAME, TABLE_NAME, NUMBERS_NAME, ANSWERS_NAME, *FILES.values()):
        refuse_existing(output / name, overwrite=overwrite)
    found = read_results(results)
    study = found.study
    rows = [
        {"listeners": name, "question": study.test, **asdict(one), **one.detail}
        for name, analysis in found.analyses.items()
        for one in analysis.findings
    ]
    given = [answer.model_dump() for answer in found.answers]
    tables: dict[str, tuple[Sequence[str], Iterable[Iterable[object]]]] = {
        TABLE_NAME: (_COLUMNS, ([row.get(name) for name in _COLUMNS] for row in rows)),
        ANSWERS_NAME: (list(given[0]), (one.values() for one in given)),
    }
    if study.test in FILES:
        tables[FILES[study.test]] = table(
            found.answers, study.title, study.questions, found.details, study.systems
        )
    write_text(output / PAGE_NAME, page(found), overwrite=overwrite)
    text = json.dumps(numbers(found), indent=1, ensure_ascii=False)
    write_text(output / NUMBERS_NAME, text + "\n", overwrite=overwrite)
    for name, (header, values) in tables.items():
        write_table(output / name, header, values, overwrite=overwrite)
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
            name: [{"question": study.test, **asdict(one)} for one in analysis.findings]
            for name, analysis in results.analyses.items()
        },
    }
