"""What minutes of one's own are worth: a base that never heard a speaker, fine-tuned on some.

    python -m recipes.adaptation outputs/corpus_fillets outputs/adaptation --speaker nl_v

Trains a base on the other speakers, goes on from it with 1, 3 and 10 minutes of that one
(``experiment=my_speaker``), and, as a control, with the others once more. All are measured on the
speaker's lines that none of them learnt from: as JPEG of quality 75, by ``inverter=istft``. Runs
that are there are gone on with, and what ``results.json`` holds is not measured again. Writes
``table.md`` and ``curve.png``. Needs the extras ``evaluate``, ``train`` and ``pesq``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from recipes.inverters import MEASURES, ROADS
from recipes.quality import Results, in_processes, read_results, write_json
from recipes.systems import render
from vocoder.audio import read_audio
from vocoder.cli.main import run as vocoder
from vocoder.compare.evaluation.inference import mean_interval
from vocoder.compare.metrics.measure import COLUMNS, HIGHER, measure_pair, require_measures
from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.train.corpus.manifest import Clip, read_corpus, write_corpus

MINUTES = (1, 3, 10)
LINES = 48
BASE, CONTROL = "base", "base, the others again"
CONDITION = "JPEG q75"


@dataclass(frozen=True)
class Task:
    """A clip, inverted with the weights of a run."""

    system: str
    weights: Path
    path: Path
    clip: Clip

    @property
    def line(self) -> str:
        return f"{self.clip.path}:{self.clip.start_sample}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/corpus.py wrote")
    parser.add_argument("output", type=Path, help="folder for corpora, runs, table and curve")
    parser.add_argument("--speaker", required=True, help="who is held out of the base")
    parser.add_argument("--minutes", type=float, nargs="+", default=MINUTES)
    parser.add_argument("--base-steps", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=2000, help="of every fine-tuning")
    parser.add_argument("--lines", type=int, default=LINES, help="to measure, the test lines first")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        require_measures(MEASURES)
        runs, unseen = trained(given)
        results = measured(given, runs, unseen[: given.lines])
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = table(results, list(runs))
    with atomic_path(given.output / "table.md", overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    draw(given.output / "curve.png", runs, results)
    print(text)
    return 0


def trained(given: argparse.Namespace) -> tuple[dict[str, Path], list[Clip]]:
    """Folders of the runs, by what they are called, and the clips that none learns from."""
    clips = read_corpus(given.corpus)
    own = [clip for clip in clips if clip.speaker == given.speaker]
    others = sorted({clip.speaker for clip in clips} - {given.speaker})
    if not own or not others:
        raise BadInput(
            f"{given.corpus} has {len(own)} clips of {given.speaker} and {len(others)} other "
            "speakers; expected some of both"
        )
    cuts, unseen = shortened(own, given.minutes)
    runs = {BASE: given.output / "base", CONTROL: given.output / "control"}
    from_others = [f"data.root={given.corpus}", f"data.speakers=[{','.join(others)}]"]
    train(runs[BASE], "istft", given.base_steps, from_others)
    tune = (f"train.init={runs[BASE]}",)
    train(runs[CONTROL], "my_speaker", given.steps, [*from_others, *tune])
    for minutes, cut in cuts.items():
        corpus = given.output / f"corpus_{minutes:g}min"
        write_cut(given.corpus, corpus, [*cut, *(clip for clip in own if clip.split == "val")])
        name = f"{minutes:g} min of {given.speaker}"
        runs[name] = given.output / f"tuned_{minutes:g}min"
        train(runs[name], "my_speaker", given.steps, [f"data.root={corpus}", *tune])
    return runs, unseen


def shortened(
    clips: Sequence[Clip], minutes: Sequence[float]
) -> tuple[dict[float, list[Clip]], list[Clip]]:
    """So many minutes of training clips, each cut within the next; and what is in none of them.

    Test clips come first among those left; other clips of a recording that is learnt from are
    on neither side.

    Raises
    ------
    BadInput
        There is not as much speech.
    """
    order = [clip for clip in clips if clip.split == "train"]
    random.Random(0).shuffle(order)
    cuts: dict[float, list[Clip]] = {}
    seconds, taken = 0.0, 0
    for wanted in sorted(minutes):
        while seconds < wanted * 60:
            if taken == len(order):
                raise BadInput(f"--minutes is {wanted:g}; there are {seconds / 60:.1f}")
            seconds += order[taken].seconds
            taken += 1
        cuts[wanted] = order[:taken]
    learnt = {clip.path for clip in order[:taken]}
    left = [clip for clip in order[taken:] if clip.path not in learnt]
    return cuts, [*(clip for clip in clips if clip.split == "test"), *left]


def write_cut(source: Path, folder: Path, clips: Sequence[Clip]) -> None:
    """Make a corpus of some of another's clips, unless it is there."""
    if (folder / "corpus.csv").exists():
        return
    for path in {clip.path for clip in clips}:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / path, folder / path)
    write_corpus(folder, clips, overwrite=False)


