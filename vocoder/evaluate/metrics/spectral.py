"""Distances between spectra: of two sounds, and of a sound and the picture it was made of."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from scipy.fft import dct

from vocoder.errors import BadInput
from vocoder.evaluate.alignment import checked, checked_pair
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse_linear, mel_filters, to_bins

# Frames this far below the loudest are silence to STOI (Taal et al. 2011, section II), and here.
ACTIVE_RANGE_DB = 40.0
# Differences further below the loudest bin of the reference than this are not heard.
FLOOR_DB = 80.0
# 32 ms is usual in speech enhancement, and none of the windows that our pictures are made with:
# an inverter minimises the error on its own grid, which says little about the sound.
WINDOW_S = 0.032
N_MELS, MEL_FMAX_HZ = 80, 8000.0
# Cepstral coefficients compared, from the first on, as in most reports of mel-cepstral distortion.
N_CEPSTRA = 13
# Dynamic time warping takes memory by the square of the length; aligned sounds differ locally.
WARPED_S = 8.0


def log_spectral_distance_db(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int
) -> float:
    """Root-mean-square over bins of the difference in dB, averaged over active frames.

    The log spectral distance of Gray and Markel (1976), "Distance measures for speech
    processing", eq. 4 with p = 2. Magnitudes of an STFT with Hann windows of 32 ms every 8 ms;
    both sounds are floored 80 dB below the loudest bin of the reference; frames of the reference
    more than 40 dB below its loudest are left out.

    Returns
    -------
    float
        In dB; 0 for equal sounds. A level difference counts in full.

    Raises
    ------
    BadInput
        Unequal lengths, silence, or too short for the STFT.
    """
    difference = _difference_db(*_values(reference, degraded, sample_rate, n_mels=None))
    return float(np.sqrt(np.mean(difference**2, axis=0)).mean())


def mel_distance_db(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Mean absolute difference in dB of 80 mel bands up to 8 kHz, over active frames.

    The "mel error" that vocoders are trained on (Kong et al. 2020, HiFi-GAN, eq. 5), in dB
    instead of natural logarithms; STFT, floor and active frames as `log_spectral_distance_db`.

    Raises
    ------
    BadInput
        As `log_spectral_distance_db` does.
    """
    difference = _difference_db(*_values(reference, degraded, sample_rate, n_mels=N_MELS))
    return float(np.abs(difference).mean())


def mel_cepstral_distortion_db(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int
) -> float:
    """Mel-cepstral distortion (Kubichek 1993) without c0, after dynamic time warping.

    ``10 / ln 10 * sqrt(2 * sum (c_d - c'_d)^2)`` over the coefficients 1 to 13, averaged over the
    warping path. The cepstra are the discrete cosine transform of the logarithm of 80 mel bands
    (STFT, floor and active frames as `log_spectral_distance_db`), scaled so that ``sum c_d
    cos(...)`` is the log magnitude; the distortion then is the root-mean-square difference in dB
    of two envelopes smoothed to 13 coefficients. Figures by other programs, whose cepstra come
    from other envelopes, are not comparable.

    Returns
    -------
    float
        In dB; 0 for equal sounds; blind to the level.

    Raises
    ------
    BadInput
        As `log_spectral_distance_db` does.
    """
    from librosa.sequence import dtw

    target, values = _values(reference, degraded, sample_rate, n_mels=N_MELS)
    active = _active(target)
    block = round(WARPED_S * sample_rate / comparison_spec(sample_rate, N_MELS).hop_length)
    total, steps = 0.0, 0
    for begin in range(0, target.shape[1], block):
        chosen = np.flatnonzero(active[begin : begin + block]) + begin
        if chosen.size:
            cost, path = dtw(*(_cepstra(x)[:, chosen] for x in (target, values)))
            total += float(cost[-1, -1])
            steps += len(path)
    return total / steps


def _cepstra(values: np.ndarray) -> np.ndarray:
    """Cepstra 1 to 13 of mel magnitudes, ``(coefficients, frames)``, float64, scaled so that the
    Euclidean distance of two columns is that of their smoothed spectra in dB, root-mean-square.

    The orthonormal transform keeps the sum of squares over bands (Parseval).
    """
    db = 20 * np.log10(np.maximum(values, values.max() * 10 ** (-FLOOR_DB / 20)))
    cepstra = dct(db, axis=0, norm="ortho")[1 : N_CEPSTRA + 1]
    return np.asarray(cepstra / math.sqrt(len(values)), np.float64)


