"""Train a small image-to-image generator, drawn anew, and have it generate a corpus.

Only the corpus's training utterances are used. Writes a folder that ``data=generated`` reads, with
``results/``, ``reference/``, ``manifest.csv`` and ``spec.yaml``; and ``kind.json``, what was drawn.
Stopped half-way, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from recipes.generators.tasks import TASKS, WAVEFORMS
from recipes.generators.trainer import Kind, Trainer
from vocoder import load
from vocoder.audio import write_audio
from vocoder.corpus.corpus import Corpus
from vocoder.decibels import to_decibels
from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.image.codec.base import Codec
from vocoder.image.manifest import Sidecar, Tile, write_manifest, write_sidecar
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse, to_bins

TILE_FRAMES, OVERLAP_FRAMES = 128, 32
PEAK_DBFS = -6.0  # of every utterance
SAVE_EVERY = 250


class Studio:
    """A generator of images in a codec, at work on a corpus; ``n_utterances`` are generated."""

    def __init__(
        self,
        corpus: Path,
        output: Path,
        kind: Kind,
        codec: str = "gray8",
        *,
        seed: int,
        steps: int,
        n_utterances: int,
    ) -> None:
        self.spec: SpectrogramSpec = load("spec", "mel256")
        self.codec: Codec = load("codec", codec, db_min=-92.0, db_max=-12.0)
        self.analyses = [spec for spec, _ in self.codec.analyses(self.spec)]
        self.corpus = Corpus(corpus, "train", sample_rate=self.spec.sample_rate)
        self.output, self.kind, self.seed, self.steps = output, kind, seed, steps
        order = np.random.default_rng((seed, 1)).permutation(len(self.corpus))
        self.chosen = [int(utterance) for utterance in order[:n_utterances]]
        torch.manual_seed(seed)
        self.trainer = Trainer(kind)

    def work(self) -> None:
        """Train, generate each stage's part of the utterances, and write what a data set needs."""
        self.output.mkdir(parents=True, exist_ok=True)
        settings = {"seed": self.seed, "steps": self.steps, **asdict(self.kind)}
        text = json.dumps(settings, indent=2) + "\n"
        (self.output / "kind.json").write_text(text, encoding="utf-8")
        ends = [round(self.steps * share) for share in self.kind.stages]
        path = self.output / "generator.pt"
        first, began = self.trainer.restore(path), time.monotonic()
        for step in range(first, self.steps):
            distance = self.trainer.step(*self.example(step))
            done = step + 1
            if done % 50 == 0:
                seconds = (time.monotonic() - began) / (done - first)
                print(f"step {done}: L1 {distance:.3f}, {seconds:.3f} s a step", flush=True)
            if done in ends:
                self.generate(self.chosen[ends.index(done) :: len(ends)])
            if done % SAVE_EVERY == 0 or done in ends:
                # After generating: stopped in its midst, the same generator goes on with it.
                self.trainer.save(path, done)
        self.finish()

    def example(self, step: int) -> tuple[Tensor, Tensor]:
        """What a step learns from: a tile as the task leaves it, and a true one (unpaired, of
        another utterance)."""
        rng = np.random.default_rng((self.seed, 2, step))
        given, true = self._crop(rng)
        return given, true if self.kind.paired else self._crop(rng)[1]

    def _crop(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        samples = self.samples(int(rng.integers(len(self.corpus))))
        length = TILE_FRAMES * self.spec.hop_length
        begin = int(rng.integers(0, max(samples.size - length, 0) + 1))
        given, true = self.images(samples[begin : begin + length], rng)
        return given[..., :TILE_FRAMES], true[..., :TILE_FRAMES]

    def samples(self, utterance: int) -> np.ndarray:
        """A utterance with its peak at `PEAK_DBFS`."""
        return self.corpus.read(utterance) * np.float32(10 ** (self.gain_db(utterance) / 20))

    def gain_db(self, utterance: int) -> float:
        """What brings a utterance's peak to `PEAK_DBFS`."""
        return PEAK_DBFS - self.corpus.utterances[utterance].peak_dbfs

    def images(self, samples: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Given and true image, ``(1, channels, bins, frames)``, -1 to 1, a tile or more."""
        if len(self.analyses) == 1:
            linear = torch.from_numpy(TASKS[self.kind.task](samples, self.spec, rng)).float()[None]
            given = to_decibels(to_bins(linear, self.spec), self.spec)
        else:
            given = self._analysed(WAVEFORMS[self.kind.task](samples, self.spec, rng))
        return self._image(given), self._image(self._analysed(samples))

    def _analysed(self, samples: np.ndarray) -> Tensor:
        """All analyses, one below the other, ``(1, bins, frames)`` in dB."""
        waveform = torch.from_numpy(np.asarray(samples, np.float32))[None]
        return torch.cat([analyse(waveform, spec).decibels for spec in self.analyses], dim=1)

    def _image(self, decibels: Tensor) -> Tensor:
        pixels = self.codec.encode(decibels[0].numpy(), self.spec)
        channels = torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).movedim(2, 0)
        image = channels.float()[None] / 127.5 - 1
        return functional.pad(image, (0, max(TILE_FRAMES - pixels.shape[1], 0)), value=-1.0)

    @torch.no_grad()
    def generate(self, utterances: list[int]) -> None:
        """Generate utterances, tile by tile, as a program like junyanz's writes them."""
        folder = self.output / "results" / "generator" / "train_latest" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        for utterance in utterances:
            given, _ = self.images(
                self.samples(utterance), np.random.default_rng((self.seed, 3, utterance))
            )
            for tile in self.tiles(utterance):
                path = folder / f"{tile.stem}_fake_B.png"
                if path.exists():  # from before an interruption
                    continue
                cut = given[..., tile.start_frame : tile.start_frame + TILE_FRAMES]
                cut = functional.pad(cut, (0, TILE_FRAMES - cut.shape[3]), value=-1.0)
                # Fractions are cut off, as junyanz's program does.
                image = ((self.trainer.generators[0](cut)[0] + 1) / 2 * 255).byte()
                colours = image.expand(3, -1, -1).movedim(0, 2).contiguous().numpy()
                with atomic_path(path, overwrite=False) as temporary:
                    Image.fromarray(colours).save(temporary)

    def tiles(self, utterance: int) -> list[Tile]:
        """A utterance's rows in the manifest."""
        found, stride = self.corpus.utterances[utterance], TILE_FRAMES - OVERLAP_FRAMES
        # Files may hold several utterances.
        name = f"{found.path.rsplit('.', 1)[0].replace('/', '__')}_{found.start_sample}"
        total = self.spec.n_frames(found.samples)
        return [
            Tile(
                stem=f"{name}__{number:02d}",
                utterance=name,
                start_frame=start,
                frames=min(TILE_FRAMES, total - start),
                total_frames=total,
                gain_db=self.gain_db(utterance),
                source=found.path,
                split="train",
                samples=found.samples,
            )
            for number, start in enumerate(range(0, max(total - OVERLAP_FRAMES, 1), stride))
        ]

    def finish(self) -> None:
        """Write the recordings, the manifest and the settings."""
        rows: list[Tile] = []
        for utterance in self.chosen:
            tiles = self.tiles(utterance)
            path = self.output / "reference" / f"{tiles[0].utterance}.flac"
            write_audio(path, self.corpus.read(utterance), self.spec.sample_rate, overwrite=True)
            rows += tiles
        write_manifest(self.output / "manifest.csv", rows, overwrite=True)
        sizes = {"tile_frames": TILE_FRAMES, "overlap_frames": OVERLAP_FRAMES}
        sidecar = Sidecar(spec=self.spec, codec=self.codec, **sizes)
        write_sidecar(self.output / "spec.yaml", sidecar, overwrite=True)


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
    sizes = {"seed": given.seed, "steps": given.steps, "n_utterances": given.utterances}
    try:
        Studio(given.corpus, given.output, kind, given.codec, **sizes).work()
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
