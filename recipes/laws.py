"""Whether `identify` names the law of images and arrays that do not say theirs.

    python -m recipes.laws outputs/fillets outputs/laws --lines 10

Draws every utterance by every law of `recipes.drawn.LAWS`, without metadata, and asks
`vocoder.identify`. A reading is right, or as good, where its audio's ESTOI is within `TOLERANCE` of
the true law's. Writes ``table.md``, and goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
import yaml
from pystoi import stoi

from recipes.drawn import LAWS, RATE
from recipes.quality import add_common_options
from recipes.results import Results, chosen_lines, measured, recipe, show
from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.evaluate.summary import markdown
from vocoder.identify.identify import identify
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance

TOLERANCE = 0.02
N_ITER = 32


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    add_common_options(parser)
    parser.add_argument("--laws", nargs="+", choices=list(LAWS), default=list(LAWS))
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    lines = chosen_lines(given.corpus, given.split, given.lines)
    asked, work = dict.fromkeys(given.laws, lines), partial(measure, given.corpus, given.output)
    results = measured(given.output / "results.json", asked, work, given.processes)
    show(given.output, table(results))
    return 0


def measure(corpus: Path, output: Path, law: str, line: str) -> dict[str, float]:
    """ESTOI by the true law and by the two first readings, and seconds that `identify` took."""
    recording = corpus / f"{line}.flac"
    y, _ = soundfile.read(recording, dtype="float32")
    draw, settings = LAWS[law]
    path = draw(y, output / recording.stem)
    started = time.perf_counter()
    try:
        readings = identify(path)
    except BadInput:
        readings = []
    found = {"seconds": time.perf_counter() - started}
    # 620 pixels hold the frames of the figure.
    truth = settings.format(
        hop=512 * (1 + len(y) // 512) / 620, sox=len(y) // 220.5 / 100, ffmpeg=len(y) // 4096
    )
    audio = inverted(path, truth.split())
    found["right"] = estoi(y, *audio)
    for rank, reading in enumerate(readings[:2], start=1):
        found[f"reading_{rank}"] = estoi(y, *inverted(path, reading.words))
    path.unlink()
    return found


def inverted(path: Path, words: Iterable[str]) -> tuple[np.ndarray, int]:
    """A file's audio and its sample rate, by settings of the command line."""
    names: dict[str, str] = {}
    changes: dict[str, dict[str, Any]] = {"spec": {}, "codec": {}}
    for word in words:
        name, value = word.split("=", 1)
        group, _, key = name.partition(".")
        if key:
            changes[group][key] = yaml.safe_load(value)
        else:
            names[group] = value
    made = {group: load(group, name, **changes[group]) for group, name in names.items()}
    found = ImageSource(input=path, **made).find()
    spectrogram = load_utterance(found.utterances[0], found).spectrogram
    samples = load("inverter", "griffin_lim", n_iter=N_ITER)(spectrogram)[0].numpy()
    return samples, spectrogram.spec.sample_rate


def estoi(y: np.ndarray, samples: np.ndarray, rate: int) -> float:
    """Of audio that begins with the recording."""
    if rate != RATE:
        samples = librosa.resample(samples, orig_sr=rate, target_sr=RATE)
    length = min(len(y), len(samples))
    return float(stoi(y[:length], samples[:length], RATE, extended=True))


def table(results: Results) -> str:
    """A row a law: how often the first reading, or one of two, is as good as the truth."""
    rows = [["law", "files", "first", "first two", "ESTOI right", "of the first", "s"]]

    def row(name: str, found: list[dict[str, float]]) -> list[str]:
        gains = [[one.get(f"reading_{k}", 0) - one["right"] for k in (1, 2)] for one in found]
        first = np.mean([gain[0] >= -TOLERANCE for gain in gains])
        second = np.mean([max(gain) >= -TOLERANCE for gain in gains])
        right = np.mean([one["right"] for one in found])
        read = np.mean([one.get("reading_1", 0) for one in found])
        seconds = np.median([one["seconds"] for one in found])
        shares = [f"{first:.0%}", f"{second:.0%}", f"{right:.3f}", f"{read:.3f}", f"{seconds:.1f}"]
        return [name, str(len(found)), *shares]

    rows += [row(law, list(found.values())) for law, found in results.items()]
    rows.append(row("all", [one for found in results.values() for one in found.values()]))
    return markdown(rows)


if __name__ == "__main__":
    sys.exit(main())
