"""Which colours carry a spectrogram best: every codec through every degradation.

    python -m recipes.colours outputs/fillets outputs/colours --lines 12

Writes ``table.md`` (error of the decoded image in dB, and ESTOI of the sound) and ``tiles.png``,
one tile of every codec. Needs what ``recipes/quality.py`` needs, and goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from recipes.quality import add_common_options, measure_systems
from recipes.results import Results, chosen_lines, recipe, show
from recipes.systems import DEGRADATIONS
from vocoder.audio import read_audio
from vocoder.config import load
from vocoder.evaluate.summary import markdown
from vocoder.image.dataset.contact_sheet import write_contact_sheet
from vocoder.image.file import write_image
from vocoder.spectrogram import analyse

SPEC = "mel256"
# Those of the seed are left out: they have no fixed range, and nobody should encode with them.
CODECS = (
    "gray8",
    "gray16",
    "float32",
    "rgb_sum",
    "rgb24",
    "hue",
    "colormap:cmap=viridis",
    "colormap:cmap=inferno",
    "colormap:cmap=turbo",
)
TILE_FRAMES = 256


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    add_common_options(parser)
    parser.add_argument(
        "--inversion", default="none+griffin_lim", help="[REPAIR+]INVERTER, name:field=value,..."
    )
    given = parser.parse_args(arguments)
    roads = {
        (codec, degradation): f"{SPEC}/{codec}/{degradation}/{given.inversion}"
        for codec in CODECS
        for degradation in DEGRADATIONS
        if DEGRADATIONS[degradation].takes(load("codec", codec))
    }
    results = measure_systems(list(roads.values()), given, pesq=False)
    write_tiles(given.output, given.corpus / f"{chosen_lines(given.corpus, 'test', 1)[0]}.flac")
    show(given.output, tables(roads, results))
    return 0


def tables(roads: dict[tuple[str, str], str], results: Results) -> str:
    """One Markdown table a measure, codecs down, degradations across."""
    parts = []
    for measure, title, digits in (
        ("picture_rms_db", "RMS error of the decoded image, dB", 3),
        ("estoi", "ESTOI after inversion", 3),
    ):
        rows = [["codec", "step dB", *DEGRADATIONS]]
        for codec in CODECS:
            step_db = load("codec", codec).resolution_db()
            cells = [
                mean_of(results[roads[codec, degradation]], measure, digits)
                if (codec, degradation) in roads
                else "refused"
                for degradation in DEGRADATIONS
            ]
            rows.append([f"`{codec}`", f"{step_db:.2g}", *cells])
        parts.append(f"{title}:\n\n{markdown(rows)}")
    n_lines = len(next(iter(results.values())))
    return "\n\n".join([*parts, f"{n_lines} lines, mean over lines."])


def mean_of(lines: dict[str, dict[str, float]], measure: str, digits: int) -> str:
    return f"{np.mean([row[measure] for row in lines.values()]):.{digits}f}"


def write_tiles(output: Path, line: Path) -> None:
    """The start of a line as a tile of every codec, and a sheet of them."""
    spec = load("spec", SPEC)
    samples = read_audio(line, spec.sample_rate)
    decibels = analyse(torch.from_numpy(samples)[None], spec).decibels[0, :, :TILE_FRAMES].numpy()
    rows = []
    for name in CODECS:
        codec = load("codec", name)
        path = output / "tiles" / f"{name.replace(':cmap=', '_')}{codec.suffixes[0]}"
        write_image(path, codec.encode(decibels, spec), codec, None, overwrite=True)
        rows.append((name, [path]))
    write_contact_sheet(output / "tiles.png", rows, load("codec", CODECS[0]), overwrite=True)


if __name__ == "__main__":
    sys.exit(main())
