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
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from recipes.inverters import measure_generated
from recipes.results import Results, measured, recipe, show, spread
from vocoder.errors import BadInput
from vocoder.evaluate.inference import holm, paired_p
from vocoder.evaluate.metrics import METRICS, choose_metrics
from vocoder.evaluate.summary import markdown

MIN_S, MAX_S = 1.5, 6.0
WITHOUT, REPAIR, INVERTER = "none+admm", "auto", "griffin_lim"
COLUMNS = ("estoi", "visqol", "dnsmos_difference", "voicing_error")
ALPHA = 0.05


@recipe
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("generators", type=Path, help="folder of folders of recipes.generators")
    parser.add_argument("output", type=Path, help="folder for results.json and the table")
    parser.add_argument("--lines", type=int, default=12, help="utterances of each kind")
    parser.add_argument("--kinds", nargs="+", help="names of folders (default: all)")
    parser.add_argument("--repair", default=REPAIR, help="such as auto:weights=runs/fold")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    choose_metrics(("estoi", "visqol", "dnsmos", "voicing"))
    names = given.kinds or [
        found.parent.name for found in sorted(given.generators.glob("*/spec.yaml"))
    ]
    show(given.output, table({name: both(given.generators / name, given) for name in names}))
    return 0


def both(folder: Path, given: argparse.Namespace) -> tuple[Results, list[str]]:
    """Both systems on a generator's utterances, and these."""
    names, words = chosen(folder, given.lines), (WITHOUT, f"{given.repair}+{INVERTER}")
    asked = {f"{folder.name} | {word}": names for word in words}
    work = partial(measure_generated, folder)
    found = measured(given.output / "results.json", asked, work, given.processes)
    return dict(zip(words, found.values(), strict=True)), names


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
    return spread(usual, count)


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
    for place, kind in enumerate(kinds):
        rows.append([kind, *shown[place * len(COLUMNS) : (place + 1) * len(COLUMNS)]])
    words, lines = next(iter(kinds.values()))
    return (
        f"{markdown(rows)}\n\n{len(lines)} utterances of each; "
        f"{' / '.join(f'`{word}`' for word in words)}. "
        f"Bold: p < {ALPHA} (permutation in pairs, Holm over the table)."
    )


if __name__ == "__main__":
    sys.exit(main())
