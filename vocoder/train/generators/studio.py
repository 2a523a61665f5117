"""A small image-to-image generator at work on a corpus: it learns, and generates what repairs learn
from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from vocoder.audio import write_audio
from vocoder.corpus.corpus import Corpus
from vocoder.decibels import to_decibels
from vocoder.errors import BadInput, some_of
from vocoder.files import atomic_path, write_text
from vocoder.image.codec.base import Codec
from vocoder.image.manifest import Sidecar, Tile, write_manifest, write_sidecar
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse, to_bins
from vocoder.train.generators.tasks import TASKS, WAVEFORMS
from vocoder.train.generators.trainer import Kind, Trainer
from vocoder.train.interruption import ignore_interruptions, interruptible

OVERLAP_FRAMES = 32  # of tiles
PEAK_DBFS = -6.0  # of every utterance
SAVE_EVERY = 250
SETTINGS_NAME = "kind.json"
WEIGHTS_NAME = "generator.pt"


class Studio:
    """Trains a generator, has it generate, and writes a data set, which ``data=generated`` reads.

    Stopped half-way, another one goes on where it was.

    Parameters
    ----------
    corpus : Corpus
    output : Path
        Folder for the generator and the data set.
    kind : Kind
    spec : SpectrogramSpec
    codec : Codec
        Of the images.
    learns, generates : sequence of int
        Numbers of the utterances that the generator learns from, and of those that it generates.
    seed : int
        Of weights, examples and what the task draws.
    steps : int
        Of training, one tile each.
    device : torch.device, optional
        Of the networks; the CPU if not given. Images are always made on the CPU.
    workers : int
        Processes that prepare examples; with 0 this one does. The examples are the same.
    """

    def __init__(
        self,
        corpus: Corpus,
        output: Path,
        kind: Kind,
        *,
        spec: SpectrogramSpec,
        codec: Codec,
        learns: Sequence[int],
        generates: Sequence[int],
        seed: int,
        steps: int,
        device: torch.device | None = None,
        workers: int = 0,
    ) -> None:
        self.corpus, self.output, self.kind = corpus, output, kind
        self.spec, self.codec = spec, codec
        self.learns, self.generates = learns, generates
        self.seed, self.steps, self.workers = seed, steps, workers
        self.analyses = [analysis for analysis, _ in codec.analyses(spec)]
        torch.manual_seed(seed)
        self.trainer = Trainer(kind, device)

    def __getstate__(self) -> dict[str, Any]:
        # Networks have no place in processes that prepare examples.
        return {name: value for name, value in self.__dict__.items() if name != "trainer"}

    def work(self) -> None:
        """Train, generate each stage's part of the utterances, and write what a data set needs."""
        self.output.mkdir(parents=True, exist_ok=True)
        self._write_settings()
        ends = [max(1, round(self.steps * share)) for share in self.kind.stages]
        path = self.output / WEIGHTS_NAME
        first = self.trainer.restore(path)
        shown = tqdm(range(first, self.steps), initial=first, total=self.steps, unit="step")
        shown.set_description(f"generator {self.output.name}")
        with interruptible(tqdm.write) as interrupted:
            for step, example in zip(shown, self._examples(first), strict=True):
                distance, done = self.trainer.step(*example), step + 1
                shown.set_postfix_str(f"L1 {distance:.3f}", refresh=False)
                for stage, end in enumerate(ends):
                    if done == end:
                        self.generate(self.generates[stage :: len(ends)])
                if done % SAVE_EVERY == 0 or done in ends or interrupted():
                    # After generating: stopped in its midst, the same generator goes on with it.
                    self.trainer.save(path, done)
                if interrupted():
                    raise KeyboardInterrupt
        self.finish()

    def _write_settings(self) -> None:
        settings = {
            "seed": self.seed,
            "steps": self.steps,
            "codec": self.codec.to_dict(),
            "spec": self.spec.to_dict(),
            "corpus": self.corpus.data_digest,
            "learns": len(self.learns),
            "generates": len(self.generates),
            **asdict(self.kind),
        }
        text, path = json.dumps(settings, indent=2) + "\n", self.output / SETTINGS_NAME
        foreign = [one.name for one in self.output.iterdir() if not one.name.startswith(".")]
        if foreign and not path.exists():
            raise BadInput(
                f"{self.output} holds {some_of(foreign)} and no generator; choose another folder",
                key="output.exists",
            )
        if path.exists() and _settings(path.read_text(encoding="utf-8")) != json.loads(text):
            raise BadInput(
                f"{self.output} holds a generator of other settings or recordings, as "
                f"{SETTINGS_NAME} says; choose another folder, or remove it",
                key="generators.conflict",
            )
        write_text(path, text, overwrite=True)

    def _examples(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """What each step learns from, from the first one that is left on."""
        loader = DataLoader(
            _Examples(self),
            batch_size=None,
            sampler=range(first, self.steps),
            num_workers=self.workers,
            prefetch_factor=8 if self.workers else None,
            generator=torch.Generator(),  # or else it draws from the common one
            worker_init_fn=ignore_interruptions,
        )
        return iter(loader)

    def example(self, step: int) -> tuple[Tensor, Tensor]:
        """What a step learns from: a tile as the task leaves it, and a true one (unpaired, of
        another utterance)."""
        rng = np.random.default_rng((self.seed, 2, step))
        given, true = self._crop(rng)
        return given, true if self.kind.paired else self._crop(rng)[1]

    def _crop(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        samples = self.samples(self.learns[int(rng.integers(len(self.learns)))])
        frames = self.kind.frames
        length = frames * self.spec.hop_length
        begin = int(rng.integers(0, max(samples.size - length, 0) + 1))
        given, true = self.images(samples[begin : begin + length], rng)
        return given[..., :frames], true[..., :frames]

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
        return functional.pad(image, (0, max(self.kind.frames - pixels.shape[1], 0)), value=-1.0)

    @torch.no_grad()
    def generate(self, utterances: Sequence[int]) -> None:
        """Generate utterances, tile by tile, as a program like junyanz's writes them."""
        for utterance in utterances:
            given, _ = self.images(
                self.samples(utterance), np.random.default_rng((self.seed, 3, utterance))
            )
            for tile in self.tiles(utterance):
                path = self._path(tile)
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.exists():  # from before an interruption
                    continue
                cut = given[..., tile.start_frame : tile.start_frame + self.kind.frames]
                cut = functional.pad(cut, (0, self.kind.frames - cut.shape[3]), value=-1.0)
                made = self.trainer.generators[0](cut.to(self.trainer.device))[0].cpu()
                # Fractions are cut off, as junyanz's program does.
                image = ((made + 1) / 2 * 255).byte()
                colours = image.expand(3, -1, -1).movedim(0, 2).contiguous().numpy()
                with atomic_path(path, overwrite=False) as temporary:
                    Image.fromarray(colours).save(temporary)

    def _path(self, tile: Tile) -> Path:
        folder = self.output / "results" / "generator" / "train_latest" / "images"
        return folder / f"{tile.stem}_fake_B.png"

    def tiles(self, utterance: int) -> list[Tile]:
        """A utterance's rows in the manifest."""
        found, stride = self.corpus.utterances[utterance], self.kind.frames - OVERLAP_FRAMES
        # Files may hold several utterances.
        name = f"{found.path.rsplit('.', 1)[0].replace('/', '__')}_{found.start_sample}"
        total = self.spec.n_frames(found.samples)
        return [
            Tile(
                stem=f"{name}__{number:02d}",
                utterance=name,
                start_frame=start,
                frames=min(self.kind.frames, total - start),
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
        for utterance in self.generates:
            tiles = self.tiles(utterance)
            if lost := [tile.stem for tile in tiles if not self._path(tile).exists()]:
                raise BadInput(
                    f"{self.output} lacks images that its generator has made ({some_of(lost)}); "
                    "remove it, for all to be made anew",
                    key="generators.damaged",
                )
            path = self.output / "reference" / f"{tiles[0].utterance}.flac"
            write_audio(path, self.corpus.read(utterance), self.spec.sample_rate, overwrite=True)
            rows += tiles
        write_manifest(self.output / "manifest.csv", rows, overwrite=True)
        sizes = {"tile_frames": self.kind.frames, "overlap_frames": OVERLAP_FRAMES}
        sidecar = Sidecar(spec=self.spec, codec=self.codec, **sizes)
        write_sidecar(self.output / "spec.yaml", sidecar, overwrite=True)


class _Examples(Dataset[tuple[Tensor, Tensor]]):
    """A studio's examples by the number of their step, for processes that prepare them."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return self._studio.example(step)


def _settings(text: str) -> dict[str, Any] | None:
    """What a ``kind.json`` says, whatever it was written before; ``None`` if it is damaged."""
    try:
        written = dict(json.loads(text))
    except (ValueError, TypeError):
        return None
    return {f.name: f.default for f in fields(Kind) if f.default is not MISSING} | written
