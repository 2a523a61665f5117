"""All inverters on the same held-out lines: clean pictures, JPEGs, 80 mel bands, painted pictures.

    python -m recipes.inverters outputs/fillets outputs/inverters

Needs the recordings that ``recipes/fillets/fetch.py`` fetches and the extras ``evaluate`` and
``pesq``. The painted pictures are the three lines that ship in ``tests/data``; others of the same
layout are given with ``--painted``, a folder with ``results/``, ``reference/`` and
``manifest.csv``. What ``results.json`` in the output holds already is not measured again. Writes
``table.md`` and prints it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import torch

from recipes.painted import DATA, RANGE_DB
from recipes.quality import Results, chosen_lines, in_processes, read_results, write_json
from recipes.systems import render
from vocoder import load
from vocoder.audio import read_audio
from vocoder.errors import BadInput
from vocoder.evaluate.inference import mean_interval
from vocoder.evaluate.metrics.measure import COLUMNS, measure_pair, require_measures
from vocoder.files import write_text
from vocoder.image.utterances import Found, find_utterances, load_utterance

# Conditions: how recordings become pictures (`recipes.systems`), or pictures as they were painted.
PAINTED = "painted"
ROADS = {
    "clean": "mel256/gray8/lossless",
    "JPEG q75": "mel256/gray8/jpg75",
    "80 mels": "tacotron2/gray8/lossless",
}
CONDITIONS = (*ROADS, PAINTED)
PLAIN = "griffin_lim:init=random,refine_every=0,n_iter=32"  # what most people use
INVERTERS = (PLAIN, "griffin_lim", "admm", "admm:n_iter=100", "wavenet", "istft", "hybrid")
TRAINED = ("wavenet", "istft")  # for the spec of all conditions but one
OVERVIEW = ("estoi", "pesq_wb", "visqol")
MEASURES = ("estoi", "pesq", "visqol", "dnsmos", "f0", "mel")


@dataclass(frozen=True)
class Task:
    """One line, one condition, one inverter."""

    condition: str
    inverter: str
    line: str
    folder: Path  # of the recordings, or of the painted pictures

    @property
    def system(self) -> str:
        return f"{self.condition} | {self.inverter}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/fetch.py wrote")
    parser.add_argument("output", type=Path, help="folder for results.json and the table")
    parser.add_argument("inverters", nargs="*", default=INVERTERS, help="such as admm:n_iter=100")
    parser.add_argument("--painted", type=Path, default=DATA / "pix2pix")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--lines", type=int, help="so many, evenly spread (default: all)")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        require_measures(MEASURES)
        results = measure_all(given)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = "\n\n".join(
        [
            overview(results, given.conditions, given.inverters),
            *tables(results, given.conditions, given.inverters),
        ]
    )
    write_text(given.output / "table.md", text + "\n", overwrite=True)
    print(text)
    return 0


def measure_all(given: argparse.Namespace) -> Results:
    """Measure what ``results.json`` lacks, and return what is asked for."""
    path = given.output / "results.json"
    asked: Results = {}
    results = read_results(path)
    lines = chosen_lines(given.corpus, "test", given.lines)
    for condition in given.conditions:
        if condition == PAINTED:
            folder = given.painted
            names = [one.name for one in painted(folder).utterances]
        else:
            folder, names = given.corpus, lines
        for inverter in fitting(condition, given.inverters):
            tasks = [Task(condition, inverter, name, folder) for name in names]
            done = results.setdefault(tasks[0].system, {})
            to_do = [task for task in tasks if task.line not in done]
            for task, found in in_processes(measure_task, to_do, given.processes):
                done[task.line] = found
            write_json(path, results)
            asked[tasks[0].system] = {task.line: done[task.line] for task in tasks}
    return asked


def fitting(condition: str, inverters: Sequence[str]) -> list[str]:
    """Those that can invert a condition's pictures with what comes with the package."""
    untrained = TRAINED if condition == "80 mels" else ()
    return [name for name in inverters if name.partition(":")[0] not in untrained]


@lru_cache(maxsize=1)
def painted(folder: Path) -> Found:
    """The painted lines of a folder."""
    codec = load("codec", "gray8", **RANGE_DB)
    spec = load("spec", "mel256")
    manifest = folder / "manifest.csv"
    return find_utterances(folder / "results", manifest=manifest, spec=spec, codec=codec)


def measure_task(task: Task) -> dict[str, float]:
    """Invert one line and compare it with its recording."""
    torch.set_num_threads(1)
    if task.condition == PAINTED:
        found = painted(task.folder)
        utterance = next(one for one in found.utterances if one.name == task.line)
        spectrogram = load_utterance(utterance, found).spectrogram
        sample_rate = spectrogram.spec.sample_rate
        sound = load("inverter", task.inverter)(spectrogram)[0].numpy()
        true = read_audio(task.folder / "reference" / f"{task.line}.flac", sample_rate)
    else:
        true, sample_rate = soundfile.read(task.folder / f"{task.line}.flac", dtype="float32")
        with tempfile.TemporaryDirectory() as folder:
            road = f"{ROADS[task.condition]}/{task.inverter}"
            sound = render(road, true, sample_rate, Path(folder)).samples
    # Some lines are too short for one measure or another; the others count.
    return measure_pair(true, sound, sample_rate, MEASURES, problems={})


def overview(results: Results, conditions: Sequence[str], inverters: Sequence[str]) -> str:
    """One Markdown table: the means of `OVERVIEW` for every inverter and condition."""
    columns = [COLUMNS[name] for name in OVERVIEW]
    rows = [[" / ".join(column.title for column in columns), *conditions]]
    rows.append(["---"] * len(rows[0]))
    for inverter in inverters:
        cells = [f"`{inverter}`"]
        for condition in conditions:
            lines = results.get(f"{condition} | {inverter}", {}).values()
            found = [[line[c.name] for line in lines if c.name in line] for c in columns]
            means = [
                f"{np.mean(values):.{column.digits}f}" if values else "-"
                for column, values in zip(columns, found, strict=True)
            ]
            cells.append(" / ".join(means) if lines else "")
        rows.append(cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def tables(results: Results, conditions: Sequence[str], inverters: Sequence[str]) -> Iterator[str]:
    """For every condition a Markdown table: means and 95 % bootstrap intervals over lines."""
    for condition in conditions:
        rows = {name: results[f"{condition} | {name}"] for name in fitting(condition, inverters)}
        measured = [
            column
            for name, column in COLUMNS.items()
            if any(name in line for lines in rows.values() for line in lines.values())
        ]
        titles = [condition, *(column.title for column in measured)]
        body = [titles, ["---"] * len(titles)]
        for inverter, lines in rows.items():
            cells = [f"`{inverter}`"]
            for column in measured:
                values = [line[column.name] for line in lines.values() if column.name in line]
                cells.append(mean_interval(values).text(column.digits) if values else "")
            body.append(cells)
        n_lines = len(next(iter(rows.values())))
        text = "\n".join(f"| {' | '.join(row)} |" for row in body)
        yield f"{text}\n\n{n_lines} lines; mean and 95 % bootstrap interval of the mean."


if __name__ == "__main__":
    sys.exit(main())
