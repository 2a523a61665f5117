"""What recipes measure: once, kept in ``results.json``, and shown as Markdown."""

from __future__ import annotations

import argparse
import csv
import functools
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vocoder.errors import BadInput
from vocoder.evaluate.inference import mean_interval
from vocoder.evaluate.metrics import METRICS
from vocoder.files import read_record, write_text

Lines = dict[str, dict[str, float]]  # line to measure to value
Results = dict[str, Lines]  # by system


def recipe(
    main: Callable[[argparse.ArgumentParser, list[str] | None], int],
) -> Callable[..., int]:
    """Give ``main`` a parser, and have it end as `vocoder` does where a user can mend something.

    The parser is described by the first line of the module; arguments are by default the process's.
    """

    @functools.wraps(main)
    def wrapped(arguments: list[str] | None = None) -> int:
        about = sys.modules[main.__module__].__doc__ or ""
        try:
            return main(argparse.ArgumentParser(description=about.partition("\n")[0]), arguments)
        except BadInput as error:
            print(f"error: {error}", file=sys.stderr)
            return 2

    return wrapped


def chosen_lines(corpus: Path, split: str, count: int | None) -> list[str]:
    """Names of lines of a split, all or ``count`` evenly spread ones."""
    lines = [row["line"] for row in read_lines(corpus) if row["split"] == split]
    return lines if count is None or count >= len(lines) else spread(lines, count)


def read_lines(recordings: Path) -> list[dict[str, str]]:
    """Rows of the table of the lines that were fetched."""
    path = recordings / "lines.csv"
    if not path.is_file():
        raise BadInput(
            f"{path} is missing; run recipes/fillets/fetch.py first", key="lines.missing"
        )
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def spread(names: Sequence[str], count: int) -> list[str]:
    """So many of them, evenly spread."""
    return [names[k] for k in np.linspace(0, len(names), count, endpoint=False).astype(int)]


def measured(
    path: Path,
    asked: Mapping[str, Sequence[str]],
    work: Callable[[str, str], dict[str, float]],
    processes: int,
    column: str | None = None,
) -> Results:
    """Results of the lines asked of every system; what ``path`` lacks is measured first.

    ``work`` measures a line through a system. With ``column``, results that lack it count as
    missing.
    """
    results = read_results(path)
    for system, lines in asked.items():
        done = results.setdefault(system, {})
        has = {line for line, found in done.items() if column is None or column in found}
        missing = [line for line in lines if line not in has]
        done |= in_processes(functools.partial(work, system), missing, processes, system)
        write_results(path, results)
    return {name: {line: results[name][line] for line in lines} for name, lines in asked.items()}


def in_processes(
    work: Callable[[str], dict[str, float]], lines: Sequence[str], processes: int, title: str
) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure lines in separate processes of one thread each, with a progress bar.

    Threads of several processes that share two cores wait for one another in busy loops.
    """
    if not lines:
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        found = tqdm(pool.imap(work, lines), desc=title, total=len(lines), unit="line")
        yield from zip(lines, found, strict=True)


def read_results(path: Path) -> Results:
    """What was measured before."""
    return read_record(path, "results.damaged") if path.is_file() else {}


def write_results(path: Path, results: Results) -> None:
    write_text(path, json.dumps(results, indent=1), overwrite=True)


def interval_rows(title: str, results: Results) -> list[list[str]]:
    """Means over lines with 95 % bootstrap intervals, of all metrics that any line has."""
    rows = [line for lines in results.values() for line in lines.values()]
    metrics = [metric for name, metric in METRICS.items() if any(name in row for row in rows)]
    table = [[title, *(metric.heading for metric in metrics)]]
    for system, lines in results.items():
        cells = [system]
        for metric in metrics:
            values = [row[metric.column] for row in lines.values() if metric.column in row]
            cells.append(mean_interval(values).text(metric.digits) if values else "")
        table.append(cells)
    return table


def differences(ours: Lines, theirs: Lines, column: str) -> list[float]:
    """Ours minus theirs, line by line, where both have it."""
    return [
        row[column] - theirs[line][column]
        for line, row in ours.items()
        if column in row and column in theirs.get(line, {})
    ]


def show(output: Path, text: str) -> None:
    """Print a table, and leave it in ``table.md``."""
    write_text(output / "table.md", text + "\n", overwrite=True)
    print(text)
