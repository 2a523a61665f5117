"""What recipes measure: once, kept in ``results.json``, and shown as Markdown."""

from __future__ import annotations

import csv
import functools
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import numpy as np
from tqdm import tqdm

from vocoder.errors import BadInput
from vocoder.files import read_record, write_text

Results = dict[str, dict[str, dict[str, float]]]  # system to line to measure to value
Given = ParamSpec("Given")


class Named(Protocol):
    """One line through one system."""

    @property
    def system(self) -> str: ...
    @property
    def line(self) -> str: ...


AnyTask = TypeVar("AnyTask", bound=Named)


def recipe(main: Callable[Given, int]) -> Callable[Given, int]:
    """Have ``main`` end as `vocoder` does where a user can mend something."""

    @functools.wraps(main)
    def wrapped(*args: Given.args, **kwargs: Given.kwargs) -> int:
        try:
            return main(*args, **kwargs)
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
    tasks: Sequence[AnyTask],
    work: Callable[[AnyTask], dict[str, float]],
    processes: int,
    column: str | None = None,
) -> Results:
    """Results of the tasks; what ``path`` lacks is measured first, system by system.

    With ``column``, results that lack it count as missing.
    """
    results = read_results(path)
    asked: Results = {}
    for system, group in groupby(tasks, key=lambda task: task.system):
        own = list(group)
        done = results.setdefault(system, {})
        has = {line for line, found in done.items() if column is None or column in found}
        missing = [task for task in own if task.line not in has]
        for task, found in in_processes(work, missing, processes):
            done[task.line] = found
        write_results(path, results)
        asked[system] = {task.line: done[task.line] for task in own}
    return asked


def in_processes(
    work: Callable[[AnyTask], dict[str, float]], tasks: Sequence[AnyTask], processes: int
) -> Iterator[tuple[AnyTask, dict[str, float]]]:
    """Do tasks in separate processes of one thread each, with a progress bar.

    Threads of several processes that share two cores wait for one another in busy loops.
    """
    if not tasks:
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        results = pool.imap(work, tasks)
        progress = tqdm(zip(tasks, results, strict=True), total=len(tasks), unit="line")
        for task, found in progress:
            progress.set_description(f"{task.system} {task.line}", refresh=False)
            yield task, found


def read_results(path: Path) -> Results:
    """What was measured before."""
    return read_record(path, "results.damaged") if path.is_file() else {}


def write_results(path: Path, results: Results) -> None:
    write_text(path, json.dumps(results, indent=1), overwrite=True)


def show(output: Path, text: str) -> None:
    """Print a table, and leave it in ``table.md``."""
    write_text(output / "table.md", text + "\n", overwrite=True)
    print(text)
