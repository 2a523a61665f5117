"""How phases go on from bin to bin, by the magnitudes' own gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vocoder.spec import SpectrogramSpec

# Time-frequency ratio of the Gaussian nearest to a window, over win_length squared, by window:
# Prusa, Balazs, Sondergaard, "A Noniterative Method for Reconstruction of Phase from STFT
# Magnitude", IEEE/ACM TASLP 25(5), 2017, table I.
GAUSSIAN_RATIO = {"hann": 0.25645, "hamming": 0.29794, "blackman": 0.17954}
# Bins this far below the loudest (78 dB) get random phases: nothing can be heard there.
DEPTH_NEPER = 9.0


def log_above_floor(magnitude: Tensor) -> Tensor:
    """Natural logarithms of one member's magnitudes, none far below where phases are random."""
    return magnitude.clamp(min=float(magnitude.max()) * math.exp(-2 * DEPTH_NEPER)).log()


def gradient_differences(log_magnitude: Tensor, spec: SpectrogramSpec) -> tuple[Tensor, Tensor]:
    """How phases go on from bin to bin, as the magnitudes' gradient says it (Prusa et al. 2017).

    For a Gaussian window the phase's derivatives follow from those of the log-magnitude (eqs. 19,
    20 there). The window is taken for the Gaussian nearest to it (Hann's where it isn't known).

    Parameters
    ----------
    log_magnitude : Tensor
        Natural logarithms, ``(frames, n_freqs)``.

    Returns
    -------
    Tensor, Tensor
        Radians from every bin to the same one of the next frame, and to the next one of the same
        frame, ``(frames, n_freqs)`` each; the last of each is of no use.
    """
    per_frame, per_bin = torch.gradient(log_magnitude)
    ratio = GAUSSIAN_RATIO.get(spec.window, GAUSSIAN_RATIO["hann"]) * spec.win_length**2
    scale = spec.hop_length * spec.n_fft / ratio
    bins = torch.arange(spec.n_freqs, device=log_magnitude.device)
    along_time = scale * per_bin + (2 * math.pi * spec.hop_length / spec.n_fft) * bins
    # The frame's first sample is the FFT's origin, half a frame before the window's centre.
    along_frequency = -per_frame / scale - math.pi
    return halfway(along_time, 0), halfway(along_frequency, 1)


def halfway(derivative: Tensor, axis: int) -> Tensor:
    """Differences by the trapezoidal rule."""
    return 0.5 * (derivative + derivative.roll(-1, axis))
