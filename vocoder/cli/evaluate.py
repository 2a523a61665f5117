"""``vocoder evaluate``: systems against references, in figures, tables and pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vocoder.cli.codes import BAD, DONE
from vocoder.errors import BadInput
from vocoder.files import refuse_existing, write_text

if TYPE_CHECKING:
    from vocoder.evaluate.work import Measured, Task
    from vocoder.image.source import ImageSource

CSV_NAME, JSON_NAME, TABLE_NAME = "evaluation.csv", "evaluation.json", "evaluation.md"
DISTRIBUTIONS_NAME, SPECTROGRAMS_NAME = "distributions.png", "spectrograms"
ALONE, LEVEL = "dnsmos", "level"  # rated without a reference; told by the loudness already
PACKAGES = (
    "vocoder",
    "pystoi",
    "visqol-python",
    "ai-edge-litert",
    "speechmos",
    "swift-f0",
    "pyloudnorm",
    "pesq",
    "librosa",
    "torch",
)
_SHOWN = 10  # problems on the terminal; the report has all


def run(
    *,
    systems: str | list[str],
    output: str,
    reference: str | None,
    baseline: str | None,
    measures: str | list[str] | None,
    sample_rate: int | None,
    pictures: str | None,
    source: ImageSource,
    overwrite: bool,
    workers: int | None,
    seed: int,
) -> int:
    """Measure every sound of every system; the keys are those of ``conf/evaluate.yaml``.

    Returns
    -------
    int
        0, or 2 if a partner was missing or a file could not be measured (the rest is there).

    Raises
    ------
    BadInput
        Nothing was done: no such folder or measure, nothing in common, a package is missing,
        results that exist.
    """
    from vocoder.config import nearest
    from vocoder.cpu import usable_cores
    from vocoder.evaluate.drawing import (
        choose,
        draw_distributions,
        draw_spectrograms,
    )
    from vocoder.evaluate.inference import N_PERMUTATIONS, N_RESAMPLES
    from vocoder.evaluate.pairing import find_systems, plan
    from vocoder.evaluate.summary import notes, summarise, table, to_csv, to_json
    from vocoder.evaluate.work import Task
    from vocoder.image.dataset.recordings import unique_names

    for key, value, least in (
        ("workers", workers, 1),
        ("seed", seed, 0),
        ("sample_rate", sample_rate, 1),
    ):
        if value is not None and value < least:
            raise BadInput(f"{key} is {value}; expected {least} or more")
    names, alone = _chosen(measures, reference, pictures)
    folders = find_systems(systems)
    chosen = next(iter(folders)) if baseline is None else baseline
    if chosen not in folders:
        raise BadInput(f"baseline={chosen} is no system{nearest(chosen, list(folders))}")
    root = Path(output)
    plain = unique_names([system.strip("/.").replace("/", "_") for system in folders])
    drawings = {
        system: root / SPECTROGRAMS_NAME / f"{name}.png"
        for system, name in zip(folders, plain, strict=True)
    }
    for path in (
        *(root / name for name in (CSV_NAME, JSON_NAME, TABLE_NAME, DISTRIBUTIONS_NAME)),
        *drawings.values(),
    ):
        refuse_existing(path, overwrite=overwrite)
    found = None
    if pictures is not None:
        found = source.find()
    planned = plan(folders, None if reference is None else Path(reference), found)
    tasks = [Task(job, names, alone, sample_rate) for job in planned.jobs]
    n_workers = min(workers or len(usable_cores()), len(tasks))
    started = time.perf_counter()
    files = _measured(tasks, n_workers, list(folders))
    elapsed_s = time.perf_counter() - started
    problems = planned.problems | _problems(files)
    if not any(file.values for file in files):
        raise BadInput(f"nothing could be measured: {next(iter(problems.values()))}")
    summary = summarise(files, list(folders), chosen, seed=seed)
    text = table(summary)
    told = notes(files)
    report = {
        "command": "evaluate",
        "systems_in": {system: str(folder) for system, folder in folders.items()},
        "reference": reference,
        "pictures": pictures,
        "sample_rate": sample_rate,
        "seed": seed,
        "resamples": N_RESAMPLES,
        "permutations": N_PERMUTATIONS,
        "versions": _versions(),
        "elapsed_s": round(elapsed_s, 3),
        **to_json(summary),
        "files": [asdict(file) for file in files],
        "problems": problems,
        "notes": told,
    }
    for name, content in (
        (CSV_NAME, to_csv(files, summary.columns)),
        (JSON_NAME, json.dumps(report, indent=2, ensure_ascii=False)),
        (TABLE_NAME, f"{text}\n"),
    ):
        write_text(root / name, content, overwrite=overwrite)
    draw_distributions(root / DISTRIBUTIONS_NAME, files, summary, overwrite=overwrite)
    references = {job.utterance: job.reference for job in planned.jobs if job.reference}
    for system, path in drawings.items():
        if own := [file for file in files if file.system == system and file.values]:
            column, shown = choose(own, summary.columns)
            draw_spectrograms(path, shown, column, references, sample_rate, overwrite=overwrite)
    print(text)
    for note in told:
        print(f"\nNote: {note}")
    _print_problems(problems)
    print(f"\nResults in {root}: {TABLE_NAME}, {CSV_NAME}, {JSON_NAME}, pictures")
    return BAD if problems else DONE


def _chosen(
    measures: str | list[str] | None, reference: str | None, pictures: str | None
) -> tuple[tuple[str, ...], bool]:
    """Measures against the reference, and whether sounds are rated alone."""
    from vocoder.evaluate.metrics import installed, require_measures

    names = [measures] if isinstance(measures, str) else measures
    if reference is None:
        others = [name for name in names or () if name != ALONE]
        if others:
            raise BadInput(
                f"measures has {others[0]}, which needs reference=; without it sounds are rated "
                f"by {ALONE}, and with pictures= against their pictures"
            )
        alone = names is None or ALONE in names
        if not alone and pictures is None:
            raise BadInput(f"measures=[] leaves nothing to do; give {ALONE}, or leave it out")
        require_measures([ALONE] if alone else [])
        return (), alone
    if names is None:
        names = [name for name in installed() if name != LEVEL]
    require_measures(names)
    return tuple(names), False


def _measured(tasks: Sequence[Task], workers: int, systems: Sequence[str]) -> list[Measured]:
    """Measure all, with a progress bar; in order of systems and utterances."""
    from tqdm import tqdm

    from vocoder.evaluate.work import measure_all

    files: list[Measured] = []
    started, sound_s = time.perf_counter(), 0.0
    with tqdm(total=len(tasks), unit="utterance", disable=None) as bar:
        for results in measure_all(tasks, workers):
            files += results
            sound_s += sum(result.seconds for result in results)
            bar.set_description(results[0].utterance[-30:], refresh=False)
            bar.set_postfix_str(f"{sound_s / (time.perf_counter() - started):.0f}x real time")
            bar.update()
    return sorted(files, key=lambda file: (systems.index(file.system), file.utterance))


def _problems(files: Sequence[Measured]) -> dict[str, str]:
    return {
        f"{file.system}: {file.utterance}" + ("" if name == "file" else f", {name}"): reason
        for file in files
        for name, reason in file.problems.items()
    }


def _versions() -> dict[str, str]:
    """Of the packages that the figures come from, as far as they are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _print_problems(problems: dict[str, str]) -> None:
    if not problems:
        return
    print(f"\nProblems ({len(problems)}):")
    for name, reason in list(problems.items())[:_SHOWN]:
        print(f"  {name}: {reason}")
    if len(problems) > _SHOWN:
        print(f"  and {len(problems) - _SHOWN} more, see {JSON_NAME}")
