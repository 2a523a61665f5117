"""Whether the statistics of a listening test find what was put in: many simulated studies.

    python -m recipes.simulated_study outputs/simulated_study --studies 500

200 listeners who differ, 12 items that differ, three systems of known strength, a liking for the
left side and a share of guesses. Of each study the 95 % intervals either hold the truth or not;
``table.md`` says how often they do, and ``intervals.png`` draws it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recipes.simulated_listeners import (
    DCR,
    WORLD,
    World,
    simulate_abx,
    simulate_degradation,
    simulate_mushra,
    simulate_preferences,
    truths,
)
from vocoder.compare.statistics.abx import analyse_abx
from vocoder.compare.statistics.findings import Analysis
from vocoder.compare.statistics.preference import analyse_preference
from vocoder.compare.statistics.ratings import analyse_ratings
from vocoder.compare.statistics.strengths import analyse_strengths
from vocoder.errors import BadInput
from vocoder.evaluate.inference import CONFIDENCE
from vocoder.files import atomic_path, write_text

TOLERANCE = 0.02  # how far the share of intervals that hold the truth may be from 95 %


@dataclass(frozen=True)
class Interval:
    measure: str
    subject: str
    value: float
    low: float
    high: float


def one_study(seed: int, world: World, n_listeners: int, n_items: int) -> list[Interval]:
    """Simulate one study of every kind and analyse it."""
    rng = np.random.default_rng(seed)
    preferences = simulate_preferences(world, n_listeners, n_items, rng)
    abx = simulate_abx(world, n_listeners, n_items, rng)
    mushra = simulate_mushra(world, n_listeners, n_items, rng)
    degradation = simulate_degradation(world, n_listeners, n_items, rng)
    systems = world.systems
    return [
        *_intervals(analyse_preference(preferences, systems)),
        *_intervals(analyse_strengths(preferences, systems)),
        *_intervals(analyse_abx(abx, systems)),
        *_intervals(analyse_ratings(mushra, systems)),
        *_intervals(analyse_ratings(degradation, systems), DCR),
    ]


def _intervals(analysis: Analysis, suffix: str = "") -> list[Interval]:
    return [
        Interval(one.measure + suffix, one.subject, one.value, one.low, one.high)
        for one in analysis.findings
        if one.value is not None and one.low is not None and one.high is not None
    ]


@dataclass(frozen=True)
class Coverage:
    """How often the intervals of one measure held the truth.

    Parameters
    ----------
    measure, subject : str
    truth, mean : float
        What was put in, and the mean of the estimates.
    width : float
        Mean width of the intervals.
    held : ndarray
        ``(studies,)`` bool.
    """

    measure: str
    subject: str
    truth: float
    mean: float
    width: float
    held: np.ndarray

    @property
    def share(self) -> float:
        return float(self.held.mean())


def coverages(
    studies: Sequence[Sequence[Interval]], truth: Mapping[tuple[str, str], float]
) -> list[Coverage]:
    """Compare the intervals of many studies with the truth."""
    found = []
    for (measure, subject), value in truth.items():
        of_one = [
            one
            for study in studies
            for one in study
            if (one.measure, one.subject) == (measure, subject)
        ]
        found.append(
            Coverage(
                measure,
                subject,
                value,
                float(np.mean([one.value for one in of_one])),
                float(np.mean([one.high - one.low for one in of_one])),
                np.array([one.low <= value <= one.high for one in of_one]),
            )
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path, help="folder for table.md and intervals.png")
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--items", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0, help="of the first study")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    work = partial(one_study, world=WORLD, n_listeners=given.listeners, n_items=given.items)
    seeds = range(given.seed, given.seed + given.studies)
    if given.processes == 1:
        studies = list(tqdm(map(work, seeds), total=given.studies, unit="study"))
    else:
        with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
            studies = list(tqdm(pool.imap(work, seeds), total=given.studies, unit="study"))
    found = coverages(studies, truths(WORLD))
    try:
        write_text(given.output / "table.md", table(found) + "\n", overwrite=True)
        draw(given.output / "intervals.png", studies, found)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(found))
    return 0


def table(found: Sequence[Coverage]) -> str:
    """Markdown: one row a quantity."""
    rows = [
        "| measure | of | put in | mean found | mean width | intervals that hold it |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {one.measure} | {one.subject} | {one.truth:.3f} | {one.mean:.3f} | {one.width:.3f} "
        f"| {100 * one.share:.1f} % |"
        for one in found
    ]
    everything = np.concatenate([one.held for one in found]).mean()
    rows.append(f"| all | | | | | {100 * everything:.1f} % |")
    return "\n".join(rows)


def draw(path: Path, studies: Sequence[Sequence[Interval]], found: Sequence[Coverage]) -> None:
    """Above: every interval of one preference, sorted; below: how often each measure held."""
    from matplotlib.figure import Figure

    shown = found[0]
    intervals = sorted(
        (
            one
            for study in studies
            for one in study
            if (one.measure, one.subject) == (shown.measure, shown.subject)
        ),
        key=lambda one: one.value,
    )
    figure = Figure(figsize=(10, 8), layout="constrained")
    above, below = figure.subplots(2, height_ratios=(1, 1.4))
    held = np.array([one.low <= shown.truth <= one.high for one in intervals])
    for wanted, colour, width in ((held, "#9bb4cc", 0.8), (~held, "#c0392b", 1.6)):
        above.vlines(
            np.flatnonzero(wanted),
            [one.low for one, chosen in zip(intervals, wanted, strict=True) if chosen],
            [one.high for one, chosen in zip(intervals, wanted, strict=True) if chosen],
            color=colour,
            linewidth=width,
        )
    above.axhline(shown.truth, color="black", linewidth=1)
    above.set_title(
        f"{shown.subject}: {len(intervals)} studies, {100 * shown.share:.1f} % of intervals "
        "hold the truth",
        loc="left",
        fontsize="medium",
    )
    above.set_ylabel(shown.measure)
    above.set_xlabel("study, sorted by estimate")
    names = [f"{one.measure}: {one.subject}" for one in found]
    rows = np.arange(len(found))[::-1]
    below.axvspan(
        100 * (CONFIDENCE - TOLERANCE), 100 * (CONFIDENCE + TOLERANCE), color="#e8eef4", zorder=0
    )
    below.axvline(100 * CONFIDENCE, color="black", linewidth=1)
    below.scatter([100 * one.share for one in found], rows, color="#2c5f8a", zorder=2)
    below.set_yticks(rows, names, fontsize="small")
    below.set_xlim(88, 100)
    below.set_xlabel("intervals that hold the truth, %")
    with atomic_path(path, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


if __name__ == "__main__":
    sys.exit(main())
