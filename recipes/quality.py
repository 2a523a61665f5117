"""Measure how good speech is after an image: many roads, on held-out lines.

    python -m recipes.quality outputs/fillets outputs/quality seed_tiff seed_jpeg \
        mel256/gray8/lossless/griffin_lim mel256/gray8/jpg75/none+admm:n_iter=100 --pesq

Needs the recordings that ``recipes/fillets/fetch.py`` fetches and the extra ``evaluate`` (with
``--pesq`` also ``pesq``). What is in the output's ``results.json`` already is not measured again,
so that roads can be added. ``--split train`` takes lines that may be tuned on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from recipes.results import Results, chosen_lines, measured, recipe, show
from vocoder.evaluate.inference import mean_interval
from vocoder.evaluate.summary import markdown

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


@recipe
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_common_options(parser)
    parser.add_argument(
        "systems", nargs="+", help="seed_tiff, seed_jpeg, spec/codec/degradation/inversion"
    )
    parser.add_argument("--pesq", action="store_true", help="measure PESQ too")
    parser.add_argument("--baseline", help="a system that the others are compared with, in pairs")
    given = parser.parse_args(arguments)
    if given.baseline not in (None, *given.systems):
        parser.error(f"--baseline {given.baseline} is not one of the systems")
    results = measure_systems(given.systems, given, pesq=given.pesq)
    show(given.output, table(results, given.baseline))
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
    tasks = [
        Task(system, line, given.corpus / f"{line}.flac", pesq)
        for system in systems
        for line in lines
    ]
    column = "pesq_wb" if pesq else None
    return measured(given.output / "results.json", tasks, measure_line, given.processes, column)


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
    note = f"{n_lines} lines; mean and 95 % bootstrap interval of the mean."
    return f"{markdown([titles, *body])}\n\n{note}"


def rows_of(results: Results) -> list[dict[str, float]]:
    return [row for lines in results.values() for row in lines.values()]


if __name__ == "__main__":
    sys.exit(main())