def picture_distance_db(picture: Spectrogram, samples: np.ndarray) -> float:
    """How well a sound shows the picture that it was made of: mean absolute difference in dB.

    The sound is analysed as the picture was, and compared in the picture's own mel bands; linear
    pictures in 80 mel bands up to 8 kHz. Floor and active frames as `log_spectral_distance_db`,
    the picture being the reference. The level counts: it is part of the picture.

    Parameters
    ----------
    picture : Spectrogram
        Batch of one.
    samples : ndarray
        ``(samples,)``, at the picture's sample rate. Where sound and picture differ in length,
        what both have is compared.

    Raises
    ------
    BadInput
        ImageFile or sound is silent, or the sound too short.
    """
    sound = torch.from_numpy(checked(samples, "the sound to compare").astype(np.float32))
    target, shown = picture.linear, analyse_linear(sound[None], picture.spec)
    n_frames = min(target.shape[2], shown.shape[2])
    true, found = (_mel(values[:, :, :n_frames], picture.spec) for values in (target, shown))
    if not true.any():
        raise BadInput("the picture is silent; nothing can be compared")
    return float(np.abs(_difference_db(true, found)).mean())


def _mel(values: torch.Tensor, spec: SpectrogramSpec) -> np.ndarray:
    """Magnitudes or powers to magnitudes in mel bands, ``(bands, frames)``.

    A Nyquist bin that a linear spectrogram lacks is silent. Where the transform is short, low
    bands fall between two of its bins, hold nothing and are left out.
    """
    if spec.n_mels is None:
        mel = replace(
            spec,
            kind="mel",
            nyquist=True,
            n_mels=N_MELS,
            fmin=0.0,
            fmax=min(MEL_FMAX_HZ, spec.sample_rate / 2),
            mel_scale="slaney",
            mel_norm="sum",
        )
        whole = torch.nn.functional.pad(values, (0, 0, 0, spec.n_freqs - values.shape[1]))
        values = to_bins(whole, mel)[:, mel_filters(mel, values.device).any(dim=1)]
    return np.asarray(values[0].numpy() ** (1 / spec.power))


def level_difference_db(reference: np.ndarray, degraded: np.ndarray) -> float:
    """Root-mean-square level of ``degraded`` above that of ``reference``, in dB.

    Raises
    ------
    BadInput
        One of them is silent, empty, not finite or not one-dimensional.
    """
    reference = checked(reference, "the reference")
    degraded = checked(degraded, "the sound to compare")
    return float(10 * np.log10(np.mean(degraded**2) / np.mean(reference**2)))


def spectral_convergence(target_magnitude: np.ndarray, magnitude: np.ndarray) -> float:
    """Relative error of magnitudes, ``||S - S'|| / ||S||`` (Sturmel and Daudet 2011, eq. 4).

    Parameters
    ----------
    target_magnitude, magnitude : ndarray
        Of equal shape.

    Raises
    ------
    BadInput
        The shapes differ, or the target is zero.
    """
    if target_magnitude.shape != magnitude.shape:
        raise BadInput(
            f"magnitudes have different shapes, {target_magnitude.shape} and {magnitude.shape}"
        )
    target = np.asarray(target_magnitude, np.float64)
    norm = float(np.linalg.norm(target))
    if norm == 0:
        raise BadInput("the target spectrogram is silent; there is nothing to compare with")
    return float(np.linalg.norm(target - magnitude)) / norm


def comparison_spec(sample_rate: int, n_mels: int | None) -> SpectrogramSpec:
    """The STFT that spectra are compared by, in mel bands or (``None``) linear."""
    win_length = round(WINDOW_S * sample_rate)
    mel = n_mels is not None
    return SpectrogramSpec(
        kind="mel" if mel else "linear",
        sample_rate=sample_rate,
        n_fft=1 << (win_length - 1).bit_length(),
        hop_length=win_length // 4,
        win_length=win_length,
        window="hann",
        center=True,
        pad_mode="reflect",
        power=1.0,
        nyquist=True,
        n_mels=n_mels,
        fmin=0.0 if mel else None,
        fmax=min(MEL_FMAX_HZ, sample_rate / 2) if mel else None,
        mel_scale="slaney" if mel else None,
        mel_norm="sum" if mel else None,
        compression="none",
        floor=0.0,
    )


def _values(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int, n_mels: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes of both, ``(bins, frames)``, float32."""
    target, values = checked_pair(reference, degraded)
    spec = comparison_spec(sample_rate, n_mels)
    return _magnitudes(target.tobytes(), spec), _magnitudes(values.tobytes(), spec)


@lru_cache(maxsize=8)  # several systems have the same reference, and several measures one picture
def _magnitudes(content: bytes, spec: SpectrogramSpec) -> np.ndarray:
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
