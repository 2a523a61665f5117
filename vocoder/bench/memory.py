"""How much memory the inversion of a long recording takes, by the command that users run."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

from tqdm import tqdm

from vocoder.audio import AudioWriter
from vocoder.bench.machine import memory_mb
from vocoder.bench.result import Case, Row, Settings
from vocoder.bench.road import run_command
from vocoder.bench.waveform import waveform
from vocoder.config import load
from vocoder.image.array import ARRAY_SUFFIX
from vocoder.image.codec.base import JPEG, PNG
from vocoder.image.dataset.encode import UNSPLIT
from vocoder.spec import SpectrogramSpec

_SPEC, _INVERTER = "mel256", "griffin_lim"
# What bounds the memory is the block, not the iterations; so many move the target once.
_N_ITER = 9
# What the command imports when it runs.
_IMPORTS = (
    "vocoder.cli.invert",
    "vocoder.cli.jobs",
    "vocoder.evaluate.reference",
    "vocoder.evaluate.view",
    "vocoder.image.utterances",
)


def memory(settings: Settings, threads: int) -> Case:
    """Invert many minutes from an array, from PNG tiles and from JPEG tiles, each in a process."""
    spec: SpectrogramSpec = load("spec", _SPEC)
    n_samples = round(settings.minutes * 60 * spec.sample_rate)
    with tempfile.TemporaryDirectory() as name:
        inputs = _make_inputs(settings, spec, n_samples, Path(name))
        rows = []
        for title, folder in tqdm(inputs.items(), disable=None):
            found = _measure_apart(folder, Path(name) / "audio" / title)
            row = Row(
                name=f"invert of {title}",
                times_s=[found["elapsed_s"]],
                audio_s=n_samples / spec.sample_rate,
                measures={
                    "peak above imports in MB": found["peak_mb"] - found["imports_mb"],
                    "spectrogram itself in MB": spec.bins * spec.n_frames(n_samples) * 4 / 1e6,
                    "imports in MB": found["imports_mb"],
                },
            )
            rows.append(row)
    return Case(
        f"{settings.minutes:g} minutes of {spec.n_mels} mel bands as one utterance, from files to "
        f"a WAV file by vocoder invert, {_INVERTER} with {_N_ITER} iterations, once",
        rows,
    )


def _make_inputs(
    settings: Settings, spec: SpectrogramSpec, n_samples: int, folder: Path
) -> dict[str, Path]:
    """The same recording as an array and as tiles, by the commands that make them."""
    samples = waveform(settings.input, settings.seconds, spec.sample_rate, settings.seed)
    path = folder / "recordings" / "long.wav"
    with AudioWriter(path, spec.sample_rate, overwrite=False) as writer:
        for begin in count(0, len(samples)):
            if begin >= n_samples:
                break
            writer.write(samples[: n_samples - begin])
    tiles = {}
    for suffix in (PNG[0], JPEG[0]):
        data_set = folder / suffix.strip(".")
        keys = (f"spec={_SPEC}", f"suffix={suffix}")
        run_command(["encode", f"input={path.parent}", f"output={data_set}", *keys])
        tiles[suffix] = data_set / UNSPLIT
    arrays = folder / ARRAY_SUFFIX.strip(".")
    run_command(["decode", f"input={tiles[PNG[0]]}", f"output={arrays}"])
    return {"an array": arrays, "PNG tiles": tiles[PNG[0]], "JPEG tiles": tiles[JPEG[0]]}


def _measure_apart(folder: Path, output: Path) -> dict[str, float]:
    """`_measure` in a process of its own, since a process's peak never falls."""
    command = [sys.executable, "-m", __name__, str(folder), str(output)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure(folder: str, output: str) -> dict[str, float]:
    """Memory before and at the worst of an inversion.

    What counts as imported is what the process holds when all modules are there.
    """
    for name in _IMPORTS:
        importlib.import_module(name)
    load("inverter", _INVERTER)
    imports_mb, _ = memory_mb()
    started = time.perf_counter()
    inverter = (f"inverter={_INVERTER}", f"inverter.n_iter={_N_ITER}")
    run_command(["invert", f"input={folder}", f"output={output}", *inverter])
    elapsed_s = time.perf_counter() - started
    _, peak_mb = memory_mb()
    return {"imports_mb": imports_mb, "peak_mb": peak_mb, "elapsed_s": elapsed_s}


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # which the process that waits for this one tells
        sys.stdout.write(json.dumps(_measure(*sys.argv[1:])))
