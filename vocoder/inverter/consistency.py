"""Whether a sound can look like a picture at all, which tells true pictures from painted ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.retrieval import least_block_frames
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse

# Enough to tell: true pictures in 8 bits are met within 0.39 to 0.49 dB then, those that went
# through a JPEG of quality 95 within 0.73 to 0.84, of quality 75 within 1.39 to 1.69, and those
# that a pix2pix painted within 1.53 to 1.92 (training lines, mel256).
ITERATIONS = 4
# Shorter pictures are mostly edges; nothing can be told of them.
LEAST_FRAMES = 24
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
        Mean difference in dB over bins within 40 dB of the loudest, each as heavy as its magnitude;
        0 for silence and for pictures too short to tell.
    """
    spec, values = spectrogram.spec, spectrogram.values
    frames = values.shape[2]
    # The outermost frames hold padding, which no inversion meets.
    edge = math.ceil(spec.n_fft / spec.hop_length)
    if frames < max(LEAST_FRAMES, 2 * edge + 1) or not float(values.max()) > 0:
        return 0.0
    quick = GriffinLim(
        n_iter=ITERATIONS,
        momentum=0.99,
        init="phase_gradient",
        refine_from=0,
        refine_every=0,
        block_frames=max(frames, least_block_frames(spec)),
        seed=0,
        device=str(values.device),
    )
    picture = Spectrogram(values, spec)  # of any length, and nothing left open
    shown = analyse(quick(picture).to(values.device), spec).values[:, :, edge : frames - edge]
    wanted = values[:, :, edge : frames - edge]
    if not float(wanted.max()) > 0:
        return 0.0
    loud = wanted > float(wanted.max()) * 10 ** (-RANGE_DB / 20 * spec.power)
    weight = wanted[loud] ** (1 / spec.power)
    difference_db = _decibels(shown[loud] / wanted[loud], spec).abs()
    return float((weight * difference_db).sum() / weight.sum())


def _decibels(ratio: Tensor, spec: SpectrogramSpec) -> Tensor:
    return torch.log10(ratio + TINY) * (20 / spec.power)
