"""Train a small pix2pix and have it paint a corpus: many kinds of damage for a repair to learn.

    python -m recipes.painter outputs/corpus_fillets outputs/painted_a --steps 6000 --seed 1

What a repair learns from the pictures of one pix2pix run may fit that run only, so this makes more
runs, of another program (our own small one), other seeds, other tasks and other stages of training:
telephone speech to clean speech, its band, noise and coarseness drawn anew for every line. Only the
corpus's training lines are painted. Writes a folder that ``data=generated`` reads:
``results/``, ``reference/``, ``manifest.csv`` and ``spec.yaml``. Stopped half-way, the same command
goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.signal import butter, sosfiltfilt
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from recipes.painter.network import L1_WEIGHT, Judge, Painter, initialise
from vocoder import load
from vocoder.audio import write_audio
from vocoder.corpus.corpus import Corpus
from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.image.codec.base import Codec
from vocoder.image.manifest import Sidecar, Tile, write_manifest, write_sidecar
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

TILE_FRAMES = 256
STAGES = 3  # stages of the training at which lines are painted, evenly over its second half


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, help="folder with corpus.csv")
    parser.add_argument("output", type=Path, help="folder for the painted pictures")
    parser.add_argument("--steps", type=int, default=6000, help="of training, one tile each")
    parser.add_argument("--width", type=int, default=32, help="channels of the first level")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    try:
        Studio(given.corpus, given.output, given.width, given.seed).work(given.steps)
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


class Studio:
    """A painter, what it learns from, and what it has painted.

    Parameters
    ----------
    corpus, output : Path
    width, seed : int
    """

    def __init__(self, corpus: Path, output: Path, width: int, seed: int) -> None:
        self.spec: SpectrogramSpec = load("spec", "mel256")
        self.codec: Codec = load("codec", "gray8", db_min=-92.0, db_max=-12.0)
        self.corpus = Corpus(corpus, "train", sample_rate=self.spec.sample_rate)
        self.output, self.seed = output, seed
        torch.manual_seed(seed)
        self.painter, self.judge = Painter(width), Judge(width)
        initialise(self.painter)
        initialise(self.judge)
        self.rates = [
            torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999))
            for network in (self.painter, self.judge)
        ]

    def work(self, steps: int) -> None:
        """Train, painting a share of the lines at every stage."""
        stages = [round(steps * (0.5 + 0.5 * (k + 1) / STAGES)) for k in range(STAGES)]
        state = self.output / "painter.pt"
        done = 0
        if state.exists():
            done = self._restore(state)
        progress = tqdm(range(done, steps), initial=done, total=steps, unit="tile")
        for step in progress:
            rng = np.random.default_rng((self.seed, step))
            line = int(rng.integers(len(self.corpus)))
            pictures, clean = self.pictures(line, rng)
            tile = int(rng.integers(len(pictures)))
            loss = self.learn(pictures[tile : tile + 1], clean[tile : tile + 1])
            if step % 50 == 0:
                progress.set_postfix_str(f"L1 {loss:.3f}", refresh=False)
            if step + 1 in stages:
                self.paint(stages.index(step + 1))
            if (step + 1) % 500 == 0 or step + 1 in stages:
                # After the painting: stopped in its midst, it is gone on with by the same painter.
                self._save(state, step + 1)
        for stage in range(STAGES):  # what was not yet, such as lines added to the corpus
            self.paint(stage)
        self.finish()

    def pictures(self, line: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A line's tiles, telephone and clean, ``(tiles, 3, 256, 256)`` from -1 to 1."""
        sound = self.corpus.read(line) * self.gain(line)
        return self.tiles(telephone(sound, self.spec.sample_rate, rng)), self.tiles(sound)

    def gain(self, line: int) -> np.float32:
        """What brings a line's peak to 0.5."""
        peak_dbfs = self.corpus.utterances[line].peak_dbfs
        return np.float32(0.5 / 10 ** (peak_dbfs / 20))

    def tiles(self, sound: np.ndarray) -> Tensor:
        """Sound to tiles; the last one is filled up with black."""
        values = analyse(torch.from_numpy(sound)[None], self.spec).decibels[0].numpy()
        pixels = self.codec.encode(values, self.spec)
        pixels = np.pad(pixels, ((0, 0), (0, -pixels.shape[1] % TILE_FRAMES)))
        levels = torch.from_numpy(pixels).float() / 127.5 - 1
        tiles = torch.stack(levels.split(TILE_FRAMES, dim=1))
        return tiles[:, None].expand(-1, 3, -1, -1)

    def learn(self, picture: Tensor, true: Tensor) -> float:
        """One step of both networks; returns the L1 loss."""
        painted = self.painter(picture)
        for turn, rate in (("judge", self.rates[1]), ("painter", self.rates[0])):
            rate.zero_grad()
            if turn == "judge":
                good, bad = self.judge(picture, true), self.judge(picture, painted.detach())
                loss = (_verdict(good, 1) + _verdict(bad, 0)) / 2
            else:
                distance = (painted - true).abs().mean()
                loss = _verdict(self.judge(picture, painted), 1) + L1_WEIGHT * distance
            loss.backward()
            rate.step()
        return float(distance.detach())

    @torch.no_grad()
    def paint(self, stage: int) -> None:
        """Paint the lines whose turn it is at this stage."""
        folder = self.images
        folder.mkdir(parents=True, exist_ok=True)
        for line in tqdm(range(stage, len(self.corpus), STAGES), desc="paint", unit="line"):
            rng = np.random.default_rng((self.seed, 1 << 40, line))
            pictures, _ = self.pictures(line, rng)
            for number, picture in enumerate(pictures):
                path = folder / f"{self.name(line)}__{number:02d}_fake_B.png"
                if path.exists():  # from before an interruption
                    continue
                painted = self.painter(picture[None])[0]
                # Fractions are cut off, as junyanz's program does.
                pixels = ((painted + 1) / 2 * 255).permute(1, 2, 0).numpy().astype(np.uint8)
                with atomic_path(path, overwrite=False) as temporary:
                    Image.fromarray(pixels).save(temporary)

    @property
    def images(self) -> Path:
        """Where a program like junyanz's writes its pictures."""
        return self.output / "results" / "painter" / "train_latest" / "images"

    def name(self, line: int) -> str:
        """A line's utterance, as a data set would call it; files may hold several."""
        clip = self.corpus.utterances[line]
        return f"{clip.path.rsplit('.', 1)[0].replace('/', '__')}_{clip.start_sample}"

    def finish(self) -> None:
        """Write the recordings as they were painted, the manifest and the settings."""
        rows = []
        for line, clip in enumerate(tqdm(self.corpus.utterances, desc="reference", unit="line")):
            write_audio(
                self.output / "reference" / f"{self.name(line)}.flac",
                self.corpus.read(line),
                self.spec.sample_rate,
                overwrite=True,
            )
            total = self.spec.n_frames(clip.samples)
            gain_db = 20 * float(np.log10(self.gain(line)))
            for number, start in enumerate(range(0, total, TILE_FRAMES)):
                rows.append(
                    Tile(
                        stem=f"{self.name(line)}__{number:02d}",
                        utterance=self.name(line),
                        start_frame=start,
                        frames=min(TILE_FRAMES, total - start),
                        total_frames=total,
                        gain_db=gain_db,
                        source=clip.path,
                        split="train",
                        samples=clip.samples,
                    )
                )
        write_manifest(self.output / "manifest.csv", rows, overwrite=True)
        sidecar = Sidecar(
            spec=self.spec, codec=self.codec, tile_frames=TILE_FRAMES, overlap_frames=0
        )
        write_sidecar(self.output / "spec.yaml", sidecar, overwrite=True)

    def _modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        names = ("painter", "judge", "painter_rate", "judge_rate")
        return dict(zip(names, (self.painter, self.judge, *self.rates), strict=True))

    def _save(self, path: Path, done: int) -> None:
        state = {name: module.state_dict() for name, module in self._modules().items()}
        with atomic_path(path, overwrite=True) as temporary:
            torch.save({"done": done, **state}, temporary)

    def _restore(self, path: Path) -> int:
        state = torch.load(path, weights_only=True)
        for name, module in self._modules().items():
            module.load_state_dict(state[name])
        return int(state["done"])


def telephone(sound: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Speech as a telephone leaves it: a narrow band, mu-law with few levels, noise."""
    band = (rng.uniform(200, 400), rng.uniform(2800, 3800))
    narrow = sosfiltfilt(butter(4, band, "bandpass", fs=sample_rate, output="sos"), sound)
    noisy = narrow + rng.normal(0, 10 ** (rng.uniform(-65, -40) / 20), sound.size)
    mu = 255.0
    compressed = np.sign(noisy) * np.log1p(mu * np.abs(noisy)) / np.log1p(mu)
    steps = 2 ** rng.uniform(4, 7)
    coarse = np.rint(compressed * steps) / steps
    expanded = np.sign(coarse) * np.expm1(np.abs(coarse) * np.log1p(mu)) / mu
    return np.asarray(expanded, np.float32)


def _verdict(logits: Tensor, wanted: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))


if __name__ == "__main__":
    sys.exit(main())
