"""``vocoder bench``: speed and memory on this machine, beside librosa's."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vocoder.cli.codes import DONE
from vocoder.errors import BadInput, expect
from vocoder.files import refuse_existing, write_text

REPORT_NAME, TABLE_NAME = "bench.json", "bench.md"


def run(
    *,
    output: str,
    cases: str | list[str],
    repetitions: int,
    seconds: float,
    input: str | None,
    seed: int,
    inverters: str | list[str],
    generated: str | None,
    tiles: int,
    minutes: float,
    overwrite: bool,
) -> int:
    """Measure; the keys are those of ``conf/bench.yaml``, which describes them."""
    from vocoder.bench.machine import machine
    from vocoder.bench.result import Settings, table
    from vocoder.bench.worker import CASES, measure
    from vocoder.config import load, nearest

    cases, inverters = ([one] if isinstance(one, str) else one for one in (cases, inverters))
    for case in cases:
        if case not in CASES:
            raise BadInput(f"unknown case {case}{nearest(case, list(CASES))}", key="cases.unknown")
    for name in inverters:
        load("inverter", name)
    # Beyond a day nothing is learnt, and memory ends.
    for key, value, low, high in (
        ("cases", len(cases), 1, len(CASES)),
        ("repetitions", repetitions, 1, 1000),
        ("seconds", seconds, 0.5, 3600),
        ("tiles", tiles, 1, 100_000),
        ("minutes", minutes, 0.01, 24 * 60),
    ):
        expect(low <= value <= high, key, value, f"{low} to {high}")
    root = Path(output)
    for name in (REPORT_NAME, TABLE_NAME):
        refuse_existing(root / name, overwrite=overwrite)
    settings = Settings(
        input=input,
        seconds=seconds,
        seed=seed,
        repetitions=repetitions,
        inverters=inverters,
        generated=generated,
        tiles=tiles,
        minutes=minutes,
    )
    found: list[dict[str, Any]] = []
    report = {"machine": machine(), "settings": asdict(settings), "cases": found}
    for case in cases:
        for threads in CASES[case][2]:
            print(f"{case}, {threads} threads", file=sys.stderr)
            found.append(measure(case, threads, settings))
    text = table(report)
    for name, content in (
        (REPORT_NAME, json.dumps(report, indent=2, ensure_ascii=False)),
        (TABLE_NAME, f"{text}\n"),
    ):
        write_text(root / name, content, overwrite=overwrite)
    print(text)
    print(f"\n{REPORT_NAME} and {TABLE_NAME} in {root}")
    return DONE
