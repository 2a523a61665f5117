"""Losses: how far a sound or a picture is from the true one, for gradients to follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vocoder.errors import BadInput
from vocoder.model.features import FLOOR_DB
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import bin_centres_hz, stft, to_bins

# Windows of the multi-resolution loss, in samples at 22 050 Hz: 12 to 93 ms, hops of a quarter
# (Yamamoto, Song, Kim 2020, "Parallel WaveGAN", use 600, 1200 and 240).
WINDOWS = (256, 512, 1024, 2048)
REFERENCE_RATE_HZ = 22_050
# Magnitudes are compared above this share of the loudest one of a segment, or else the logarithm
# listens to what nobody hears.
LOG_FLOOR = 1e-3
# A power law near the ear's (loudness grows with about the 0.3th power of intensity's root:
# Stevens 1957), so that loud bins count more than in decibels and less than in magnitudes.
LOUDNESS_POWER = 0.3


def resolutions(spec: SpectrogramSpec) -> list[SpectrogramSpec]:
    """The linear specs of `multi_resolution_loss` at a spec's sample rate."""
    sizes = [2 * round(w * spec.sample_rate / REFERENCE_RATE_HZ / 2) for w in WINDOWS]
    return [
        SpectrogramSpec.stft(
            sample_rate=spec.sample_rate,
            n_fft=n_fft,
            hop_length=n_fft // 4,
            pad_mode="reflect",
            power=1.0,
        )
        for n_fft in sizes
    ]


def multi_resolution_loss(
    sound: Tensor, true: Tensor, specs: Sequence[SpectrogramSpec]
) -> dict[str, Tensor]:
    """Spectral distances over several windows.

    Spectral convergence and L1 of log-magnitudes (Arik, Jun, Diamos 2019; Yamamoto et al. 2020),
    and L1 of magnitudes to the power of 0.3; linear frequencies, since mel losses hide lost
    harmonics.

    Parameters
    ----------
    sound, true : Tensor
        ``(batch, samples)``.
    specs : sequence of SpectrogramSpec
        As `resolutions` gives them.

    Returns
    -------
    dict of str to Tensor
        ``convergence``, ``log`` and ``loudness``, means over the resolutions.
    """
    convergence, log, loudness = [], [], []
    for spec in specs:
        ours, wanted = magnitude_of(stft(sound, spec)), magnitude_of(stft(true, spec))
        error = (ours - wanted).flatten(1).norm(dim=1)
        convergence.append((error / wanted.flatten(1).norm(dim=1).clamp(min=1e-3)).mean())
        floor = wanted.amax(dim=(1, 2), keepdim=True).clamp(min=1e-3) * LOG_FLOOR
        log.append(((ours + floor).log() - (wanted + floor).log()).abs().mean())
        scale = spec.full_scale**LOUDNESS_POWER
        difference = (ours + TINY) ** LOUDNESS_POWER - (wanted + TINY) ** LOUDNESS_POWER
        loudness.append(difference.abs().mean() / scale)
    return {
        "convergence": torch.stack(convergence).mean(),
        "log": torch.stack(log).mean(),
        "loudness": torch.stack(loudness).mean(),
    }


TINY = 1e-5


def magnitude_of(transform: Tensor) -> Tensor:
    """Magnitudes that are never zero, whose gradient therefore always exists.

    Several times as fast as ``abs`` of a complex tensor on the CPU.
    """
    return (transform.real.square() + transform.imag.square() + LEAST_MAGNITUDE**2).sqrt()


LEAST_MAGNITUDE = 1e-7


def mel_loss(sound: Tensor, true: Tensor, spec: SpectrogramSpec) -> Tensor:
    """L1 of the logarithms of mel bands (Kong, Kim, Bae 2020, "HiFi-GAN", eq. 5)."""
    ours, wanted = (
        to_bins(magnitude_of(stft(samples, spec)), spec).clamp(min=1e-5).log()
        for samples in (sound, true)
    )
    return (ours - wanted).abs().mean()


def feature_matching_loss(
    fake: Sequence[Sequence[Tensor]], true: Sequence[Sequence[Tensor]]
) -> Tensor:
    """L1 between what discriminators see of both (Larsen et al. 2016; Kong et al. 2020, eq. 6).

    Each layer counts relative to its own size, so that no width or initialisation outweighs; each
    example by itself, so that a batch may be shared out.
    """
    terms = [
        (_size(a - b) / _size(b).clamp(min=1e-3)).mean()
        for ours, theirs in zip(fake, true, strict=True)
        for a, b in zip(ours, theirs, strict=True)
    ]
    return torch.stack(terms).mean()