def train(folder: Path, experiment: str, steps: int, words: Sequence[str]) -> None:
    """Run ``vocoder train``, or go on with it."""
    begun = (folder / "run.json").exists()
    plan = [f"train.plan.steps={steps}", "train.plan.workers=0"]
    words = ["train", f"experiment={experiment}", *words, *plan, f"output={folder}"]
    if vocoder([*words, f"resume={str(begun).lower()}"]) != 0:
        raise BadInput(f"training {folder.name} failed, as said above")


def measured(given: argparse.Namespace, runs: dict[str, Path], clips: Sequence[Clip]) -> Results:
    """Measure what ``results.json`` lacks."""
    path = given.output / "results.json"
    results = read_results(path)
    for name, folder in runs.items():
        done = results.setdefault(name, {})
        tasks = [
            Task(name, folder, given.corpus / clip.path, clip)
            for clip in clips
            if f"{clip.path}:{clip.start_sample}" not in done
        ]
        for task, found in in_processes(measure_task, tasks, given.processes):
            done[task.line] = found
        write_json(path, results)
    return results


def measure_task(task: Task) -> dict[str, float]:
    """Invert one clip and compare it with its recording."""
    torch.set_num_threads(1)
    clip = task.clip
    whole = read_audio(task.path, clip.sample_rate)
    true = whole[clip.start_sample : clip.start_sample + clip.samples]
    road = f"{ROADS[CONDITION]}/istft:checkpoint={os.path.relpath(task.weights)}"
    with tempfile.TemporaryDirectory() as folder:
        sound = render(road, true, clip.sample_rate, Path(folder)).samples
    return measure_pair(true, sound, clip.sample_rate, MEASURES, problems={})


def differences(results: Results, name: str, column: str) -> list[float]:
    """What a run has more than the base, line by line."""
    base = results[BASE]
    return [
        found[column] - base[line][column]
        for line, found in results[name].items()
        if column in found and column in base[line]
    ]


def table(results: Results, names: Sequence[str]) -> str:
    """Means of the base and differences from it, with 95 % bootstrap intervals, as Markdown."""
    columns = [c for c in COLUMNS.values() if any(c.name in x for x in results[BASE].values())]
    rows = [[CONDITION, *(column.title for column in columns)], ["---"] * (len(columns) + 1)]
    for name in names:
        cells = [name if name == BASE else f"{name}, against the base"]
        for column in columns:
            values = [x[column.name] for x in results[BASE].values() if column.name in x]
            found = values if name == BASE else differences(results, name, column.name)
            cells.append(mean_interval(found).text(column.digits + (name != BASE)))
        rows.append(cells)
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    count = len(results[BASE])
    return f"{text}\n\n{count} lines; mean and 95 % bootstrap interval of the mean."


def draw(path: Path, runs: dict[str, Path], results: Results) -> None:
    """Draw ESTOI over the steps of training, and what the minutes of speech gain, as PNG."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    training, minutes = figure.subplots(1, 2)
    for name, folder in runs.items():
        if name not in (BASE, CONTROL):
            training.plot(*validations(folder), marker="o", label=name)
    training.set(xlabel="steps of fine-tuning", ylabel="ESTOI, validation lines of the speaker")
    training.legend()
    column = COLUMNS["estoi"]
    for number, name in enumerate(name for name in runs if name != BASE):
        gain = mean_interval(differences(results, name, column.name))
        minutes.errorbar(
            [number], [gain.mean], [[gain.mean - gain.low], [gain.high - gain.mean]], marker="o"
        )
    minutes.axhline(0, color="black", linewidth=0.5)
    names = [name for name in runs if name != BASE]
    minutes.set_xticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    better = "higher" if column.better == HIGHER else "lower"
    minutes.set_ylabel(f"{column.title} against the base ({better} is better), held-out lines")
    with atomic_path(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def validations(folder: Path) -> tuple[list[int], list[float]]:
    """Steps and ESTOI of a run's validations."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(folder / "curves")).Reload()
    found = {event.step: event.value for event in curves.Scalars("validation/estoi")}
    steps = sorted(found)
    return steps, [float(np.float64(found[step])) for step in steps]


if __name__ == "__main__":
    sys.exit(main())
