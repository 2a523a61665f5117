"""The pitch of generated lines by several inversions, on the frames that all of them voice.

    python -m recipes.pitch GENERATED

F0 RMSE is taken over frames that are voiced in the recording and in the result, so an inverter that
leaves doubtful frames without a voice is asked for its easy frames only. Here all are asked for the
same ones, too. GENERATED has ``results/``, ``reference/`` and ``manifest.csv``; without it the
three lines that ship in ``tests/data`` are taken. Prints a table. Needs the extra ``evaluate``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from recipes.generated import DATA, image_and_recording
from recipes.inverters import generated
from recipes.results import recipe
from recipes.systems import in_full, inverted
from vocoder.evaluate.inference import mean_interval
from vocoder.evaluate.metrics.loudness import level_difference_db
from vocoder.evaluate.metrics.pitch import CENTS_PER_OCTAVE, pitch_track
from vocoder.evaluate.summary import markdown

INVERSIONS = ("none+admm:n_iter=100", "auto+griffin_lim")
# Farther off is another note.
SEMITONE_CENTS = 100
TITLES = (
    "inversion",
    "voiced frames",
    "F0 RMSE cents, own frames",
    "same frames",
    "same frames, median line",
    "a semitone off, same frames",
)
# Of every line: cents off in each frame of the recording, by inversion, and NaN without a voice.
Cents = dict[str, np.ndarray]


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("generated", type=Path, nargs="?", default=DATA / "pix2pix")
    parser.add_argument("--inversions", nargs="+", default=INVERSIONS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lines = list(measured(given.generated, [in_full(word) for word in given.inversions]))
    print(table(lines))
    return 0


def measured(folder: Path, inversions: Sequence[str]) -> Iterator[Cents]:
    """Invert every generated line in every way."""
    found = generated(folder)
    for utterance in tqdm(found.utterances, desc="pitch", unit="line"):
        spectrogram, true = image_and_recording(utterance, found, folder / "reference")
        sample_rate = spectrogram.spec.sample_rate
        yield {
            word: cents_off(true, inverted(word, spectrogram), sample_rate) for word in inversions
        }


def cents_off(true: np.ndarray, sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cents from the true pitch, ``(frames,)``, at the same level; NaN where not both have one."""
    length = min(true.size, sound.size)
    true, sound = true[:length], sound[:length]
    gain = 10 ** (-level_difference_db(true, sound) / 20)
    true_hz, true_voiced = pitch_track(true, sample_rate)
    hz, voiced = pitch_track(gain * sound, sample_rate)
    return np.where(true_voiced & voiced, CENTS_PER_OCTAVE * np.log2(hz / true_hz), np.nan)


def table(lines: Sequence[Cents]) -> str:
    """Markdown: means and 95 % bootstrap intervals over lines."""
    rows = [list(TITLES)]
    for name in lines[0]:
        own = [line[name][~np.isnan(line[name])] for line in lines]
        same = [line[name][~np.isnan(list(line.values())).any(0)] for line in lines]
        same_cents = [rms(cents) for cents in same if cents.size]
        pooled = np.abs(np.concatenate(same))
        cells = [
            f"{sum(cents.size for cents in own)}",
            mean_interval([rms(cents) for cents in own if cents.size]).text(0),
            mean_interval(same_cents).text(0),
            f"{np.median(same_cents):.0f}",
            f"{np.mean(pooled > SEMITONE_CENTS):.1%}",
        ]
        rows.append([f"`{name}`", *cells])
    return markdown(rows)


def rms(cents: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(cents**2)))


if __name__ == "__main__":
    sys.exit(main())
