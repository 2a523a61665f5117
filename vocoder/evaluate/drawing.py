"""Plots of an evaluation: how figures are spread, and the best, median and worst file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vocoder.audio import read_audio, read_info
from vocoder.errors import BadInput
from vocoder.evaluate.alignment import Pair
from vocoder.evaluate.metrics.metric import HIGHER, LOWER, ZERO, Metric
from vocoder.evaluate.metrics.spectral import comparison_spec
from vocoder.evaluate.summary import Summary
from vocoder.evaluate.view import RANGE_DB, beginning_db, panel
from vocoder.evaluate.work import Measured
from vocoder.files import atomic_path

SHOWN_S = 8.0  # longer recordings show their beginning
DIFFERENCE_DB = 30.0  # at which the colours of differences end
TOP_HZ = 8000.0
_COLUMNS = 3  # of panels
# An axis shows so many units of the last digit of the tables at least: less is rounding.
_DIGITS_SHOWN = 10
_TICKS = 5  # intervals at most, so that the longest numbers have room beside one another
_GOOD_END = {HIGHER: "right is better", LOWER: "left is better", ZERO: "0 is best"}


def draw_distributions(
    path: Path, files: Sequence[Measured], summary: Summary, *, overwrite: bool
) -> None:
    """Draw a panel for each metric, every file a dot, with mean and interval, as PNG."""
    systems = list(summary.means)
    n_rows = -(-len(summary.metrics) // _COLUMNS)
    n_columns = min(_COLUMNS, len(summary.metrics))
    height = 0.7 + 0.38 * len(systems)
    figure = Figure(figsize=(4.2 * n_columns + 1, height * n_rows + 0.5), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
    shift = np.random.default_rng(0).uniform(-0.22, 0.22, max(len(files), 1))
    for axes, metric in zip(grid.flat[: len(summary.metrics)], summary.metrics, strict=True):
        for row, system in enumerate(systems):
            values = [
                file.values[metric.column]
                for file in files
                if file.system == system and metric.column in file.values
            ]
            if not values:
                continue
            colour = f"C{row % 10}"
            at = row + shift[: len(values)]
            size = float(np.clip(600 / len(values), 4, 36))
            axes.scatter(values, at, s=size, alpha=0.5, color=colour, linewidths=0)
            interval = summary.means[system][metric.column]
            axes.plot([interval.low, interval.high], [row, row], color="black", linewidth=2)
            axes.plot([interval.mean], [row], "o", color="black", markersize=5)
        if metric.better == ZERO:
            axes.axvline(0, color="grey", linewidth=0.8)
        axes.set_title(
            f"{metric.heading}  ({_GOOD_END[metric.better]})", loc="left", fontsize="medium"
        )
        axes.grid(axis="x", alpha=0.25)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=_TICKS))
        low, high = axes.get_xlim()
        if (least := _DIGITS_SHOWN * 10.0**-metric.digits) > high - low:
            axes.set_xlim((low + high - least) / 2, (low + high + least) / 2)
    for axes in grid.flat[len(summary.metrics) :]:
        axes.set_visible(False)
    grid[0, 0].set_yticks(range(len(systems)), systems)
    grid[0, 0].set_ylim(len(systems) - 0.5, -0.5)
    figure.suptitle("Every dot a file; black: mean and its 95 % interval", fontsize="medium")
    _save(figure, path, overwrite=overwrite)


def rank(files: Sequence[Measured], metrics: Sequence[Metric]) -> tuple[Metric, list[Measured]]:
    """The files of one system from best to worst, by the first of the metrics that any has."""
    metric = next(one for one in metrics if any(one.column in file.values for file in files))
    ranked = [file for file in files if metric.column in file.values]
    sign = -1 if metric.better == HIGHER else 1
    distance = abs if metric.better == ZERO else float
    return metric, sorted(ranked, key=lambda file: sign * distance(file.values[metric.column]))


def draw_spectrograms(
    path: Path,
    ranked: Sequence[Measured],
    metric: Metric,
    references: Mapping[str, Path],
    sample_rate: int | None,
    *,
    overwrite: bool,
) -> None:
    """Draw the best, the median and the worst file with reference and difference, as PNG.

    Parameters
    ----------
    ranked : sequence of Measured
        As `rank` orders them.
    metric : Metric
        What they were ranked by.
    references : mapping of str to Path
        By utterance; of an utterance without one, or with one that the file cannot be compared
        with, the file alone is drawn.
    sample_rate : int or None
        To convert to; ``None`` takes the file's own.
    """
    places = sorted({0, (len(ranked) - 1) // 2, len(ranked) - 1})
    chosen = [ranked[place] for place in places]
    names = {1: ["only"], 2: ["best", "worst"]}.get(len(chosen), ["best", "median", "worst"])
    figure = Figure(figsize=(13, 2.7 * len(chosen) + 0.4), layout="constrained")
    grid = figure.subplots(len(chosen), 3, squeeze=False, sharex="row", sharey=True)
    for row, name, file in zip(grid, names, chosen, strict=True):
        rate = sample_rate or read_info(Path(file.path)).sample_rate
        spec = comparison_spec(rate)
        degraded = read_audio(Path(file.path), rate)
        reference = None
        if file.utterance in references:
            # What is wrong with a reference, silence say, was told when it was measured against.
            with suppress(BadInput):
                pair = Pair(read_audio(references[file.utterance], rate), degraded, rate)
                reference = beginning_db(pair.reference, spec, SHOWN_S)
                degraded = pair.matched
        shown = beginning_db(degraded, spec, SHOWN_S)
        top = float(shown.max() if reference is None else reference.max())
        floor = top - RANGE_DB
        height, shown = rate / 2000, np.maximum(shown, floor)
        panel(row[1], shown, spec, height, (floor, top))
        score = f"{metric.heading} {file.values[metric.column]:.{metric.digits}f}"
        row[1].set_title(f"{file.utterance}, {name}: {score}", loc="left", fontsize="medium")
        row[1 if reference is None else 0].set_ylabel("kHz")
        if reference is None:
            row[0].set_visible(False)
            row[2].set_visible(False)
            continue
        reference = np.maximum(reference, floor)
        panel(row[0], reference, spec, height, (floor, top))
        row[0].set_title("reference", loc="left", fontsize="medium")
        ends = -DIFFERENCE_DB, DIFFERENCE_DB
        image = panel(row[2], shown - reference, spec, height, ends, "RdBu_r")
        row[2].set_title("difference, at the same level", loc="left", fontsize="medium")
        figure.colorbar(image, ax=row[2], label="dB", pad=0.01)
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    grid[0, 0].set_ylim(0, min(TOP_HZ / 1000, height))  # which all panels share
    figure.suptitle(chosen[0].system)
    _save(figure, path, overwrite=overwrite)


def _save(figure: Figure, path: Path, *, overwrite: bool) -> None:
    with atomic_path(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
