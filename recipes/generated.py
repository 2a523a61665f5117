"""How good is the sound of images that a real pix2pix generated, by codec and inverter.

    python -m recipes.generated outputs/generated

takes the three lines that ship in ``tests/data``; other folders of the same layout are given with
``--grey``, ``--hue``, ``--windows`` and ``--reference``. Needs the extras ``evaluate`` and
``pesq``. Writes ``table.md`` and prints it, and ``windows.png``, which shows what the colours of
codec ``windows`` mean. The networks that generated in hue and in windows were trained anew, with
the same task, settings and number of steps; so each row is one training run, not a law.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from recipes.results import Lines, Results, differences, interval_rows, recipe, show
from recipes.systems import inverted
from vocoder import encode, load
from vocoder.audio import read_audio
from vocoder.evaluate.inference import paired_p
from vocoder.evaluate.metrics import METRICS, measure
from vocoder.evaluate.summary import markdown
from vocoder.image.source import Found, ImageSource, Utterance
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import Spectrogram

DATA = Path(__file__).parents[1] / "tests" / "data"
RANGE_DB = {"db_min": -92.04, "db_max": -12.04}
PLAIN = "none+griffin_lim:init=random,refine_every=0,n_iter=32"
# Name of a row: which images, codec, and inversion as `recipes.systems.inversion` reads it.
ROWS = {
    "grey, Griffin-Lim 32 from random phases": ("grey", "gray8", PLAIN),
    "grey, griffin_lim": ("grey", "gray8", "none+griffin_lim"),
    "grey, admm": ("grey", "gray8", "none+admm"),
    "grey, admm 100": ("grey", "gray8", "none+admm:n_iter=100"),
    "grey repaired, griffin_lim": ("grey", "gray8", "auto+griffin_lim"),
    "windows, griffin_lim": ("windows", "windows", "none+griffin_lim"),
    "windows, admm": ("windows", "windows", "none+admm"),
    "windows, green repaired, admm": ("windows", "windows", "network+admm"),
    "hue nearest, griffin_lim": ("hue", "hue:decoder=nearest", "none+griffin_lim"),
    "hue neighbours, griffin_lim": ("hue", "hue:decoder=neighbours", "none+griffin_lim"),
}
SCALE, CAPTION = 2, 24  # pixels of windows.png
# With ``--repairs``: the repair of each, learnt from as many images of the same generators.
REPAIRED = {
    "grey, repaired alike, griffin_lim": ("grey", "gray8", "network:weights={}+griffin_lim"),
    "grey, repaired alike, admm": ("grey", "gray8", "network:weights={}+admm"),
    "windows, repaired alike, griffin_lim": (
        "windows", "windows", "network:weights={}+griffin_lim"
    ),
    "windows, repaired alike, admm": ("windows", "windows", "network:weights={}+admm"),
}  # fmt: skip
MEASURES = ("estoi", "pesq", "mel", "f0", "voicing")
COLUMNS = ("estoi", "pesq_wb", "mel_distance_db", "f0_rmse_cents", "voicing_error")


@recipe
def main(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    parser.add_argument("output", type=Path)
    parser.add_argument("--grey", type=Path, default=DATA / "pix2pix", help="generated in grey")
    parser.add_argument("--hue", type=Path, default=DATA / "pix2pix_hue", help="generated in hue")
    parser.add_argument(
        "--windows", type=Path, default=DATA / "pix2pix_windows", help="generated in windows"
    )
    parser.add_argument(
        "--repairs", nargs=2, metavar=("GREY", "WINDOWS"), help="weights, for a row more of each"
    )
    parser.add_argument("--reference", type=Path, default=DATA / "pix2pix" / "reference")
    parser.add_argument("--manifest", type=Path, help="of both, where it isn't beside results/")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    results = dict(measured(given))
    show(given.output, table(results))
    write_meaning(given.output / "windows.png", sorted(given.reference.glob("*.flac"))[0])
    return 0


def measured(given: argparse.Namespace) -> Iterator[tuple[str, Lines]]:
    """Every row, line by line."""
    rows = dict(ROWS)
    if given.repairs:
        weights = dict(zip(("grey", "windows"), given.repairs, strict=True))
        for name, (images, codec, word) in REPAIRED.items():
            rows[name] = images, codec, word.format(weights[images])
    for row, (images, codec, word) in tqdm(rows.items(), unit="row"):
        found = ImageSource(
            input=getattr(given, images) / "results",
            manifest=given.manifest,
            spec=load("spec", "mel256"),
            codec=load("codec", codec, **RANGE_DB),
        ).find()
        lines = {}
        for utterance in found.utterances:
            spectrogram, true = image_and_recording(utterance, found, given.reference)
            sound = inverted(word, spectrogram)
            lines[utterance.name] = measure(true, sound, spectrogram.spec.sample_rate, MEASURES)
        yield row, lines


def image_and_recording(
    utterance: Utterance, found: Found, reference: Path
) -> tuple[Spectrogram, np.ndarray]:
    """What was generated of a line, and its recording ``(samples,)`` in ``reference``."""
    spectrogram = load_utterance(utterance, found).spectrogram
    recording = reference / f"{utterance.name}.flac"
    return spectrogram, read_audio(recording, spectrogram.spec.sample_rate)


def write_meaning(path: Path, line: Path) -> None:
    """Clicks, a steady voice, hiss and a line of speech in codec ``windows``, named above."""
    spec, codec = load("spec", "mel256"), load("codec", "windows", **RANGE_DB)
    rate_hz = spec.sample_rate
    seconds = np.arange(int(0.8 * rate_hz)) / rate_hz
    clicks = np.zeros_like(seconds)
    clicks[rate_hz // 10 :: rate_hz // 6] = 0.9
    voice = sum(0.2 / k * np.sin(2 * np.pi * 130 * k * seconds) for k in range(1, 60))
    hiss = 0.03 * np.random.default_rng(0).standard_normal(len(seconds))
    speech = read_audio(line, rate_hz)[: 2 * rate_hz]
    parts = {"clicks": clicks, "a steady voice": voice, "hiss": hiss, "speech": speech}
    image = path.with_name("windows_pixels.png")
    samples = np.concatenate(list(parts.values())).astype(np.float32)
    encode(samples, image, spec=spec, codec=codec, overwrite=True)
    sheet = Image.new("RGB", (Image.open(image).width * SCALE, 256 * SCALE + CAPTION), "white")
    sheet.paste(
        Image.open(image).resize((sheet.width, 256 * SCALE), Image.Resampling.NEAREST), (0, CAPTION)
    )
    font = ImageFont.truetype(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf"), CAPTION - 8)
    place = 0.0
    for name, part in parts.items():
        ImageDraw.Draw(sheet).text((place + 4, 2), name, "black", font)
        place += len(part) / spec.hop_length * SCALE
    sheet.save(path)
    image.unlink()


def table(results: Results) -> str:
    """Means over lines with 95 % bootstrap intervals, and windows against grey, as Markdown."""
    rows = interval_rows("generated, decoded and inverted as", results)
    pairs = [["windows minus grey", *(METRICS[key].heading for key in COLUMNS)]]
    for name, lines in results.items():
        grey = results.get(name.replace("windows, ", "grey, "))
        if grey is not None and grey is not lines:
            pairs.append([name, *(difference(lines, grey, key) for key in COLUMNS)])
    n_lines = len(next(iter(results.values())))
    note = f"{n_lines} lines; p of a permutation test, line by line."
    return "\n\n".join([markdown(rows), markdown(pairs), note])


def difference(ours: Lines, theirs: Lines, key: str) -> str:
    """The mean over lines that both have, and its p."""
    both = differences(ours, theirs, key)
    digits = METRICS[key].digits
    return f"{np.mean(both):+.{digits}f} (p {paired_p(both):.2g})" if both else "-"


if __name__ == "__main__":
    sys.exit(main())
