"""Measure how good speech is after an image: many roads, on held-out lines.

    python -m recipes.quality outputs/fillets outputs/quality seed_tiff seed_jpeg \
        mel256/gray8/lossless/griffin_lim mel256/gray8/jpg75/none+admm:n_iter=100 --pesq

Needs the recordings that ``recipes/fillets/fetch.py`` fetches and the extra ``evaluate`` (with
``--pesq`` also ``pesq``). What is in the output's ``results.json`` already is not measured again,
so that roads can be added. ``--split train`` takes lines that may be tuned on.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import soundfile
from tqdm import tqdm

from vocoder.errors import BadInput
from vocoder.evaluate.inference import mean_interval
from vocoder.files import write_text

Results = dict[str, dict[str, dict[str, float]]]  # system to line to measure to value

MEASURES = ("estoi", "lsd", "mel", "level")
COLUMNS = {
    "estoi": ("ESTOI", 3),
    "pesq_wb": ("PESQ-WB", 2),
    "log_spectral_distance_db": ("LSD dB", 2),
    "mel_distance_db": ("mel dB", 2),
    "level_difference_db": ("level dB", 1),
    "kilobytes_per_s": ("image kB/s", 1),
}


@dataclass(frozen=True)
class Task:
    system: str
    line: str
    path: Path
    pesq: bool


class Named(Protocol):
    """What a progress bar shows of a task."""

    @property
    def system(self) -> str: ...
    @property
    def line(self) -> str: ...


AnyTask = TypeVar("AnyTask", bound=Named)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_common_options(parser)
    parser.add_argument(
        "systems", nargs="+", help="seed_tiff, seed_jpeg, spec/codec/channel/inversion"
    )
    parser.add_argument("--pesq", action="store_true", help="measure PESQ too")
    parser.add_argument("--baseline", help="a system that the others are compared with, in pairs")
    given = parser.parse_args(arguments)
    if given.baseline not in (None, *given.systems):
        parser.error(f"--baseline {given.baseline} is not one of the systems")
    try:
        results = measure_systems(given.systems, given, pesq=given.pesq)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = table(results, given.baseline)
    write_text(given.output / "table.md", text + "\n", overwrite=True)
    print(text)
    return 0


def add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/fetch.py wrote")
    parser.add_argument("output", type=Path, help="folder for results.json and the tables")
    parser.add_argument("--lines", type=int, help="so many, evenly spread (default: all)")
    parser.add_argument("--split", choices=("test", "train"), default="test")
    parser.add_argument("--processes", type=int, default=1)


def measure_systems(systems: Sequence[str], given: argparse.Namespace, *, pesq: bool) -> Results:
    """Measure what ``results.json`` lacks, and return the wanted systems and lines of it."""
    lines = chosen_lines(given.corpus, given.split, given.lines)
    path = given.output / "results.json"
    results = read_results(path)
    for system in systems:
        done = results.setdefault(system, {})
        tasks = [
            Task(system, line, given.corpus / f"{line}.flac", pesq)
            for line in lines
            if not is_measured(done.get(line), pesq=pesq)
        ]
        for task, found in in_processes(measure_line, tasks, given.processes):
            done[task.line] = found
        write_json(path, results)
    return {system: {line: results[system][line] for line in lines} for system in systems}


def chosen_lines(corpus: Path, split: str, count: int | None) -> list[str]:
    """Names of lines of a split, all or ``count`` evenly spread ones."""
    path = corpus / "lines.csv"
    if not path.is_file():
        raise BadInput(
            f"{path} is missing; fetch the corpus with recipes/fillets/fetch.py first",
            key="corpus.missing",
        )
    with path.open(encoding="utf-8", newline="") as file:
        lines = [row["line"] for row in csv.DictReader(file) if row["split"] == split]
    if count is None or count >= len(lines):
        return lines
    return [lines[k] for k in np.linspace(0, len(lines), count, endpoint=False).astype(int)]


def is_measured(found: dict[str, float] | None, *, pesq: bool) -> bool:
    return found is not None and (not pesq or "pesq_wb" in found)


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


def measure_line(task: Task) -> dict[str, float]:
    """Send one line along one road and compare what comes out."""
    import torch

    from recipes.systems import render
    from vocoder.evaluate.metrics import measure

    torch.set_num_threads(1)
    samples, sample_rate = soundfile.read(task.path, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        rendered = render(task.system, samples, sample_rate, Path(folder))
    seconds = len(samples) / sample_rate
    names = (*MEASURES, "pesq") if task.pesq else MEASURES
    found = measure(samples, rendered.samples, sample_rate, names)
    found["kilobytes_per_s"] = rendered.picture_bytes / 1000 / seconds
    if rendered.picture_rms_db is not None:
        found["picture_rms_db"] = rendered.picture_rms_db
    return found


def read_results(path: Path) -> Results:
    if not path.is_file():
        return {}
    results: Results = json.loads(path.read_text(encoding="utf-8"))
    return results


def write_json(path: Path, results: Results) -> None:
    write_text(path, json.dumps(results, indent=1), overwrite=True)


def table(results: Results, baseline: str | None) -> str:
    """Means over lines with 95 % bootstrap intervals, as Markdown.

    With a baseline, also the mean differences from it line by line, whose intervals are much
    narrower than those of the means.
    """
    measures = [name for name in COLUMNS if all(name in row for row in rows_of(results))]
    titles = ["system", *(COLUMNS[name][0] for name in measures)]
    compared = [name for name in ("estoi", "pesq_wb") if baseline and name in measures]
    titles += [f"{COLUMNS[name][0]} - baseline" for name in compared]
    body = []
    for system, lines in results.items():
        cells = [f"`{system}`"]
        cells += [
            mean_interval([row[name] for row in lines.values()]).text(COLUMNS[name][1])
            for name in measures
        ]
        for name in compared:
            base = results[str(baseline)]
            pairs = [row[name] - base[line][name] for line, row in lines.items()]
            cells.append(
                "" if system == baseline else mean_interval(pairs).text(COLUMNS[name][1] + 1)
            )
        body.append(cells)
    n_lines = len(next(iter(results.values())))
    return "\n".join(
        [
            *(f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *body)),
            "",
            f"{n_lines} lines; mean and 95 % bootstrap interval of the mean.",
        ]
    )


def rows_of(results: Results) -> list[dict[str, float]]:
    return [row for lines in results.values() for row in lines.values()]


if __name__ == "__main__":
    sys.exit(main())
