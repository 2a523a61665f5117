"""How much memory the inversion of a long recording takes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from vocoder.audio import AudioWriter
from vocoder.bench.machine import memory_mb
from vocoder.bench.result import Row, Settings, Tick, case_dict
from vocoder.bench.sound import sound
from vocoder.composition import load
from vocoder.spectrogram import Spectrogram, analyse

_INVERTER = "griffin_lim"
# What bounds the memory is the block, not the iterations: few of them save time.
_CHANGES: dict[str, Any] = {"n_iter": 2, "init": "zero"}


def memory(settings: Settings, threads: int, tick: Tick) -> dict[str, Any]:
    """Invert many minutes of a mel spectrogram into a file, block by block.

    What counts as imported is what the process holds before it makes the spectrogram, which
    itself is counted to the peak.
    """
    spec = load("spec", "mel256")
    inverter = load("inverter", _INVERTER, **_CHANGES)
    imported_mb, _ = memory_mb()
    samples = sound(settings.input, settings.seconds, spec.sample_rate, settings.seed)
    piece = analyse(torch.from_numpy(samples)[None], spec).values
    n_frames = spec.n_frames(round(settings.minutes * 60 * spec.sample_rate))
    values = piece.new_empty(1, spec.bins, n_frames)
    for begin in range(0, n_frames, piece.shape[2]):
        part = values[:, :, begin : begin + piece.shape[2]]
        part.copy_(piece[:, :, : part.shape[2]])
    spectrogram = Spectrogram(values, spec)

    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as name,
        AudioWriter(Path(name) / "long.wav", spec.sample_rate, overwrite=False) as writer,
    ):
        for block in inverter.blocks(spectrogram):
            writer.write(block[0].numpy())
            tick(block.shape[1] / spectrogram.length)
    elapsed_s = time.perf_counter() - started
    _, peak_mb = memory_mb()
    changes = ", ".join(f"{name}={value}" for name, value in _CHANGES.items())
    row = Row(
        name=f"{_INVERTER}, {changes}",
        times_s=[elapsed_s],
        sound_s=spectrogram.length / spec.sample_rate,
        measures={
            "peak above imports in MB": peak_mb - imported_mb,
            "spectrogram itself in MB": values.nbytes / 1e6,
            "imports in MB": imported_mb,
        },
    )
    return case_dict(
        "memory",
        threads,
        f"{settings.minutes:g} minutes of {spec.n_mels} mel bands in memory, inverted to a WAV "
        "file block by block, once",
        [row],
        compare=False,
    )
