"""Models of listeners: intelligibility and quality as people would judge them, or nearly so."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pystoi
import soxr
from pystoi.stoi import FS
from pystoi.utils import resample_oct

from vocoder.errors import BadInput
from vocoder.evaluate.alignment import checked, checked_pair
from vocoder.evaluate.metrics.optional import optional_package

# Of PESQ wide-band, ViSQOL in speech mode and DNSMOS.
SAMPLE_RATE = 16_000
# What pystoi returns, with a warning, for less than 30 frames of speech.
PYSTOI_TOO_SHORT = 1e-5
# Filters of warnings belong to the process, not to the thread; ViSQOL's compiled loops and its
# interpreter take one caller at a time.
_FILTERS, _VISQOL = threading.Lock(), threading.Lock()


def estoi(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Extended short-time objective intelligibility (Jensen and Taal 2016), at 10 kHz inside.

    Returns
    -------
    float
        1 for equal sounds, about 0 for unrelated ones; blind to the level.

    Raises
    ------
    BadInput
        Unequal lengths, silence, or less than 0.4 s of speech.
    """
    reference, degraded = checked_pair(reference, degraded)
    at_10_khz = [_as_pystoi_resamples(x.tobytes(), sample_rate) for x in (reference, degraded)]
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        value = float(pystoi.stoi(*at_10_khz, FS, extended=True))
    if value == PYSTOI_TOO_SHORT:
        raise BadInput(
            f"ESTOI needs at least 0.4 s of speech between the pauses; the reference of "
            f"{len(reference) / sample_rate:.2f} s has less"
        )
    return value


@lru_cache(maxsize=4)  # several systems have the same reference
def _as_pystoi_resamples(content: bytes, sample_rate: int) -> np.ndarray:
    samples = np.frombuffer(content)
    if sample_rate == FS:
        return samples
    return np.asarray(resample_oct(samples, FS, sample_rate))


def pesq_wb(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Wide-band PESQ (ITU-T P.862.2), at 16 kHz inside, a mean opinion score of 1.0 to 4.64.

    Raises
    ------
    BadInput
        Unequal lengths, no speech found, less than 0.25 s, or the package is not installed.
    """
    reference, degraded = checked_pair(reference, degraded)
    pesq = optional_package("pesq", "PESQ", extra="pesq")
    reference, degraded = (_resampled(x, sample_rate) for x in (reference, degraded))
    try:
        return float(pesq.pesq(SAMPLE_RATE, reference, degraded, "wb"))
    except pesq.PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        if isinstance(reason, bytes):
            reason = reason.decode()
        raise BadInput(
            f"PESQ cannot compare sounds of {len(reference) / SAMPLE_RATE:.2f} s: {reason}"
        ) from error


def visqol(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """ViSQOL in speech mode (Chinen et al. 2020), at 16 kHz inside; blind to the level.

    Its quality is read from the lattice network that the authors trained, never from the
    exponential that the package falls back to, which gives other figures.

    Returns
    -------
    float
        An opinion score, 1 to 5; about 4.8 for equal sounds.

    Raises
    ------
    BadInput
        Unequal lengths, silence, less than 0.75 s, or a package is not installed.
    """
    reference, degraded = checked_pair(reference, degraded)
    reference, degraded = (_resampled(x, sample_rate) for x in (reference, degraded))
    with _VISQOL:
        try:
            found = _visqol().measure_from_arrays(reference, degraded, SAMPLE_RATE)
        except IndexError as error:  # no patch of 20 frames between the margins
            raise BadInput(
                f"ViSQOL needs at least 0.75 s; the sounds have "
                f"{len(reference) / SAMPLE_RATE:.2f} s in common"
            ) from error
    return float(found.moslqo)


@lru_cache(maxsize=1)
def _visqol() -> Any:
    package = optional_package("visqol", "ViSQOL", extra="evaluate")
    optional_package("ai_edge_litert.interpreter", "ViSQOL", extra="evaluate")
    api = package.VisqolApi()
    with _without_chatter():
        # Sounds are aligned here already, and by more than the envelope.
        api.create("speech", use_lattice_model=True, disable_global_alignment=True)
    api._manager.patch_creator = _fast_patches(package)
    return api


def _fast_patches(package: Any) -> Any:
    """The package's own choice of frames with speech, without a loop over single samples, which
    takes a third of all its time."""

    class Patches(package.patch_creator.VadPatchCreator):  # type: ignore[misc]
        def _get_voice_activity(
            self, signal: Any, start_sample: int, total_samples: int, frame_len: int
        ) -> list[float]:
            taken = signal.data[start_sample : start_sample + total_samples]
            integers = np.clip(taken * (1 << 15), -(1 << 15), (1 << 15) - 1).astype(np.int16)
            detector = package.patch_creator.RmsVad()
            for end in range(frame_len, len(integers) + 1, frame_len):
                detector.process_chunk(integers[end - frame_len : end])
            return list(detector.get_vad_results())

    return Patches(package.visqol_manager.PATCH_SIZE_SPEECH)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep libraries in C from writing to the error stream that they are there; errors raise."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def dnsmos(samples: np.ndarray, sample_rate: int) -> float:
    """DNSMOS P.835, overall (Reddy et al. 2022), without a reference, at 16 kHz inside.

    A network trained on noise suppression. On what vocoders do, only the difference from another
    figure of the same sentence says something; it is no opinion score. Sounds shorter than 9 s are
    repeated, and those beyond full scale brought down to it, as a converter would need them.

    Returns
    -------
    float
        About 1 to 5.

    Raises
    ------
    BadInput
        Silence, or a package is not installed.
    """
    samples = _resampled(checked(samples, "the sound"), sample_rate)
    return _overall((samples / max(1.0, float(np.abs(samples).max()))).tobytes())


@lru_cache(maxsize=4)  # several systems have the same reference
def _overall(samples: bytes) -> float:
    return float(_dnsmos()(np.frombuffer(samples), SAMPLE_RATE, False)["ovrl_mos"])


@lru_cache(maxsize=1)
def _dnsmos() -> Any:
    """The package's models, in sessions of one thread: several processes of many threads would
    wait for one another."""
    package = optional_package("speechmos.dnsmos", "DNSMOS", extra="evaluate")
    onnxruntime = optional_package("onnxruntime", "DNSMOS", extra="evaluate")
    folder = Path(str(package.__file__)).parent / "dnsmos_models"
    overall, p808 = str(folder / "sig_bak_ovr.onnx"), str(folder / "model_v8.onnx")
    model = package.DNSMOS(overall, p808)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model.onnx_sess, model.p808_onnx_sess = (
        onnxruntime.InferenceSession(path, options) for path in (overall, p808)
    )
    return model


def _resampled(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    if sample_rate == SAMPLE_RATE:
        return samples
    return np.asarray(soxr.resample(samples, sample_rate, SAMPLE_RATE))
