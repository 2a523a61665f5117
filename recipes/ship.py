"""Make the weights of a training the ones that come with the package.

    python -m recipes.ship outputs/runs/repair generated --licence GPL-2.0-only --note "..."

Writes ``vocoder/model/shipped/<name>.safetensors``, in 16-bit floating point, and the model card
beside it. Weights are compared in the same precision before they are shipped: see the recipes that
measure.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from recipes.results import recipe
from vocoder.files import read_record, write_text
from vocoder.model.checkpoint import SUFFIX, Checkpoint, read_checkpoint
from vocoder.model.weights import FOLDER, find_weights
from vocoder.train.loop import LAST_NAME
from vocoder.train.record import RECORD_NAME


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("run", type=Path, help="folder of a training")
    parser.add_argument("name", help="such as generated")
    parser.add_argument("--licence", required=True, help="of the data, which binds the weights")
    parser.add_argument("--note", required=True, help="what it was made from, for people")
    parser.add_argument("--last", action="store_true", help="the last weights, not the best")
    parser.add_argument("--figures", type=Path, help="Markdown with the held-out figures")
    given = parser.parse_args(arguments)
    path = ship(given.run, given.name, given.licence, given.note, last=given.last)
    figures = given.figures.read_text(encoding="utf-8") if given.figures else ""
    write_card(path, figures)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


def ship(run: Path, name: str, licence: str, note: str, *, last: bool) -> Path:
    """Write a training's best or last weights as shipped ones."""
    checkpoint = read_checkpoint(run / LAST_NAME if last else find_weights(str(run)))
    record = read_record(run / RECORD_NAME, "run.damaged")
    card: dict[str, Any] = {
        **checkpoint.card,
        "licence": licence,
        "note": note,
        "plan": record["config"]["train"]["plan"],
        "versions": record["versions"],
    }
    half = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in checkpoint.tensors.items()
    }
    path = FOLDER / f"{name}{SUFFIX}"
    Checkpoint(checkpoint.model, checkpoint.spec, half, card).write(path, overwrite=True)
    return path


def write_card(path: Path, figures: str) -> None:
    """Write the model card of shipped weights, for people, from what the file says."""
    checkpoint = read_checkpoint(path)
    card = checkpoint.card
    parameters = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    precision = next(iter(checkpoint.tensors.values())).dtype
    lines = [
        f"# {path.stem}",
        "",
        card["note"],
        "",
        f"* Model: `{checkpoint.model['_target_']}`, {parameters / 1e6:.2f} M parameters, "
        f"{str(precision).removeprefix('torch.')}",
        f"* Images: {checkpoint.spec.describe()}",
        f"* Steps: {card['steps']}, from {card['init'] or 'scratch'}; seed {card['seed']}",
        f"* Data: `{json.dumps(card['data'])}`",
        f"* Licence of the data, and so of these weights: {card['licence']}",
        f"* Made with {', '.join(f'{k} {v}' for k, v in card['versions'].items())}",
        "",
        figures,
    ]
    write_text(path.with_suffix(".md"), "\n".join(lines).rstrip() + "\n", overwrite=True)


if __name__ == "__main__":
    sys.exit(main())
