"""How likely WaveNets find held-out lines, such as those of the speaker whom one was made for.

    python -m recipes.speaker_wavenet.likelihood outputs/corpus_fillets wavenet \
        outputs/runs/wavenet_me --speaker nl_v

Prints a table of the mean negative log-likelihoods, and what each has more than the first. All hear
the same: the recordings with the phases of the draft.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vocoder import load
from vocoder.corpus.corpus import Corpus
from vocoder.errors import BadInput
from vocoder.evaluate.inference import mean_interval
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.wavenet.draft import draft_of, rephased
from vocoder.model.wavenet.network import WaveNet
from vocoder.model.weights import find_weights
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

BLANK_DB = -50.0  # what a blind network sees
LINES = 48  # held out in recipes/fillets


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, help="folder that recipes/fillets/corpus.py wrote")
    parser.add_argument("weights", nargs="+", help="runs, files, or names of shipped weights")
    parser.add_argument("--speaker", help="whose lines (default: all speakers')")
    parser.add_argument("--lines", type=int, default=LINES, help="held-out lines, evenly spread")
    given = parser.parse_args(arguments)
    try:
        spec = load("spec", "mel256")
        sounds = held_out(given.corpus, spec, given.lines, given.speaker)
        print(as_table(likelihoods({name: name for name in given.weights}, spec, sounds)))
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def held_out(
    corpus: Path, spec: SpectrogramSpec, lines: int, speaker: str | None
) -> list[np.ndarray]:
    """Recordings of the test split, evenly spread, in whole hops."""
    clips = Corpus(
        corpus,
        "test",
        speakers=None if speaker is None else [speaker],
        sample_rate=spec.sample_rate,
        min_samples=spec.n_fft,
    )
    chosen = np.unique(np.linspace(0, len(clips) - 1, min(lines, len(clips))).round().astype(int))
    sounds = [clips.read(int(i)) for i in chosen]
    return [sound[: len(sound) // spec.hop_length * spec.hop_length] for sound in sounds]


def likelihoods(
    weights: Mapping[str, str],
    spec: SpectrogramSpec,
    sounds: list[np.ndarray],
    blind: Collection[str] = (),
) -> dict[str, list[float]]:
    """Mean negative log-likelihood of each sound, in nats a sample, by every network.

    Parameters
    ----------
    weights : mapping of str to str
        By what the networks are called.
    spec : SpectrogramSpec
    sounds : list of ndarray
        In whole hops.
    blind : collection of str
        Those that see a picture of one colour and have no draft.

    Raises
    ------
    BadInput
        Weights are missing, or of something else.
    """
    networks = {}
    for name, where in weights.items():
        network = read_checkpoint(find_weights(where)).build()
        if not isinstance(network, WaveNet):
            raise BadInput(f"{where} holds a {type(network).__name__}; expected a WaveNet")
        networks[name] = network.eval()
    iterations = next(net.draft_iterations for name, net in networks.items() if name not in blind)
    found: dict[str, list[float]] = {name: [] for name in networks}
    for samples in tqdm(sounds, unit="line"):
        sound = torch.from_numpy(samples)[None]
        values = analyse(sound, spec).decibels[:, :, : sound.shape[1] // spec.hop_length]
        heard = rephased(sound, draft_of(values, spec, iterations), spec)
        blank = torch.full_like(values, BLANK_DB)
        for name, network in networks.items():
            seen = blank if name in blind else values
            found[name].append(_loss(network, seen, heard, sound))
    return found


@torch.inference_mode()
def _loss(network: WaveNet, values: Tensor, heard: Tensor, sound: Tensor) -> float:
    # A network with a draft gives recordings its phases itself.
    return float(network.loss(values, heard if network.draft_iterations is None else sound))


def as_table(found: Mapping[str, list[float]]) -> str:
    """Means, and differences from the first line by line, as Markdown."""
    first = next(iter(found.values()))
    rows = ["| network | nats a sample | more than the first |", "| --- | --- | --- |"]
    for name, values in found.items():
        more = [one - other for one, other in zip(values, first, strict=True)]
        difference = "" if values is first else mean_interval(more).text(3)
        rows.append(f"| {name} | {np.mean(values):.3f} | {difference} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
