"""Bands that would show nothing: refused before a data set is made of them."""

from __future__ import annotations

from dataclasses import replace

import torch

from vocoder.errors import BadInput
from vocoder.spec import MAX_N_FFT, SpectrogramSpec
from vocoder.spectrogram import mel_filters


def require_full_bands(spec: SpectrogramSpec) -> None:
    """Refuse mel bands so narrow that they hold no bin of the STFT: they show nothing at all."""
    if not (empty := _n_empty_bands(spec)):
        return
    n_fft = spec.n_fft
    while n_fft < MAX_N_FFT and _n_empty_bands(replace(spec, n_fft=n_fft)):
        n_fft *= 2
    raise BadInput(
        f"{empty} of the {spec.n_mels} mel bands hold no bin of an STFT of {spec.n_fft} samples, "
        f"so their rows would stay black; give spec.n_fft={n_fft} (the window may stay as long as "
        "it is), or fewer bands",
        key="spec.n_mels.empty",
    )


def _n_empty_bands(spec: SpectrogramSpec) -> int:
    if spec.kind != "mel":
        return 0
    return int((~mel_filters(spec, torch.device("cpu")).any(dim=1)).sum())
