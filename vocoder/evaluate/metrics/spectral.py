"""Distances between spectra: of two waveforms, and of a waveform and the image it was made of."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from vocoder.errors import BadInput
from vocoder.evaluate.alignment import checked, checked_pair
from vocoder.evaluate.metrics.metric import IMAGE, LOWER, metric
from vocoder.spec import SpectrogramSpec

if TYPE_CHECKING:
    import torch

    from vocoder.spectrogram import Spectrogram

# Frames this far below the loudest are silence to STOI (Taal et al. 2011, section II), and here.
ACTIVE_RANGE_DB = 40.0
# Differences further below the loudest bin of the reference than this are not heard.
FLOOR_DB = 80.0
# 32 ms is usual in speech enhancement, and none of the windows that our images are made with: an
# inverter minimises the error on its own grid, which says little about the waveform.
WINDOW_S = 0.032
N_MELS, MEL_FMAX_HZ = 80, 8000.0
# Cepstral coefficients compared, from the first on, as in most reports of mel-cepstral distortion.
N_CEPSTRA = 13
# Dynamic time warping takes memory by the square of the length; what is aligned differs locally.
WARPED_S = 8.0


@metric("lsd", title="LSD", unit="dB", better=LOWER, digits=2, match_level=True)
def log_spectral_distance_db(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int
) -> float:
    """Log spectral distance: RMS over bins of the difference in dB, mean over active frames.

    Gray and Markel (1976), "Distance measures for speech processing", eq. 4 with p = 2. Magnitudes
    of an STFT with Hann windows of 32 ms every 8 ms, floored 80 dB below the loudest bin of the
    reference; frames of the reference more than 40 dB below its loudest are left out. A level
    difference counts in full.
    """
    difference = _difference_db(*_values(reference, degraded, comparison_spec(sample_rate)))
    return float(np.sqrt(np.mean(difference**2, axis=0)).mean())


@metric("mel", title="mel", unit="dB", better=LOWER, digits=2, match_level=True)
def mel_distance_db(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Mel distance: mean absolute difference of 80 mel bands up to 8 kHz over active frames.

    What vocoders are trained on (Kong et al. 2020, HiFi-GAN, eq. 5), in dB instead of natural
    logarithms; STFT, floor and active frames as in `log_spectral_distance_db`.
    """
    spec = _in_mel_bands(comparison_spec(sample_rate))
    difference = _difference_db(*_values(reference, degraded, spec))
    return float(np.abs(difference).mean())


@metric("mcd", title="MCD", unit="dB", better=LOWER, digits=2)
def mel_cepstral_distortion_db(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int
) -> float:
    """Mel-cepstral distortion (Kubichek 1993) without c0, after dynamic time warping.

    ``10 / ln 10 * sqrt(2 * sum (c_d - c'_d)^2)`` over the coefficients 1 to 13, averaged over the
    warping path; blind to the level. The cepstra are the discrete cosine transform of the
    logarithm of 80 mel bands (STFT, floor and active frames as in `log_spectral_distance_db`),
    scaled so that ``sum c_d cos(...)`` is the log magnitude; the distortion then is the
    root-mean-square difference in dB of two envelopes smoothed to 13 coefficients. Figures by
    other programs, whose cepstra come from other envelopes, are not comparable.
    """
    spec = _in_mel_bands(comparison_spec(sample_rate))
    target, values = _values(reference, degraded, spec)
    active = _active(target)
    block = round(WARPED_S * sample_rate / spec.hop_length)
    total, steps = 0.0, 0
    for begin in range(0, target.shape[1], block):
        chosen = np.flatnonzero(active[begin : begin + block]) + begin
        if chosen.size:
            cost, n_steps = _warped(*(_cepstra(x)[:, chosen] for x in (target, values)))
            total, steps = total + cost, steps + n_steps
    return total / steps


def _warped(first: np.ndarray, second: np.ndarray) -> tuple[float, int]:
    """Warp columns onto columns in time: the least total distance, and the length of its path.

    A step goes on by a column of either or both. One anti-diagonal of the table of distances after
    the other, since its cells need those of the two before only; librosa's, which is compiled when
    it is first used, takes longer than measuring a hundred short files.
    """
    from scipy.spatial.distance import cdist

    # Upside down, so that anti-diagonals of the distances are NumPy's diagonals.
    distances = cdist(first.T, second.T)[::-1]
    n_rows, n_columns = distances.shape
    # Least cost and path length of the cells (row, diagonal - row), with a border around the table.
    before, last = np.full((2, n_rows + 1), np.inf), np.full((2, n_rows + 1), np.inf)
    before[:, 0] = 0.0  # the path begins beyond the first cell
    for diagonal in range(n_rows + n_columns - 1):
        rows = slice(max(0, diagonal - n_columns + 1), min(diagonal, n_rows - 1) + 1)
        ends = slice(rows.start + 1, rows.stop + 1)
        # In the order both, first alone, second alone; the earlier of equal ones is taken.
        paths = np.stack([before[:, rows], last[:, rows], last[:, ends]])
        best = paths[:, 0].argmin(axis=0)
        chosen = paths[best, :, np.arange(len(best))].T
        now = np.full((2, n_rows + 1), np.inf)
        here = distances.diagonal(diagonal - n_rows + 1)[::-1]
        now[:, ends] = chosen + np.stack([here, np.ones(len(here))])
        before, last = last, now
    return float(last[0, -1]), int(last[1, -1])


