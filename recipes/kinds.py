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
from recipes.results import Results, differences, measured, recipe, show, spread
from vocoder.errors import BadInput
from vocoder.evaluate.inference import holm, paired_p
from vocoder.evaluate.metrics import METRICS, choose_metrics
from vocoder.evaluate.summary import markdown

MIN_S, MAX_S = 1.5, 6.0
WITHOUT, REPAIR, INVERTER = "none+admm", "auto", "griffin_lim"
COLUMNS = ("estoi", "visqol", "dnsmos_difference", "voicing_error")
ALPHA = 0.05


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
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


def both(folder: Path, given: argparse.Namespace) -> Results:
    """Without and with repair on some of a generator's utterances."""
    names, words = chosen(folder, given.lines), (WITHOUT, f"{given.repair}+{INVERTER}")
    asked = {f"{folder.name} | {word}": names for word in words}
    work = partial(measure_generated, folder)
    found = measured(given.output / "results.json", asked, work, given.processes)
    return dict(zip(words, found.values(), strict=True))


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


def table(kinds: Mapping[str, Results]) -> str:
    """Means without and with repair, as Markdown; bold where the difference is beyond chance.

    Permutation tests in pairs, corrected for all cells of the table by Holm's method.
    """
    pairs = {kind: tuple(systems.values()) for kind, systems in kinds.items()}
    apart = [
        differences(after, before, column) for before, after in pairs.values() for column in COLUMNS
    ]
    p_values = iter(holm([paired_p(one) for one in apart]))
    rows = [["generator", *(METRICS[column].heading for column in COLUMNS)]]
    for kind, (before, after) in pairs.items():
        cells = [kind]
        for column in COLUMNS:
            lines = [line for line in before if column in before[line] and column in after[line]]
            means = (np.mean([one[line][column] for line in lines]) for one in (before, after))
            without, repaired = (f"{mean:.{METRICS[column].digits}f}" for mean in means)
            shown = f"**{repaired}**" if next(p_values) < ALPHA else repaired
            cells.append(f"{without} / {shown}")
        rows.append(cells)
    systems = next(iter(kinds.values()))
    return (
        f"{markdown(rows)}\n\n{len(systems[WITHOUT])} utterances of each; "
        f"{' / '.join(f'`{word}`' for word in systems)}. "
        f"Bold: p < {ALPHA} (permutation in pairs, Holm over the table)."
    )


if __name__ == "__main__":
    sys.exit(main())
