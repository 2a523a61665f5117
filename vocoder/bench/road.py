"""The whole road: generated tiles in files to audio in files, by the command that users run."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from vocoder.audio import write_audio
from vocoder.bench.race import Contestant, race
from vocoder.bench.result import Case, Settings
from vocoder.bench.waveform import waveform
from vocoder.cli import codes, main
from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.image.dataset.encode import UNSPLIT
from vocoder.image.manifest import MANIFEST_NAME, SIDECAR_NAME, Tile, write_manifest
from vocoder.image.settings import manifest_above
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance

# Where pytorch-CycleGAN-and-pix2pix writes, below the folder of the manifest, and its label.
_IMAGES, _LABEL = Path("results", "bench", "test_latest", "images"), "fake_B"


@dataclass(frozen=True, kw_only=True)
class _TileSet:
    """Tiles laid out as a pix2pix program leaves them beside the data set's manifest."""

    root: Path
    n_tiles: int
    audio_s: float


def road(settings: Settings, threads: int) -> Case:
    """Tiles as a pix2pix program leaves them to WAV files, and how long the reading takes of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = settings.generated
        generated = Path(given) if given else _write(settings, folder / "made")
        many = _copies(generated, settings.tiles, folder / "many")
        one = _copies(generated, 1, folder / "one")

        def arguments(tiles: _TileSet) -> list[str]:
            output = folder / "audio"
            shutil.rmtree(output, ignore_errors=True)
            return ["invert", f"input={tiles.root}", f"output={output}", f"workers={threads}"]

        def cold(repetition: int) -> None:
            command = [sys.executable, "-m", main.__name__, *arguments(one)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        rows = race(
            [
                Contestant(
                    name="images to audio",
                    work=lambda _: run_command(arguments(many)),
                    audio_s=many.audio_s,
                ),
                Contestant(
                    name="of that, reading and decoding",
                    work=lambda _: _read(many),
                    audio_s=many.audio_s,
                ),
                Contestant(name="one utterance, new process", work=cold),
                Contestant(name="one utterance, warm", work=lambda _: run_command(arguments(one))),
            ],
            settings.repetitions,
        )
    whole, reading, new, warm = rows
    rows[1] = replace(reading, measures={"share": reading.median_s / whole.median_s})
    rows[2] = replace(new, measures={"start-up in seconds": new.median_s - warm.median_s})
    return Case(
        f"{many.n_tiles} tiles ({settings.generated or 'made by encode'}), "
        f"{many.audio_s:.0f} s of audio, to WAV files by vocoder invert with as many workers as "
        "threads; start-up is left out, and stated",
        rows,
    )


def run_command(arguments: list[str]) -> None:
    """Run one of ``vocoder``'s commands in this process, what it prints kept back."""
    with redirect_stdout(io.StringIO()) as printed, redirect_stderr(io.StringIO()):
        code = main.dispatch(arguments)
    if code != codes.DONE:
        raise BadInput(
            f"vocoder {' '.join(arguments)} failed: {printed.getvalue()}", key="command.failed"
        )


def _read(tiles: _TileSet) -> None:
    found = ImageSource(input=tiles.root).find()
    for utterance in found.utterances:
        load_utterance(utterance, found)


def _write(settings: Settings, folder: Path) -> Path:
    """A data set of one utterance, whose images stand for generated ones."""
    sample_rate = load("spec", "mel256").sample_rate
    samples = waveform(settings.input, settings.seconds, sample_rate, settings.seed)
    write_audio(folder / "recordings" / "speech.wav", samples, sample_rate, overwrite=False)
    run_command(["encode", f"input={folder / 'recordings'}", f"output={folder / 'dataset'}"])
    return folder / "dataset" / UNSPLIT


def _copies(generated: Path, n_tiles: int, root: Path) -> _TileSet:
    """Copy utterances in turn, under new names, until there are so many tiles or just above."""
    found, manifest = ImageSource(input=generated).find(), manifest_above(generated)
    if not found.has_manifest or found.spec is None or manifest is None:
        raise BadInput(
            f"generated={generated} holds no tiles of a data set; its {MANIFEST_NAME} and "
            f"{SIDECAR_NAME} must lie in it or above it",
            key="generated.manifest",
        )
    images = root / _IMAGES
    images.mkdir(parents=True)
    shutil.copy(manifest.with_name(SIDECAR_NAME), root)
    copies = ((number, one) for number in count() for one in found.utterances)
    rows: list[Tile] = []
    n_samples = 0
    while len(rows) < n_tiles:
        number, utterance = next(copies)
        for tile, path in utterance.tiles:
            stem = f"{number:04d}-{tile.stem}"
            rows.append(replace(tile, stem=stem, utterance=f"{number:04d}-{tile.utterance}"))
            shutil.copy(path, images / f"{stem}_{_LABEL}{path.suffix}")
        first = utterance.tiles[0][0]
        n_samples += first.samples or found.spec.n_samples(first.total_frames)
    write_manifest(root / MANIFEST_NAME, rows, overwrite=False)
    return _TileSet(root=root, n_tiles=len(rows), audio_s=n_samples / found.spec.sample_rate)
