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
from functools import partial
from pathlib import Path

import soundfile
import torch

from recipes.results import (
    Results,
    chosen_lines,
    differences,
    interval_rows,
    measured,
    recipe,
    show,
)
from recipes.systems import render
from vocoder.evaluate.inference import mean_interval
from vocoder.evaluate.metrics import METRICS, measure
from vocoder.evaluate.summary import markdown

MEASURES = ("estoi", "lsd", "mel", "level")


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
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
    work = partial(measure_line, given.corpus, (*MEASURES, *(["pesq"] if pesq else [])))
    asked = dict.fromkeys(systems, lines)
    column = "pesq_wb" if pesq else None
    return measured(given.output / "results.json", asked, work, given.processes, column)


def measure_line(corpus: Path, measures: Sequence[str], system: str, line: str) -> dict[str, float]:
    """Send one line along one road and compare what comes out."""
    torch.set_num_threads(1)
    samples, sample_rate = soundfile.read(corpus / f"{line}.flac", dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        rendered = render(system, samples, sample_rate, Path(folder))
    seconds = len(samples) / sample_rate
    # Some lines are too short for one measure or another; the others count.
    found = measure(samples, rendered.samples, sample_rate, measures, problems={})
    found["kilobytes_per_s"] = rendered.picture_bytes / 1000 / seconds
    if rendered.picture_rms_db is not None:
        found["picture_rms_db"] = rendered.picture_rms_db
    return found


def table(results: Results, baseline: str | None) -> str:
    """Means over lines with 95 % bootstrap intervals, as Markdown.

    With a baseline, also the mean differences from it line by line, whose intervals are much
    narrower than those of the means.
    """
    titles, *body = interval_rows("system", {f"`{name}`": own for name, own in results.items()})
    titles.append("image kB/s")
    for cells, lines in zip(body, results.values(), strict=True):
        rates = [row["kilobytes_per_s"] for row in lines.values()]
        cells.append(mean_interval(rates).text(1))
    for metric in (METRICS["estoi"], METRICS["pesq_wb"]):
        if baseline is not None and metric.heading in titles:
            titles.append(f"{metric.heading} - baseline")
            for cells, (system, lines) in zip(body, results.items(), strict=True):
                apart = differences(lines, results[baseline], metric.column)
                text = mean_interval(apart).text(metric.digits + 1)
                cells.append("" if system == baseline else text)
    n_lines = len(next(iter(results.values())))
    note = f"{n_lines} lines; mean and 95 % bootstrap interval of the mean."
    return f"{markdown([titles, *body])}\n\n{note}"


if __name__ == "__main__":
    sys.exit(main())
