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
from torch import Tensor

from vocoder import load
from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.features import from_db
from vocoder.model.wavenet.draft import draft_of, rephased
from vocoder.model.wavenet.network import WaveNet
from vocoder.model.weights import find_weights
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse
from vocoder.train.channel.base import Channel
from vocoder.train.corpus.corpus import Corpus
from vocoder.train.training import Training

BLANK_DB = -50.0
LINES = 48  # held out in recipes/fillets
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
        runs = {name: (folder(given.output, name), name == BLIND) for name in VARIANTS}
        runs |= {name: (Path(name), False) for name in given.also}
        rows = likelihoods(runs, spec, held_out(given.corpus, spec, given.lines))
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table = "\n".join(["| network | nats a sample |", "| --- | --- |", *rows])
    with atomic_path(given.output / "table.md", overwrite=True) as temporary:
        temporary.write_text(table + "\n", encoding="utf-8")
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


def held_out(corpus: Path, spec: SpectrogramSpec, lines: int) -> list[np.ndarray]:
    """Recordings of the test split, evenly spread, in whole hops."""
    clips = Corpus(corpus, "test", sample_rate=spec.sample_rate, shortest_samples=spec.n_fft)
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(lines, len(clips))).round().astype(int))
    sounds = [clips.read(int(i)) for i in chosen]
    return [sound[: len(sound) // spec.hop_length * spec.hop_length] for sound in sounds]


def likelihoods(
    runs: dict[str, tuple[Path, bool]], spec: SpectrogramSpec, sounds: list[np.ndarray]
) -> list[str]:
    """A row of a table for every network: the mean negative log-likelihood of sounds.

    All hear the same: the recordings with the phases of the draft.
    """
    networks = {}
    for name, (where, blind) in runs.items():
        network = read_checkpoint(find_weights(str(where))).build()
        if not isinstance(network, WaveNet):
            raise BadInput(f"{where} holds a {type(network).__name__}; expected a WaveNet")
        networks[name] = network.eval(), blind
    iterations = next(net.draft_iterations for net, blind in networks.values() if not blind)
    totals: dict[str, list[float]] = {name: [] for name in networks}
    for samples in sounds:
        sound = torch.from_numpy(samples)[None]
        values = analyse(sound, spec).values[:, :, : sound.shape[1] // spec.hop_length]
        heard = rephased(sound, draft_of(values, spec, iterations), spec)
        blank = from_db(torch.full_like(values, BLANK_DB), spec)
        for name, (network, blind) in networks.items():
            totals[name].append(_loss(network, blank if blind else values, heard, sound))
    return [f"| {name} | {np.mean(found):.3f} |" for name, found in totals.items()]


@torch.inference_mode()
def _loss(network: WaveNet, values: Tensor, heard: Tensor, sound: Tensor) -> float:
    # A network with a draft gives recordings its phases itself.
    return float(network.loss(values, heard if network.draft_iterations is None else sound))


if __name__ == "__main__":
    sys.exit(main())
