"""Losses of waveforms: how far one is from the true one, for gradients to follow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import stft, to_bins

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
TINY = 1e-5
MIN_MAGNITUDE = 1e-7


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
    waveform: Tensor, true: Tensor, specs: Sequence[SpectrogramSpec]
) -> dict[str, Tensor]:
    """Spectral distances over several windows.

    Spectral convergence and L1 of log-magnitudes (Arik, Jun, Diamos 2019; Yamamoto et al. 2020),
    and L1 of magnitudes to the power of 0.3; linear frequencies, since mel losses hide lost
    harmonics.

    Parameters
    ----------
    waveform, true : Tensor
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
        ours, wanted = magnitude_of(stft(waveform, spec)), magnitude_of(stft(true, spec))
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


def magnitude_of(transform: Tensor) -> Tensor:
    """Magnitudes that are never zero, whose gradient therefore always exists.

    Several times as fast as ``abs`` of a complex tensor on the CPU.
    """
    return (transform.real.square() + transform.imag.square() + MIN_MAGNITUDE**2).sqrt()


def mel_loss(waveform: Tensor, true: Tensor, spec: SpectrogramSpec) -> Tensor:
    """L1 of the logarithms of mel bands (Kong, Kim, Bae 2020, "HiFi-GAN", eq. 5)."""
    ours, wanted = (
        to_bins(magnitude_of(stft(samples, spec)), spec).clamp(min=1e-5).log()
        for samples in (waveform, true)
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
