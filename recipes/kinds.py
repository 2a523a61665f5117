"""The default repair against none, on generators of many kinds.

    python -m recipes.kinds outputs/generators outputs/kinds --lines 12

takes every folder that ``recipes.generators`` wrote, or ``--kinds``, and of each so many utterances
of 1.5 to 6 s, evenly spread. ``--repair auto:weights=runs/fold`` takes another repair than the
default, such as one that learnt from the other kinds. Needs the extra ``evaluate``. What
``results.json`` in the output holds already is not measured again. Writes ``table.md`` and prints
it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from recipes.inverters import GENERATED, Task, measure_task
from recipes.quality import Results, in_processes, read_results, write_json
from vocoder.errors import BadInput
from vocoder.evaluate.inference import holm, paired_p
from vocoder.evaluate.metrics import METRICS, choose_metrics
from vocoder.files import write_text

MIN_S, MAX_S = 1.5, 6.0
WITHOUT, REPAIR, INVERTER = "none+admm", "auto", "griffin_lim"
COLUMNS = ("estoi", "visqol", "dnsmos_difference", "voicing_error")
ALPHA = 0.05


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("generators", type=Path, help="folder of folders of recipes.generators")
    parser.add_argument("output", type=Path, help="folder for results.json and the table")
    parser.add_argument("--lines", type=int, default=12, help="utterances of each kind")
    parser.add_argument("--kinds", nargs="+", help="names of folders (default: all)")
    parser.add_argument("--repair", default=REPAIR, help="such as auto:weights=runs/fold")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    path = given.output / "results.json"
    try:
        choose_metrics(("estoi", "visqol", "dnsmos", "voicing"))
        results = read_results(path)
        names = given.kinds or [
            found.parent.name for found in sorted(given.generators.glob("*/spec.yaml"))
        ]
        kinds = {name: measured(given.generators / name, given, results, path) for name in names}
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = table(kinds)
    write_text(given.output / "table.md", text + "\n", overwrite=True)
    print(text)
    return 0


def measured(
    folder: Path, given: argparse.Namespace, results: Results, path: Path
) -> tuple[Results, list[str]]:
    """Both systems on a generator's utterances, and these; what is new goes to ``path``."""
    names = chosen(folder, given.lines)
    kind: Results = {}
    for word in (WITHOUT, f"{given.repair}+{INVERTER}"):
        done = results.setdefault(f"{folder.name} | {word}", {})
        tasks = [Task(GENERATED, word, name, folder) for name in names if name not in done]
        for task, found in in_processes(measure_task, tasks, given.processes):
            done[task.line] = found
        write_json(path, results)
        kind[word] = {name: done[name] for name in names}
    return kind, names


def chosen(folder: Path, count: int) -> list[str]:
    """So many of a generator's utterances, neither short nor long, evenly spread."""
    usual = [
        file.stem
        for file in sorted((folder / "reference").glob("*.flac"))
        if MIN_S <= soundfile.info(file).duration <= MAX_S
    ]
    if len(usual) < count:
        raise BadInput(
            f"{folder} has {len(usual)} utterances of {MIN_S} to {MAX_S:g} s", key="kinds.count"
        )
    return [usual[k] for k in np.linspace(0, len(usual), count, endpoint=False).astype(int)]


def table(kinds: Mapping[str, tuple[Results, list[str]]]) -> str:
    """Means without and with repair, as Markdown; bold where the difference is beyond chance.

    Permutation tests in pairs, corrected for all cells of the table by Holm's method.
    """
    cells: list[tuple[float, float, list[float]]] = []
    for systems, names in kinds.values():
        before, after = systems.values()
        for column in COLUMNS:
            pairs = [
                (before[name][column], after[name][column])
                for name in names
                if column in before[name] and column in after[name]
            ]
            without, repaired = np.array(pairs).T
            cells.append((without.mean(), repaired.mean(), list(repaired - without)))
    p_values = holm([paired_p(differences) for *_, differences in cells])
    shown = []
    for place, ((without, repaired, _), p) in enumerate(zip(cells, p_values, strict=True)):
        metric = METRICS[COLUMNS[place % len(COLUMNS)]]
        text = f"{repaired:.{metric.digits}f}"
        shown.append(f"{without:.{metric.digits}f} / {f'**{text}**' if p < ALPHA else text}")
    rows = [["generator", *(METRICS[column].heading for column in COLUMNS)]]
    rows.append(["---"] * len(rows[0]))
    for place, kind in enumerate(kinds):
        rows.append([kind, *shown[place * len(COLUMNS) : (place + 1) * len(COLUMNS)]])
    words, lines = next(iter(kinds.values()))
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        f"{text}\n\n{len(lines)} utterances of each; {' / '.join(f'`{word}`' for word in words)}. "
        f"Bold: p < {ALPHA} (permutation in pairs, Holm over the table)."
    )


if __name__ == "__main__":
    sys.exit(main())
