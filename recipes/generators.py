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
from vocoder.device import torch_device
from vocoder.train.generators.studio import Studio
from vocoder.train.generators.tasks import TASKS, WAVEFORMS
from vocoder.train.generators.trainer import Kind


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("corpus", type=Path, help="folder with corpus.csv")
    parser.add_argument("output", type=Path, help="folder for what is generated")
    parser.add_argument("--task", choices=list(TASKS), help="drawn if not given")
    sort = parser.add_mutually_exclusive_group()
    sort.add_argument("--unpaired", action="store_true", help="by cycle consistency")
    sort.add_argument("--real", action="store_true", help="as large as a pix2pix; wants a GPU")
    parser.add_argument("--steps", type=int, default=1500, help="of training, one tile each")
    parser.add_argument("--utterances", type=int, default=400, help="to generate")
    parser.add_argument(
        "--unseen", action="store_true", help="learns from one half, generates of the other"
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the kind of generator")
    parser.add_argument("--codec", choices=("gray8", "windows"), default="gray8", help="of images")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, or auto: a GPU if there is one")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare examples")
    given = parser.parse_args(arguments)
    if given.real:
        kind = Kind.real(given.seed, given.task)
    else:
        kind = Kind.drawn(given.seed, given.task, paired=not given.unpaired)
    if given.codec == "windows":
        if kind.task not in WAVEFORMS:
            parser.error(f"--codec windows needs a waveform to begin with: {', '.join(WAVEFORMS)}")
        kind = replace(kind, channels=3)
    spec = load("spec", "mel256")
    corpus = Corpus(given.corpus, "train", sample_rate=spec.sample_rate)
    order = np.random.default_rng((given.seed, 1)).permutation(len(corpus)).tolist()
    half = len(corpus) // 2
    if given.unseen and not half:
        parser.error("--unseen needs two utterances to learn from")
    Studio(
        corpus,
        given.output,
        kind,
        spec=spec,
        codec=load("codec", given.codec, db_min=-92.0, db_max=-12.0),
        learns=order[half:] if given.unseen else range(len(corpus)),
        generates=order[: half if given.unseen else None][: given.utterances],
        seed=given.seed,
        steps=given.steps,
        device=torch_device(given.device),
        workers=given.workers,
    ).work()
    return 0


if __name__ == "__main__":
    sys.exit(main())
