"""Small generators whose colours hold other contents, compared on held-out lines.

    python -m recipes.contents outputs/corpus_fillets outputs/fillets outputs/contents

trains one generator for every content and task, all of one kind, seed and number of steps, has each
generate held-out lines, and inverts them by all that its content says. Writes ``table.md`` and
prints it. Stopped half-way, the same command goes on. Needs the extras ``evaluate`` and ``pesq``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from recipes.contents.planes import CONTENTS, SPEC, Content
from recipes.results import (
    Results,
    chosen_lines,
    differences,
    read_results,
    recipe,
    show,
    write_results,
)
from vocoder.corpus.corpus import Corpus
from vocoder.evaluate.inference import paired_p
from vocoder.evaluate.metrics import METRICS, choose_metrics, measure
from vocoder.evaluate.summary import markdown
from vocoder.train.generators.tasks import WAVEFORMS, Rng
from vocoder.train.generators.trainer import Kind, Trainer

TASKS = ("telephone", "whisper")  # the first keeps the pitch, in the second it must be invented
TILE_FRAMES, OVERLAP_FRAMES = 128, 32
PEAK = 0.5
SAVE_EVERY = 250
MEASURES = ("estoi", "pesq", "f0", "voicing")
BASELINE = "grey: level"


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("corpus", type=Path, help="folder with corpus.csv, to learn from")
    parser.add_argument("lines", type=Path, help="folder that recipes/fillets/fetch.py wrote")
    parser.add_argument("output", type=Path, help="folder for generators, results and the table")
    parser.add_argument("contents", nargs="*", default=list(CONTENTS), help=", ".join(CONTENTS))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--steps", type=int, default=2500, help="of training, one tile each")
    parser.add_argument("--seed", type=int, default=0, help="of weights and examples")
    parser.add_argument("--count", type=int, default=24, help="of held-out lines, evenly spread")
    given = parser.parse_args(arguments)
    unknown = set(given.contents) - set(CONTENTS)
    if unknown:
        parser.error(f"unknown contents {', '.join(unknown)}; expected {', '.join(CONTENTS)}")
    torch.set_num_threads(1)
    choose_metrics(MEASURES)
    corpus = Corpus(given.corpus, "train", sample_rate=SPEC.sample_rate)
    lines = chosen_lines(given.lines, "test", given.count)
    text = ""
    for task in given.tasks:
        results: Results = {}
        for content in given.contents:
            folder = given.output / task / content
            generator = ContentGenerator(CONTENTS[content], task, given.seed, folder)
            generator.train(corpus, given.steps)
            for name, found in generator.measured(given.lines, lines).items():
                results[f"{content}: {name}"] = found
        text += f"{task}, {given.steps} steps, {len(lines)} lines\n\n{table(results)}\n\n"
    show(given.output, text.rstrip())
    return 0


class ContentGenerator:
    """A generator of one content and task, in its folder."""

    def __init__(self, content: Content, task: str, seed: int, folder: Path) -> None:
        self.content, self.spoil = content, WAVEFORMS[task]
        self.seed, self.folder = seed, folder
        torch.manual_seed(seed)
        self.trainer = Trainer(
            Kind(
                task=task,
                network="unet",
                width=24,
                adversarial=True,
                paired=True,
                l1_weight=100.0,  # as pix2pix has it
                dropout=False,
                stages=(),
                channels=content.channels,
            )
        )

    def train(self, corpus: Corpus, steps: int) -> None:
        """Go on up to so many steps."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "generator.pt"
        first = self.trainer.restore(path)
        length = TILE_FRAMES * SPEC.hop_length
        for step in tqdm(range(first, steps), initial=first, total=steps, desc=str(self.folder)):
            rng = np.random.default_rng((2 + self.seed, step))
            samples = loud(corpus.read(int(rng.integers(len(corpus)))))
            begin = int(rng.integers(0, max(samples.size - length, 0) + 1))
            crop = np.pad(samples, (0, max(length - samples.size, 0)))[begin : begin + length]
            images = (self.content.encode(one) for one in (self.spoiled(crop, rng), crop))
            self.trainer.step(*(one[None, :, :, :TILE_FRAMES] * 2 - 1 for one in images))
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
                self.trainer.save(path, step + 1)

    def measured(self, folder: Path, lines: list[str]) -> Results:
        """Every inversion of every line, compared with the recording."""
        path = self.folder / "results.json"
        results = read_results(path)
        for number, line in enumerate(tqdm(lines, desc=f"{self.folder}, lines")):
            if any(line in found for found in results.values()):
                continue
            samples, sample_rate = soundfile.read(folder / f"{line}.flac", dtype="float32")
            true = loud(samples)
            spoiled = self.spoiled(true, np.random.default_rng((3, number)))
            for name, waveform in self.content.inversions(self.generate(spoiled)).items():
                made = functional.pad(waveform, (0, true.size - len(waveform))).numpy()
                found = measure(true, made, sample_rate, MEASURES, problems={})
                results.setdefault(name, {})[line] = found
            write_results(path, results)
        return {name: {line: found[line] for line in lines} for name, found in results.items()}

    def spoiled(self, samples: np.ndarray, rng: Rng) -> np.ndarray:
        """What the generator is given."""
        return self.spoil(samples, SPEC, rng).astype(np.float32)

    @torch.inference_mode()
    def generate(self, samples: np.ndarray) -> Tensor:
        """Tile by tile, cross-faded, in 8 bits."""
        given = self.content.encode(samples) * 2 - 1
        total, stride = given.shape[2], TILE_FRAMES - OVERLAP_FRAMES
        fade = ((torch.arange(TILE_FRAMES) + 0.5) / OVERLAP_FRAMES).clamp(max=1)
        fade = fade * fade.flip(0)
        mixed, weight = torch.zeros_like(given), torch.zeros(total)
        for start in range(0, max(total - OVERLAP_FRAMES, 1), stride):
            tile = given[:, :, start : start + TILE_FRAMES]
            here, frames = slice(start, start + tile.shape[2]), tile.shape[2]
            tile = functional.pad(tile, (0, TILE_FRAMES - frames), value=-1.0)
            generated = self.trainer.generators[0](tile[None])[0, :, :, :frames]
            mixed[:, :, here] += generated * fade[:frames]
            weight[here] += fade[:frames]
        return (((mixed / weight) + 1) / 2 * 255).round() / 255


def loud(samples: np.ndarray) -> np.ndarray:
    """With its peak at `PEAK`."""
    return samples * np.float32(PEAK / max(float(np.abs(samples).max()), 1e-6))


def table(results: Results) -> str:
    """Means over lines, and p of a permutation test against grey's level, as Markdown."""
    columns = [column for column in METRICS.values() if column.name in MEASURES]
    titles = ["content: inverted from", *(column.heading for column in columns)]
    grey = results.get(BASELINE, {})
    body = [titles]
    for name, lines in results.items():
        cells = [name]
        for column in columns:
            values = [found[column.column] for found in lines.values() if column.column in found]
            cell = f"{np.mean(values):.{column.digits}f}" if values else "-"
            apart = differences(lines, grey, column.column)
            if apart and name != BASELINE:
                cell += f" (p {paired_p(apart):.2g})"
            cells.append(cell)
        body.append(cells)
    return markdown(body)


if __name__ == "__main__":
    sys.exit(main())
