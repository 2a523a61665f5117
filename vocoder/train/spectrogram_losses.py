"""Losses of spectrograms: how far one is from the true one, for gradients to follow."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vocoder.errors import BadInput
from vocoder.model.features import FLOOR_DB
from vocoder.repair.envelope import smoother
from vocoder.repair.pitch import pitch_strengths
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import bin_centres_hz
from vocoder.train.losses import LOUDNESS_POWER

LOSSES = ("decibels", "envelope", "loudness", "intelligibility", "pitch")


def spectrogram_losses(
    repaired_db: Tensor,
    true_db: Tensor,
    spec: SpectrogramSpec,
    tau: float,
    wanted: Collection[str] = LOSSES,
) -> dict[str, Tensor]:
    """How far a spectrogram is from the true one.

    Parameters
    ----------
    repaired_db, true_db : Tensor
        ``(batch, bins, frames)`` in dB relative to a full-scale sine.
    tau : float
        Of the pinball loss (Koenker and Bassett, "Regression quantiles", 1978), 0 to 1: which
        quantile of all that a doubtful pixel may be ``decibels`` is least at; below 0.5 it is
        quieter than the median.
    wanted : collection of str
        Names of the losses; the others are not computed.

    Returns
    -------
    dict of str to Tensor
        ``decibels``: mean difference, in units of 20 dB; what is too loud counts ``2 - 2 * tau``
        times, what is too quiet ``2 * tau``. ``envelope``: see `envelope_loss`. ``loudness``: of
        magnitudes to the power of 0.3, which counts what is heard. ``intelligibility``: see
        `band_correlation_loss`. ``pitch``: see `pitch_loss`.
    """
    losses = {
        "decibels": lambda: _pinball_loss(repaired_db, true_db, tau),
        "envelope": lambda: envelope_loss(repaired_db, true_db, spec),
        "loudness": lambda: _loudness_loss(repaired_db, true_db),
        "intelligibility": lambda: band_correlation_loss(repaired_db, true_db, spec),
        "pitch": lambda: pitch_loss(repaired_db, true_db, spec),
    }
    return {name: losses[name]() for name in wanted}


def _pinball_loss(repaired_db: Tensor, true_db: Tensor, tau: float) -> Tensor:
    excess_db = repaired_db - true_db
    return (excess_db.abs() + (1 - 2 * tau) * excess_db).mean() / 20


ENVELOPE_WIDTH_HZ = 250.0  # over which harmonics are averaged away


def envelope_loss(repaired_db: Tensor, true_db: Tensor, spec: SpectrogramSpec) -> Tensor:
    """How far the powers are apart when harmonics are averaged away, in units of 20 dB.

    Where a generator invented the pitch nobody can say where the harmonics are, and pixel by pixel
    it is safest to draw too little; the envelope tells how much there is in all.
    """
    smooth = smoother(spec, ENVELOPE_WIDTH_HZ).to(true_db.device)
    ours, wanted = (
        10 * torch.log10(smooth @ (db * (math.log(10) / 10)).exp() + 1e-9)
        for db in (repaired_db, true_db)
    )
    return (ours - wanted).abs().mean() / 20


def _loudness_loss(repaired_db: Tensor, true_db: Tensor) -> Tensor:
    exponent = math.log(10) / 20 * LOUDNESS_POWER
    return ((exponent * repaired_db).exp() - (exponent * true_db).exp()).abs().mean() * 10


# ESTOI's bands and segments: 15 third-octave bands from 150 Hz, 384 ms (Jensen, Taal 2016).
N_BANDS, MIN_HZ, SEGMENT_S, ACTIVE_RANGE_DB = 15, 150.0, 0.384, 40.0
SEGMENT_STEP_FRAMES = 3


def band_correlation_loss(repaired_db: Tensor, true_db: Tensor, spec: SpectrogramSpec) -> Tensor:
    """One minus the intermediate intelligibility of ESTOI, taken from spectrograms.

    Jensen and Taal 2016, "An algorithm for predicting the intelligibility of speech masked by
    modulated noise maskers", eqs. 3 to 6: band envelopes, normalised over time and then over
    bands within segments of 384 ms, correlated. Here of the spectrogram's own bands and frames
    (11.6 ms instead of 12.8); within each example, segments count as much as they hold speech.

    Parameters
    ----------
    repaired_db, true_db : Tensor
        ``(batch, bins, frames)``; at least one segment long.

    Returns
    -------
    Tensor
        0 for equal spectrograms and where there is no speech, about 1 for unrelated ones.
    """
    length = round(SEGMENT_S * spec.frame_rate_hz)
    if true_db.shape[2] < length:
        raise BadInput(
            f"train.plan.frames is {true_db.shape[2]}; the intelligibility loss needs at least "
            f"{length} ({1000 * SEGMENT_S:.0f} ms), or a weight of 0",
            key="train.plan.frames.range",
        )
    ours, wanted = (_band_envelopes(db, spec) for db in (repaired_db, true_db))
    level_db = 20 * wanted.norm(dim=1).clamp(min=1e-9).log10()
    active = level_db > level_db.amax(dim=1, keepdim=True) - ACTIVE_RANGE_DB
    active = active & (true_db.amax(dim=1) > FLOOR_DB)
    weight = active.to(wanted.dtype).unfold(1, length, SEGMENT_STEP_FRAMES).mean(-1)
    ours, wanted = (
        _normalised(_normalised(x.unfold(2, length, SEGMENT_STEP_FRAMES), 3), 1)
        for x in (ours, wanted)
    )
    correlation = (ours * wanted).sum(1).mean(-1)
    missed: Tensor = ((1 - correlation) * weight).sum(1) / weight.sum(1).clamp(min=1)
    return missed.mean()


def _normalised(x: Tensor, dim: int) -> Tensor:
    centred = x - x.mean(dim, keepdim=True)
    norm: Tensor = torch.linalg.vector_norm(centred, dim=dim, keepdim=True)
    return centred / (norm + 1e-6)


def _band_envelopes(decibels: Tensor, spec: SpectrogramSpec) -> Tensor:
    power = (decibels * (math.log(10) / 10)).exp()
    energy: Tensor = _band_matrix(spec, decibels.device) @ power
    return energy.clamp(min=1e-10).sqrt()


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _band_matrix(spec: SpectrogramSpec, device: torch.device) -> Tensor:
    """Which bins belong to which third-octave band, weighted by their width in Hz."""
    centres = bin_centres_hz(spec)
    width = np.gradient(centres)
    middle = MIN_HZ * 2 ** (np.arange(N_BANDS)[:, None] / 3)
    inside = (centres >= middle * 2 ** (-1 / 6)) & (centres < middle * 2 ** (1 / 6))
    return torch.from_numpy(inside * width).to(device, torch.float32)


# Pitch strengths that differ by this much differ e-fold in probability.
STRENGTH_STEP = 0.03
# The greatest strength of frames with a voice is nearly always above this (0.34 to 0.71 in nine
# of ten, validation utterances of recipes/fillets), that of others half of the time below.
FAINT_STRENGTH = 0.35
# What frames without a voice count, where those with one count up to 0.36: without them harmonics
# in breath and noise cost nothing, and a fine-tuned repair heard twice as many voices there
# (recipes/adaptation.md).
VOICELESS_WEIGHT = 0.03


def pitch_loss(repaired_db: Tensor, true_db: Tensor, spec: SpectrogramSpec) -> Tensor:
    """How far what a spectrogram says about the pitch is from what the true one says.

    For every frame, the strengths of all pitches after SWIPE (Camacho and Harris 2008, "A sawtooth
    waveform inspired pitch estimator for speech and music"), taken from its bins, as a
    softmax; the Kullback-Leibler divergence between the two, each frame as heavy as its
    true spectrogram's greatest strength is above `FAINT_STRENGTH`, and `VOICELESS_WEIGHT` more.

    Parameters
    ----------
    repaired_db, true_db : Tensor
        ``(batch, bins, frames)``.

    Returns
    -------
    Tensor
        In nats; 0 for equal spectrograms.
    """
    ours, wanted = (pitch_strengths(db, spec) for db in (repaired_db, true_db))
    weight = (wanted.amax(1) - FAINT_STRENGTH).clamp(min=0) + VOICELESS_WEIGHT
    ours, wanted = ((strengths / STRENGTH_STEP).log_softmax(1) for strengths in (ours, wanted))
    divergence = (wanted.exp() * (wanted - ours)).sum(1)
    missed: Tensor = (divergence * weight).sum(1) / weight.sum(1)
    return missed.mean()