def _size(x: Tensor) -> Tensor:
    """Mean magnitude of each example."""
    mean: Tensor = x.abs().flatten(1).mean(1)
    return mean


def discriminator_loss(fake: Sequence[Tensor], true: Sequence[Tensor]) -> Tensor:
    """Hinge loss of the discriminators (Lim and Ye 2017), mean over them."""
    terms = [
        functional.relu(1 - good).mean() + functional.relu(1 + bad).mean()
        for bad, good in zip(fake, true, strict=True)
    ]
    return torch.stack(terms).mean()


def generator_loss(fake: Sequence[Tensor]) -> Tensor:
    """The generator's side of the hinge loss."""
    return torch.stack([functional.relu(1 - bad).mean() for bad in fake]).mean()


def picture_losses(
    repaired_db: Tensor, true_db: Tensor, spec: SpectrogramSpec, quantile: float
) -> dict[str, Tensor]:
    """How far a picture is from the true one.

    Parameters
    ----------
    repaired_db, true_db : Tensor
        ``(batch, bins, frames)`` in dB relative to a full-scale sine.
    spec : SpectrogramSpec
    quantile : float
        What ``decibels`` is least at, of all that a doubtful pixel may be, 0 to 1: its median at
        0.5, something quieter below (Koenker and Bassett, "Regression quantiles", 1978).

    Returns
    -------
    dict of str to Tensor
        ``decibels``: mean difference, in units of 20 dB; what is too loud counts ``2 - 2 *
        quantile`` times, what is too quiet ``2 * quantile``. ``loudness``: of magnitudes to the
        power of 0.3, which counts what is heard. ``intelligibility``: see
        `band_correlation_loss`.
    """
    to_loudness = math.log(10) / 20 * LOUDNESS_POWER
    excess_db = repaired_db - true_db
    loud, wanted = (to_loudness * repaired_db).exp(), (to_loudness * true_db).exp()
    return {
        "decibels": (excess_db.abs() + (1 - 2 * quantile) * excess_db).mean() / 20,
        "loudness": (loud - wanted).abs().mean() * 10,
        "intelligibility": band_correlation_loss(repaired_db, true_db, spec),
    }


# ESTOI's bands and segments: 15 third-octave bands from 150 Hz, 384 ms (Jensen, Taal 2016).
N_BANDS, LOWEST_HZ, SEGMENT_S, ACTIVE_RANGE_DB = 15, 150.0, 0.384, 40.0
SEGMENT_STEP_FRAMES = 3


def band_correlation_loss(repaired_db: Tensor, true_db: Tensor, spec: SpectrogramSpec) -> Tensor:
    """One minus the intermediate intelligibility of ESTOI, taken from pictures.

    Jensen and Taal 2016, "An algorithm for predicting the intelligibility of speech masked by
    modulated noise maskers", eqs. 3 to 6: band envelopes, normalised over time and then over
    bands within segments of 384 ms, correlated. Here of the picture's own frames (11.6 ms instead
    of 12.8) and bands; within each example, segments count as much as they hold speech.

    Parameters
    ----------
    repaired_db, true_db : Tensor
        ``(batch, bins, frames)``; at least one segment long.
    spec : SpectrogramSpec

    Returns
    -------
    Tensor
        0 for equal pictures and where there is no speech, about 1 for unrelated ones.

    Raises
    ------
    BadInput
        Shorter than a segment.
    """
    length = round(SEGMENT_S * spec.frame_rate_hz)
    if true_db.shape[2] < length:
        raise BadInput(
            f"train.plan.frames is {true_db.shape[2]}; the intelligibility loss needs at least "
            f"{length} ({1000 * SEGMENT_S:.0f} ms), or a weight of 0"
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
    middle = LOWEST_HZ * 2 ** (np.arange(N_BANDS)[:, None] / 3)
    inside = (centres >= middle * 2 ** (-1 / 6)) & (centres < middle * 2 ** (1 / 6))
    return torch.from_numpy(inside * width).to(device, torch.float32)
