"""``vocoder bench``: speed and memory on this machine, beside librosa's."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vocoder.cli.codes import DONE
from vocoder.errors import BadInput
from vocoder.files import refuse_existing, write_text

REPORT_NAME, TABLE_NAME = "bench.json", "bench.md"


def run(
    *,
    output: str,
    cases: list[str],
    repetitions: int,
    seconds: float,
    input: str | None,
    seed: int,
    inverters: list[str],
    painted: str | None,
    tiles: int,
    minutes: float,
    overwrite: bool,
) -> int:
    """Measure; the keys are those of ``conf/bench.yaml``, which describes them.

    Returns
    -------
    int
        0.

    Raises
    ------
    BadInput
        A value is out of range, a file cannot be used, or a result exists.
    """
    from tqdm import tqdm

    from vocoder.bench.machine import machine
    from vocoder.bench.result import Settings, table
    from vocoder.bench.worker import CASES, jobs, measure
    from vocoder.config import load, nearest

    for case in cases:
        if case not in CASES:
            raise BadInput(f"cases has {case}, which does not exist{nearest(case, list(CASES))}")
    if isinstance(inverters, str):
        raise BadInput(
            f"inverters is {inverters}; expected a list, such as \"[admm,'admm:n_iter=100']\""
        )
    for name in inverters:
        load("inverter", name)
    for key, value, least in (
        ("cases", len(cases), 1),
        ("repetitions", repetitions, 1),
        ("seconds", seconds, 0.5),
        ("tiles", tiles, 1),
        ("minutes", minutes, 0.01),
        ("seed", seed, 0),
    ):
        if value < least:
            raise BadInput(f"{key} is {value}; expected at least {least}")
    root = Path(output)
    for name in (REPORT_NAME, TABLE_NAME):
        refuse_existing(root / name, overwrite=overwrite)
    settings = Settings(
        input=input,
        seconds=seconds,
        seed=seed,
        repetitions=repetitions,
        inverters=inverters,
        painted=painted,
        tiles=tiles,
        minutes=minutes,
    )
    found: list[dict[str, Any]] = []
    report = {"machine": machine(), "settings": asdict(settings), "cases": found}
    to_do = jobs(cases)
    layout = "{l_bar}{bar}| {elapsed}<{remaining}"
    with tqdm(total=len(to_do), bar_format=layout, disable=None) as bar:
        for job in to_do:
            bar.set_description(f"{job.case}, {job.threads} threads")
            found.append(measure(job, settings, bar.update))
    text = table(report)
    for name, content in (
        (REPORT_NAME, json.dumps(report, indent=2, ensure_ascii=False)),
        (TABLE_NAME, f"{text}\n"),
    ):
        write_text(root / name, content, overwrite=overwrite)
    print(text)
    print(f"\n{REPORT_NAME} and {TABLE_NAME} in {root}")
    return DONE