def _cepstra(values: np.ndarray) -> np.ndarray:
    """Cepstra 1 to 13 of mel magnitudes, ``(coefficients, frames)``, float64, scaled so that the
    Euclidean distance of two columns is that of their smoothed spectra in dB, root-mean-square.

    The orthonormal transform keeps the sum of squares over bands (Parseval).
    """
    from scipy.fft import dct

    db = 20 * np.log10(np.maximum(values, values.max() * 10 ** (-FLOOR_DB / 20)))
    cepstra = dct(db, axis=0, norm="ortho")[1 : N_CEPSTRA + 1]
    return np.asarray(cepstra / math.sqrt(len(values)), np.float64)


@metric("image", title="image", unit="dB", better=LOWER, digits=2, needs=IMAGE)
def image_distance_db(image: Spectrogram, samples: np.ndarray) -> float:
    """Mean absolute difference between a waveform's spectrogram and the image it was made of.

    The waveform is analysed as the image was, and compared in the image's own mel bands; linear
    images in 80 mel bands up to 8 kHz. Floor and active frames as in `log_spectral_distance_db`,
    the image being the reference. The level counts: it is part of the image. Where the two differ
    in length, what both have is compared.

    Parameters
    ----------
    image : Spectrogram
        Batch of one.
    samples : ndarray
        ``(samples,)``, at the image's sample rate.
    """
    import torch

    from vocoder.spectrogram import analyse_linear

    waveform = torch.from_numpy(checked(samples, "the waveform").astype(np.float32))
    target, found = image.linear, analyse_linear(waveform[None], image.spec)
    n_frames = min(target.shape[2], found.shape[2])
    true, shown = (_mel(values[:, :, :n_frames], image.spec) for values in (target, found))
    if not true.any():
        raise BadInput("the image is silent; nothing can be compared", "image.silent")
    return float(np.abs(_difference_db(true, shown)).mean())


def _mel(values: torch.Tensor, spec: SpectrogramSpec) -> np.ndarray:
    """Magnitudes or powers to magnitudes in mel bands, ``(bands, frames)``.

    A Nyquist bin that a linear spectrogram lacks is silent. Where the transform is short, low
    bands fall between two of its bins, hold nothing and are left out.
    """
    import torch

    from vocoder.spectrogram import mel_filters, to_bins

    if spec.n_mels is None:
        mel = _in_mel_bands(spec)
        whole = torch.nn.functional.pad(values, (0, 0, 0, spec.n_freqs - values.shape[1]))
        values = to_bins(whole, mel)[:, mel_filters(mel, values.device).any(dim=1)]
    return np.asarray(values[0].numpy() ** (1 / spec.power))


def comparison_spec(sample_rate: int) -> SpectrogramSpec:
    """The STFT that spectra are compared by."""
    win_length = round(WINDOW_S * sample_rate)
    spec = SpectrogramSpec.stft(
        sample_rate=sample_rate,
        n_fft=1 << (win_length - 1).bit_length(),
        hop_length=win_length // 4,
        pad_mode="reflect",
        power=1.0,
    )
    return replace(spec, win_length=win_length)


def _in_mel_bands(spec: SpectrogramSpec) -> SpectrogramSpec:
    """The same STFT in the mel bands that spectra are compared by."""
    return replace(
        spec,
        kind="mel",
        nyquist=True,
        n_mels=N_MELS,
        fmin=0.0,
        fmax=min(MEL_FMAX_HZ, spec.sample_rate / 2),
        mel_scale="slaney",
        mel_norm="sum",
    )


def _values(
    reference: np.ndarray, degraded: np.ndarray, spec: SpectrogramSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes of both, ``(bins, frames)``, float32."""
    target, values = checked_pair(reference, degraded)
    return _magnitudes(target.tobytes(), spec), _magnitudes(values.tobytes(), spec)


@lru_cache(maxsize=8)  # several systems have one reference, several metrics one spectrogram
def _magnitudes(content: bytes, spec: SpectrogramSpec) -> np.ndarray:
    import torch

    from vocoder.spectrogram import analyse_linear

    samples = torch.from_numpy(np.frombuffer(content).astype(np.float32))
    return np.asarray(analyse_linear(samples[None], spec)[0].numpy())


def _active(target: np.ndarray) -> np.ndarray:
    """Which frames are not silence, ``(frames,)``, bool."""
    energy = np.square(target, dtype=np.float64).sum(axis=0)
    return np.asarray(energy > energy.max() * 10 ** (-ACTIVE_RANGE_DB / 10))


def _difference_db(target: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``values`` above ``target`` in dB, both floored, in the active frames of ``target``."""
    floor = target.max() * 10 ** (-FLOOR_DB / 20)
    active = _active(target)
    target_db, values_db = (
        20 * np.log10(np.maximum(x[:, active], floor)) for x in (target, values)
    )
    return np.asarray(values_db - target_db)
