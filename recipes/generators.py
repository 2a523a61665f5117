"""Train a small image-to-image generator, drawn anew, and have it generate a corpus.

Only the corpus's training utterances are used. Writes a folder that ``data=generated`` reads, with
``results/``, ``reference/``, ``manifest.csv`` and ``spec.yaml``; and ``kind.json``, what was drawn.
Stopped half-way, the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from recipes.results import recipe
from vocoder import load
from vocoder.corpus.corpus import Corpus
from vocoder.train.generators.studio import Studio
from vocoder.train.generators.tasks import TASKS, WAVEFORMS
from vocoder.train.generators.trainer import Kind


@recipe
def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, help="folder with corpus.csv")
    parser.add_argument("output", type=Path, help="folder for what is generated")
    parser.add_argument("--task", choices=list(TASKS), help="drawn if not given")
    parser.add_argument("--unpaired", action="store_true", help="by cycle consistency")
    parser.add_argument("--steps", type=int, default=1500, help="of training, one tile each")
    parser.add_argument("--utterances", type=int, default=400, help="to generate")
    parser.add_argument("--seed", type=int, default=0, help="draws the kind of generator")
    parser.add_argument("--codec", choices=("gray8", "windows"), default="gray8", help="of images")
    given = parser.parse_args(arguments)
    kind = Kind.drawn(given.seed, given.task, paired=not given.unpaired)
    if given.codec == "windows":
        if kind.task not in WAVEFORMS:
            parser.error(f"--codec windows needs a waveform to begin with: {', '.join(WAVEFORMS)}")
        kind = replace(kind, channels=3)
    spec = load("spec", "mel256")
    corpus = Corpus(given.corpus, "train", sample_rate=spec.sample_rate)
    order = np.random.default_rng((given.seed, 1)).permutation(len(corpus)).tolist()
    Studio(
        corpus,
        given.output,
        kind,
        spec=spec,
        codec=load("codec", given.codec, db_min=-92.0, db_max=-12.0),
        learns=range(len(corpus)),
        generates=order[: given.utterances],
        seed=given.seed,
        steps=given.steps,
    ).work()
    return 0


if __name__ == "__main__":
    sys.exit(main())
