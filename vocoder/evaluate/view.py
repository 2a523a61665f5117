"""Figures for people: what came in, what goes out, and the truth, one above the other."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from vocoder.audio import read_audio
from vocoder.files import atomic_path
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse, bin_centres_hz

SHOWN_S = 20.0  # longer recordings show their beginning
RANGE_DB = 80.0  # below the loudest of what came in
_REPAIRED = "image repaired; line: harmonics drawn anew (bottom) to kept (top)"
_TICKS_HZ = (250, 500, 1000, 2000, 4000, 8000, 16_000)
_DRAWING = threading.Lock()  # matplotlib is not made for threads


def draw_pictures(
    path: Path, given: Spectrogram, repaired: Spectrogram, waveform: Path, true: Path | None
) -> None:
    """Draw a spectrogram, its repair, that of the waveform and that of the true recording, as PNG.

    A line over the repair says how far its fine structure was trusted, frame by frame.

    Parameters
    ----------
    path : Path
        Of the PNG; replaced if there.
    given : Spectrogram
        What the image said; the first of its batch is drawn.
    repaired : Spectrogram
        After the repair; drawn where it did something.
    waveform, true : Path
        Audio files; ``true`` may be ``None``.
    """
    spec = given.spec
    panels = [("image in", given.decibels[0].numpy())]
    if repaired.certainty is not None:
        panels.append((_REPAIRED, repaired.decibels[0].numpy()))
    for title, audio in (("waveform out", waveform), ("true recording", true)):
        if audio is not None:
            samples = read_audio(audio, spec.sample_rate)
            panels.append((title, beginning_db(samples, spec, SHOWN_S + 1)))
    n_frames = int(min(SHOWN_S * spec.frame_rate_hz, given.n_frames))
    loudest_db = float(given.decibels.max())
    with _DRAWING, atomic_path(path, overwrite=True) as temporary:
        figure = Figure(figsize=(10, 2.4 * len(panels)), layout="constrained")
        for axes, (title, decibels) in zip(
            np.ravel(figure.subplots(len(panels), sharex=True)), panels, strict=True
        ):
            shown = decibels[:, :n_frames]
            image = panel(axes, shown, spec, spec.bins, (loudest_db - RANGE_DB, loudest_db))
            axes.set_title(title, loc="left", fontsize="medium")
            axes.set_ylabel("Hz (mel scale)" if spec.kind == "mel" else "Hz")
            axes.set_yticks(*zip(*ticks_hz(spec), strict=True))
            figure.colorbar(image, ax=axes, label="dB", pad=0.01)
            if title == _REPAIRED and repaired.certainty is not None:
                sure = repaired.certainty[0, :n_frames].numpy()
                seconds = (np.arange(len(sure)) + 0.5) / spec.frame_rate_hz
                axes.plot(seconds, sure * spec.bins, color="cyan", linewidth=1, clip_on=False)
        axes.set_xlabel("seconds")
        figure.suptitle(waveform.stem)
        figure.savefig(temporary, dpi=100, format="png")


def panel(
    axes: Axes,
    values: np.ndarray,
    spec: SpectrogramSpec,
    height: float,
    ends: tuple[float, float],
    cmap: str = "magma",
) -> AxesImage:
    """Show ``(bins, frames)``, as high as ``height``, over seconds, in colours between two ends."""
    return axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap=cmap,
        vmin=ends[0],
        vmax=ends[1],
        extent=(0, values.shape[1] / spec.frame_rate_hz, 0, height),
    )


def beginning_db(samples: np.ndarray, spec: SpectrogramSpec, seconds: float) -> np.ndarray:
    """The spectrogram of a waveform's beginning, ``(bins, frames)``, be it as short as it may."""
    shown = np.asarray(samples[: int(seconds * spec.sample_rate)], np.float32)
    padded = np.pad(shown, (0, max(0, spec.n_fft - len(shown))))
    return analyse(torch.from_numpy(padded)[None], spec).decibels[0].numpy()


def ticks_hz(spec: SpectrogramSpec) -> list[tuple[float, str]]:
    """Places on a spectrogram's vertical axis, in rows, and what frequencies they are, as text."""
    centres = bin_centres_hz(spec)
    inside = [hz for hz in _TICKS_HZ if centres[0] <= hz <= centres[-1]]
    rows = np.interp(inside, centres, np.arange(len(centres))) + 0.5
    texts = [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in inside]
    return list(zip(rows.tolist(), texts, strict=True))
