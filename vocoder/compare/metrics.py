"""How much a sound differs from the true one: measures that need both.

All take floating-point arrays ``(samples,)``, full scale at 1. `measure` aligns two sounds and
takes all measures at once; the single functions compare what they are given, sample for sample.
"""

from __future__ import annotations

import importlib
import threading
import warnings
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import numpy as np
import soxr
import torch

from vocoder.compare.alignment import align, checked, checked_pair
from vocoder.errors import BadInput
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

PESQ_SAMPLE_RATE = 16_000
# Frames this far below the loudest are silence to STOI (Taal et al. 2011, section II), and here.
ACTIVE_RANGE_DB = 40.0
# Differences further below the loudest bin of the reference than this are not heard.
FLOOR_DB = 80.0
# 32 ms is usual in speech enhancement, and none of the windows that our pictures are made with:
# an inverter minimises the error on its own grid, which says little about the sound.
WINDOW_S = 0.032
N_MELS, MEL_FMAX_HZ = 80, 8000.0


# What pystoi returns, with a warning, for less than 30 frames of speech.
PYSTOI_TOO_SHORT = 1e-5
_FILTERS = threading.Lock()


@dataclass(frozen=True)
class Measures:
    """What `measure` found.

    Parameters
    ----------
    estoi : float
        Extended short-time objective intelligibility, up to 1.
    log_spectral_distance_db, mel_distance_db : float
        After matching the level; 0 is perfect.
    level_difference_db : float
        Above 0 where the sound is louder than the reference.
    pesq_wb : float or None
        Wide-band PESQ, 1.0 to 4.64; ``None`` where not asked for.
    """

    estoi: float
    log_spectral_distance_db: float
    mel_distance_db: float
    level_difference_db: float
    pesq_wb: float | None = None

    def to_dict(self) -> dict[str, float]:
        """Names to values, without those that were not measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def measure(
    reference: np.ndarray, degraded: np.ndarray, sample_rate: int, *, pesq: bool
) -> Measures:
    """Align two sounds and take all measures.

    Parameters
    ----------
    reference, degraded : ndarray
        ``(samples,)``, not necessarily of equal length.
    sample_rate : int
        In Hz.
    pesq : bool
        Whether to compute PESQ too, which needs the extra ``pesq``.

    Raises
    ------
    BadInput
        As the single functions do.
    """
    reference, degraded = align(reference, degraded, sample_rate)
    level_db = level_difference_db(reference, degraded)
    matched = degraded * 10 ** (-level_db / 20)
    return Measures(
        estoi=estoi(reference, degraded, sample_rate),
        log_spectral_distance_db=log_spectral_distance_db(reference, matched, sample_rate),
        mel_distance_db=mel_distance_db(reference, matched, sample_rate),
        level_difference_db=level_db,
        pesq_wb=pesq_wb(reference, degraded, sample_rate) if pesq else None,
    )


def estoi(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Extended short-time objective intelligibility (Jensen and Taal 2016), at 10 kHz inside.

    Returns
    -------
    float
        1 for equal sounds, about 0 for unrelated ones; blind to the level.

    Raises
    ------
    BadInput
        Unequal lengths, silence, less than 0.4 s of speech, or pystoi is not installed.
    """
    reference, degraded = checked_pair(reference, degraded)
    pystoi = _optional("pystoi", "ESTOI", extra="evaluate")
    # Filters of warnings belong to the process, not to the thread: only the lock makes them safe.
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        value = float(pystoi.stoi(reference, degraded, sample_rate, extended=True))
    if value == PYSTOI_TOO_SHORT:
        raise BadInput(
            f"ESTOI needs at least 0.4 s of speech between the pauses; the reference of "
            f"{len(reference) / sample_rate:.2f} s has less"
        )
    return value


def pesq_wb(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Wide-band PESQ (ITU-T P.862.2), at 16 kHz inside, a mean opinion score of 1.0 to 4.64.

    Raises
    ------
    BadInput
        Unequal lengths, no speech found, less than 0.25 s, or the package is not installed.
    """
    reference, degraded = checked_pair(reference, degraded)
    pesq = _optional("pesq", "PESQ", extra="pesq")
    if sample_rate != PESQ_SAMPLE_RATE:
        reference = soxr.resample(reference, sample_rate, PESQ_SAMPLE_RATE)
        degraded = soxr.resample(degraded, sample_rate, PESQ_SAMPLE_RATE)
    try:
        return float(pesq.pesq(PESQ_SAMPLE_RATE, reference, degraded, "wb"))
    except pesq.PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        if isinstance(reason, bytes):
            reason = reason.decode()
        raise BadInput(
            f"PESQ cannot compare sounds of {len(reference) / PESQ_SAMPLE_RATE:.2f} s: {reason}"
        ) from error


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
    spec = _spec(sample_rate, n_mels=None)
    difference = _difference_db(reference, degraded, spec)
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
    spec = _spec(sample_rate, n_mels=N_MELS)
    return float(np.abs(_difference_db(reference, degraded, spec)).mean())


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


def _spec(sample_rate: int, n_mels: int | None) -> SpectrogramSpec:
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


def _difference_db(
    reference: np.ndarray, degraded: np.ndarray, spec: SpectrogramSpec
) -> np.ndarray:
    """Difference in dB, ``(bins, active frames)``."""
    both = np.stack(checked_pair(reference, degraded)).astype(np.float32)
    target, values = analyse(torch.from_numpy(both), spec).values.numpy()
    floor = target.max() * 10 ** (-FLOOR_DB / 20)
    energy = np.square(target, dtype=np.float64).sum(axis=0)
    active = energy > energy.max() * 10 ** (-ACTIVE_RANGE_DB / 10)
    target_db, values_db = (
        20 * np.log10(np.maximum(x[:, active], floor)) for x in (target, values)
    )
    return np.asarray(values_db - target_db)


def _optional(module: str, measure_name: str, *, extra: str) -> ModuleType | Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            f"{measure_name} needs the package {module}; install it with "
            f"pip install 'vocoder[{extra}]'"
        ) from error
