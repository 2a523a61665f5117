"""All inverters, each with and without repair, on the same held-out lines: clean, JPEG, generated.

    python -m recipes.inverters outputs/fillets outputs/inverters

compares every inverter with ``repair=none`` and ``repair=auto``. Others are named after the two
folders, a repair and a plus before the inverter unless the repair is ``auto``:
``none+admm:n_iter=100 generated:postfilter=0+griffin_lim wavenet:temperature=0.3``.

Needs the recordings that ``recipes/fillets/fetch.py`` fetches and the extras ``evaluate`` and
``pesq``. The generated images are the three lines that ship in ``tests/data``; others of the same
layout are given with ``--generated``, a folder with ``results/``, ``reference/`` and
``manifest.csv``. What ``results.json`` in the output holds already is not measured again. Writes
``table.md`` and prints it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from recipes import quality
from recipes.generated import DATA, RANGE_DB, image_and_recording
from recipes.results import Results, chosen_lines, interval_rows, measured, recipe, show
from recipes.systems import in_full, inverted
from vocoder import load
from vocoder.evaluate.metrics import METRICS, choose_metrics, measure
from vocoder.evaluate.summary import markdown
from vocoder.image.source import Found, ImageSource

# Conditions: how recordings become images (`recipes.systems`), or images as a pix2pix made them.
GENERATED = "generated"
ROADS = {
    "clean": "mel256/gray8/lossless",
    "JPEG q75": "mel256/gray8/jpg75",
    "80 mels": "tacotron2/gray8/lossless",
}
CONDITIONS = (*ROADS, GENERATED)
PLAIN = "griffin_lim:init=random,refine_every=0,n_iter=32,mels=null"  # what most people use
INVERSIONS = (
    f"none+{PLAIN}",
    *(
        f"{repair}+{inverter}"
        for inverter in ("griffin_lim", "admm", "admm:n_iter=100", "fast", "phasenet", "wavenet")
        for repair in ("none", "auto")
    ),
)
TRAINED = ("wavenet", "generated", "jpeg")  # for the spec of all conditions but one
OVERVIEW = ("estoi", "pesq_wb", "visqol")
MEASURES = ("estoi", "pesq", "visqol", "dnsmos", "f0", "voicing", "mel")


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/fetch.py wrote")
    parser.add_argument("output", type=Path, help="folder for results.json and the table")
    parser.add_argument(
        "inversions", nargs="*", default=INVERSIONS, help="such as none+admm:n_iter=100"
    )
    parser.add_argument("--generated", type=Path, default=DATA / "pix2pix")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--lines", type=int, help="so many, evenly spread (default: all)")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    given.inversions = [in_full(word) for word in given.inversions]
    choose_metrics(MEASURES)
    results = measure_all(given)
    asked = results, given.conditions, given.inversions
    show(given.output, "\n\n".join([overview(*asked), *tables(*asked)]))
    return 0


def measure_all(given: argparse.Namespace) -> Results:
    """Measure what ``results.json`` lacks, and return what is asked for."""
    lines = chosen_lines(given.corpus, "test", given.lines)
    asked: dict[str, list[str]] = {}
    for condition in given.conditions:
        names = lines
        if condition == GENERATED:
            names = [one.name for one in generated(given.generated).utterances]
        asked |= {f"{condition} | {w}": names for w in fitting(condition, given.inversions)}
    work = partial(measure_line, given.corpus, given.generated)
    return measured(given.output / "results.json", asked, work, given.processes)


def fitting(condition: str, inversions: Sequence[str]) -> list[str]:
    """Those that can invert a condition's images with what comes with the package."""
    untrained = TRAINED if condition == "80 mels" else ()
    return [
        word
        for word in inversions
        if not any(part.partition(":")[0] in untrained for part in word.split("+"))
    ]


@lru_cache(maxsize=1)
def generated(folder: Path) -> Found:
    """The generated lines of a folder; one without a ``spec.yaml`` has the default images."""
    manifest = folder / "manifest.csv"
    usual = {"spec": load("spec", "mel256"), "codec": load("codec", "gray8", **RANGE_DB)}
    settings = {} if (folder / "spec.yaml").is_file() else usual
    return ImageSource(input=folder / "results", manifest=manifest, **settings).find()


def measure_line(corpus: Path, images: Path, system: str, line: str) -> dict[str, float]:
    """Send a line of a corpus along a road, or invert what was generated of it; compare."""
    condition, _, word = system.partition(" | ")
    if condition in ROADS:
        return quality.measure_line(corpus, MEASURES, f"{ROADS[condition]}/{word}", line)
    return measure_generated(images, system, line)


def measure_generated(images: Path, system: str, line: str) -> dict[str, float]:
    """Invert a generated line and compare it with its recording."""
    torch.set_num_threads(1)
    found = generated(images)
    utterance = next(one for one in found.utterances if one.name == line)
    spectrogram, true = image_and_recording(utterance, found, images / "reference")
    sound = inverted(system.partition(" | ")[2], spectrogram)
    return measure(true, sound, spectrogram.spec.sample_rate, MEASURES, problems={})


def overview(results: Results, conditions: Sequence[str], inversions: Sequence[str]) -> str:
    """One Markdown table: the means of `OVERVIEW` for every inversion and condition."""
    columns = [METRICS[name] for name in OVERVIEW]
    rows = [[" / ".join(column.heading for column in columns), *conditions]]
    for word in inversions:
        cells = [f"`{word}`"]
        for condition in conditions:
            lines = results.get(f"{condition} | {word}", {}).values()
            found = [[line[c.column] for line in lines if c.column in line] for c in columns]
            means = [
                f"{np.mean(values):.{column.digits}f}" if values else "-"
                for column, values in zip(columns, found, strict=True)
            ]
            cells.append(" / ".join(means) if lines else "")
        rows.append(cells)
    return markdown(rows)


def tables(results: Results, conditions: Sequence[str], inversions: Sequence[str]) -> Iterator[str]:
    """For every condition a Markdown table: means and 95 % bootstrap intervals over lines."""
    for condition in conditions:
        words = fitting(condition, inversions)
        if not words:
            continue
        found = {f"`{word}`": results[f"{condition} | {word}"] for word in words}
        n_lines = len(next(iter(found.values())))
        note = f"{n_lines} lines; mean and 95 % bootstrap interval of the mean."
        yield f"{markdown(interval_rows(condition, found))}\n\n{note}"


if __name__ == "__main__":
    sys.exit(main())
