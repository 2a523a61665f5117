"""What depth and the picture are worth: the same WaveNet, one layer of it, and one that is blind.

    python -m recipes.speaker_wavenet.baselines outputs/corpus_fillets outputs/wavenet_baselines

Trains each for a few hundred steps of the same examples (a run that is there is gone on with), and
tells the likelihood of held-out lines. The blind one sees a picture of one colour, and finds all
phases itself.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recipes.speaker_wavenet.likelihood import BLANK_DB, LINES, as_table, held_out, likelihoods
from vocoder import load
from vocoder.errors import BadInput
from vocoder.files import write_text
from vocoder.spec import SpectrogramSpec
from vocoder.train.channel.base import Channel
from vocoder.train.training import Training

BLIND = "blind"
# What differs from conf/model/wavenet.yaml.
VARIANTS: dict[str, dict[str, Any]] = {
    "as it ships": {},
    "one layer": {"layers": 1},
    BLIND: {"draft_iterations": None},
}


class Blank(Channel):
    """Every picture is of one colour."""

    def __call__(
        self, decibels: np.ndarray, spec: SpectrogramSpec, rng: np.random.Generator
    ) -> np.ndarray:
        return np.full_like(decibels, BLANK_DB)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/corpus.py wrote")
    parser.add_argument("output", type=Path, help="folder for the runs and the table")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--lines", type=int, default=LINES, help="held-out lines, evenly spread")
    parser.add_argument("--also", nargs="*", default=[], help="weights to measure as well")
    given = parser.parse_args(arguments)
    try:
        spec = load("spec", "mel256")
        for name, changes in VARIANTS.items():
            train(name, changes, spec, given.corpus, given.output, given.steps)
        runs = {name: str(folder(given.output, name)) for name in VARIANTS}
        runs |= {name: name for name in given.also}
        sounds = held_out(given.corpus, spec, given.lines, None)
        found = likelihoods(runs, spec, sounds, blind={BLIND})
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table = as_table(found)
    write_text(given.output / "table.md", table + "\n", overwrite=True)
    print(table)
    return 0


def folder(output: Path, name: str) -> Path:
    return output / name.replace(" ", "_")


def train(
    name: str,
    changes: dict[str, Any],
    spec: SpectrogramSpec,
    corpus: Path,
    output: Path,
    steps: int,
) -> None:
    """Train one variant, or go on with it."""
    run = folder(output, name)
    training: Training = load("train", "likelihood")
    plan = replace(
        training.plan, steps=steps, validate_every=steps, checkpoint_every=100, workers=0
    )
    torch.manual_seed(0)
    replace(training, plan=plan, validation_lines=1).run(
        spec=spec,
        data=load("data", "corpus", root=str(corpus)),
        channel=Blank() if name == BLIND else load("channel", "clean"),
        model=load("model", "wavenet", spec=spec, **changes),
        folder=run,
        device=torch.device("cpu"),
        seed=0,
        resume=(run / "run.json").exists(),
        record={"spec": spec.to_dict(), "model": changes, "seed": 0, "train": {}},
    )


if __name__ == "__main__":
    sys.exit(main())
