"""``vocoder evaluate``: systems against references, in figures, tables and plots."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vocoder.cli.codes import BAD, DONE
from vocoder.cli.jobs import print_some, progress
from vocoder.cli.page import Entry, write_page
from vocoder.errors import BadInput, expect
from vocoder.files import refuse_existing, write_text
from vocoder.tables import write_table

if TYPE_CHECKING:
    from vocoder.evaluate.metrics import Metric
    from vocoder.evaluate.pairing import Job
    from vocoder.evaluate.summary import Summary
    from vocoder.evaluate.work import Measured
    from vocoder.image.source import ImageSource

CSV_NAME, JSON_NAME, TABLE_NAME = "evaluation.csv", "evaluation.json", "evaluation.md"
DISTRIBUTIONS_NAME, SPECTROGRAMS_NAME = "distributions.png", "spectrograms"
PACKAGES = (
    *("vocoder", "pystoi", "visqol-python", "ai-edge-litert", "speechmos", "swift-f0"),
    *("pyloudnorm", "pesq", "librosa", "torch"),
)


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
    """Measure every file of every system; the keys are those of ``conf/evaluate.yaml``.

    Returns
    -------
    int
        0, or 2 if a partner was missing or a file could not be measured (the rest is there).
    """
    from vocoder.audio_file import MAX_RATE, MIN_RATE
    from vocoder.config import nearest
    from vocoder.cpu import usable_cores
    from vocoder.evaluate.metrics import choose_metrics
    from vocoder.evaluate.metrics.metric import IMAGE, REFERENCE
    from vocoder.evaluate.pairing import find_systems, plan
    from vocoder.evaluate.summary import notes, records, summarise, table, to_json
    from vocoder.image.dataset.recordings import unique_names

    expect(workers is None or workers >= 1, "workers", workers, "1 or more")
    known = sample_rate is None or MIN_RATE <= sample_rate <= MAX_RATE
    expect(known, "sample_rate", sample_rate, f"{MIN_RATE} to {MAX_RATE} Hz")
    given = {REFERENCE: reference, IMAGE: pictures}
    metrics, remarks = choose_metrics(
        [measures] if isinstance(measures, str) else measures,
        [kind for kind, folder in given.items() if folder is not None],
    )
    if not metrics:
        raise BadInput("measures=[] leaves nothing to do", "measures.empty")
    folders = find_systems(systems)
    chosen = next(iter(folders)) if baseline is None else baseline
    if chosen not in folders:
        raise BadInput(
            f"baseline={chosen} is not one of the systems{nearest(chosen, list(folders))}",
            "baseline.unknown",
        )
    root = Path(output)
    plain = unique_names([system.strip("/.").replace("/", "_") for system in folders])
    drawings = {
        system: root / SPECTROGRAMS_NAME / f"{name}.png"
        for system, name in zip(folders, plain, strict=True)
    }
    names = (CSV_NAME, JSON_NAME, TABLE_NAME, DISTRIBUTIONS_NAME)
    for path in (*(root / name for name in names), *drawings.values()):
        refuse_existing(path, overwrite=overwrite)
    found = None if pictures is None else source.find()
    planned = plan(folders, None if reference is None else Path(reference), found)
    started = time.perf_counter()
    n_workers = min(workers or len(usable_cores()), len(planned.jobs))
    files = _measured(planned.jobs, metrics, sample_rate, n_workers)
    files.sort(key=lambda file: (list(folders).index(file.system), file.utterance))
    elapsed_s = time.perf_counter() - started
    problems = planned.problems | _problems(files)
    if not any(file.values for file in files):
        raise BadInput(f"nothing could be measured: {_main_reason(files)}", "files.unmeasured")
    summary = summarise(files, list(folders), chosen, seed=seed)
    text = table(summary)
    remarks = [*remarks, *planned.notes, *notes(files)]
    report = {
        "command": "evaluate",
        "systems_in": {system: str(folder) for system, folder in folders.items()},
        "reference": reference,
        "pictures": pictures,
        "sample_rate": sample_rate,
        "seed": seed,
        "versions": _versions(),
        "elapsed_s": round(elapsed_s, 3),
        **to_json(summary),
        "files": [asdict(file) for file in files],
        "problems": problems,
        "notes": remarks,
    }
    for name, content in (
        (JSON_NAME, json.dumps(report, indent=2, ensure_ascii=False)),
        (TABLE_NAME, f"{text}\n"),
    ):
        write_text(root / name, content, overwrite=overwrite)
    lines = records(files, summary.metrics)
    values = (line.values() for line in lines)
    write_table(root / CSV_NAME, list(lines[0]), values, overwrite=overwrite)
    print(text)
    for note in remarks:
        print(f"\nNote: {note}")
    print_some("Problems", problems, JSON_NAME)
    _draw(root, drawings, files, summary, planned.jobs, sample_rate, overwrite=overwrite)
    images = [root / DISTRIBUTIONS_NAME, *(path for path in drawings.values() if path.exists())]
    entries = [Entry("Figures and spectrograms", images=images), *_to_hear(planned.jobs)]
    write_page(root, "Evaluation", entries, text)
    print(f"\nResults in {root}: {TABLE_NAME}, {CSV_NAME}, {JSON_NAME}, plots")
    return BAD if problems else DONE


def _to_hear(jobs: Sequence[Job]) -> list[Entry]:
    """Every utterance by all systems, below its reference."""
    return [
        Entry(
            job.utterance,
            audio={**({"reference": job.reference} if job.reference else {}), **job.files},
        )
        for job in jobs
    ]


def help_sections() -> dict[str, list[tuple[str, str]]]:
    """What ``vocoder evaluate --help`` says besides the keys: the metrics."""
    from vocoder.evaluate.metrics import METRICS
    from vocoder.evaluate.metrics.metric import ARROWS, IMAGE

    entries = [
        (
            one.name,
            f"{ARROWS[one.better]} {one.summary} Extra: {one.extra if one.packages else 'none'}.",
        )
        for one in METRICS.values()
        if one.needs != IMAGE
    ]
    return {"measures= (good is ↑ higher, ↓ lower, → 0 near zero)": entries}


def _measured(
    jobs: Sequence[Job], metrics: Sequence[Metric], sample_rate: int | None, workers: int
) -> list[Measured]:
    from vocoder.evaluate.work import measure_all

    files: list[Measured] = []
    with progress(len(jobs), "utterance") as step:
        for results in measure_all(jobs, metrics, sample_rate, workers):
            files += results
            step(results[0].utterance, sum(result.seconds for result in results))
    return files


def _draw(
    root: Path,
    drawings: Mapping[str, Path],
    files: Sequence[Measured],
    summary: Summary,
    jobs: Sequence[Job],
    sample_rate: int | None,
    *,
    overwrite: bool,
) -> None:
    from vocoder.evaluate.drawing import draw_distributions, draw_spectrograms, rank

    draw_distributions(root / DISTRIBUTIONS_NAME, files, summary, overwrite=overwrite)
    references = {job.utterance: job.reference for job in jobs if job.reference}
    for system, path in drawings.items():
        if own := [file for file in files if file.system == system and file.values]:
            metric, ranked = rank(own, summary.metrics)
            draw_spectrograms(path, ranked, metric, references, sample_rate, overwrite=overwrite)


def _problems(files: Sequence[Measured]) -> dict[str, str]:
    return {
        f"{file.system}: {file.utterance}" + ("" if name == "file" else f", {name}"): reason
        for file in files
        for name, reason in file.problems.items()
    }


def _main_reason(files: Sequence[Measured]) -> str:
    """Why nothing could be measured: the reason of most files."""
    reasons = Counter(reason for file in files for reason in file.problems.values())
    ((reason, n_files),) = reasons.most_common(1)
    return f"of {n_files} of {len(files)} files the reason is that {reason}"


def _versions() -> dict[str, str]:
    """Of the packages that the figures come from, as far as they are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
