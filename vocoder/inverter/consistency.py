"""Whether a sound can look like a picture at all, which tells true pictures from painted ones."""

from __future__ import annotations

import torch
from torch import Tensor

from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse

# Enough to tell: a true picture is met within 0.6 to 0.9 dB then, in 8 bits too, one that went
# through a JPEG of quality 75 within 1.5 to 1.9, one that a pix2pix painted within 1.7 to 2.3
# (training lines, mel256).
ITERATIONS = 4
# Shorter pictures are mostly edges, which no inversion meets; nothing can be told of them.
LEAST_FRAMES = 16
# Bins this far below the loudest are not compared; the floor is met by everything.
RANGE_DB = 40.0
# A ratio that `torch.log10` can take.
TINY = 1e-9


def inconsistency_db(spectrogram: Spectrogram) -> float:
    """How far from the picture the spectrogram of the sound is that a quick inversion gives.

    Spectrograms of sounds are consistent (Griffin and Lim 1984): neighbouring frames and bins
    share samples. What is painted, or damaged, shows what no sound can show.

    Parameters
    ----------
    spectrogram : Spectrogram

    Returns
    -------
    float
        Mean difference in dB over bins within 40 dB of the loudest; 0 for silence and for pictures
        too short to tell.
    """
    spec, values = spectrogram.spec, spectrogram.values
    if not float(values.max()) > 0 or values.shape[2] < LEAST_FRAMES:
        return 0.0
    quick = GriffinLim(
        n_iter=ITERATIONS,
        momentum=0.99,
        init="phase_gradient",
        refine_from=0,
        refine_every=0,
        block_frames=max(values.shape[2], 64),
        seed=0,
        device=str(values.device),
    )
    picture = Spectrogram(values, spec)  # of any length, and nothing left open
    shown = analyse(quick(picture).to(values.device), spec).values[:, :, : values.shape[2]]
    wanted = values[:, :, : shown.shape[2]]
    loud = wanted > float(wanted.max()) * 10 ** (-RANGE_DB / 20 * spec.power)
    return float(_decibels(shown[loud] / wanted[loud], spec).abs().mean())


def _decibels(ratio: Tensor, spec: SpectrogramSpec) -> Tensor:
    return torch.log10(ratio + TINY) * (20 / spec.power)
