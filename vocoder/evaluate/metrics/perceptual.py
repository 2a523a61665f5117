"""Models of listeners: intelligibility and quality as people would rate them, or nearly so."""

from __future__ import annotations

import threading
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vocoder.audio_file import quiet
from vocoder.errors import BadInput
from vocoder.evaluate.alignment import checked, checked_pair
from vocoder.evaluate.metrics.metric import ALONE, HIGHER, metric, optional_package

# Of PESQ wide-band, ViSQOL in speech mode and DNSMOS.
SAMPLE_RATE = 16_000
# What pystoi returns, with a warning, for less than 30 frames of speech.
PYSTOI_TOO_SHORT = 1e-5
# It adds noise of 1e-16, by which equal files would differ.
PYSTOI_DIGITS = 9
# Of DNSMOS: its window in seconds, and from its network's output to the scale of opinions.
DNSMOS_WINDOW_S, DNSMOS_OVERALL = 9.01, (-0.06766283, 1.11546468, 0.04602535)
_DNSMOS_PACKAGES = ("speechmos", "onnxruntime")
# Filters of warnings belong to the process, not to the thread; ViSQOL's compiled loops and its
# interpreter take one caller at a time.
_FILTERS, _VISQOL = threading.Lock(), threading.Lock()


@metric("estoi", title="ESTOI", better=HIGHER, digits=3)
def estoi(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Extended short-time objective intelligibility (Jensen and Taal 2016), up to 1.

    At 10 kHz inside; about 0 for unrelated waveforms; blind to the level. Less than 0.4 s of
    speech is refused.
    """
    import pystoi
    from pystoi.stoi import FS

    reference, degraded = checked_pair(reference, degraded)
    at_10_khz = [_as_pystoi_resamples(x.tobytes(), sample_rate) for x in (reference, degraded)]
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        value = float(pystoi.stoi(*at_10_khz, FS, extended=True))
    if value == PYSTOI_TOO_SHORT:
        raise BadInput(
            f"ESTOI needs at least 0.4 s of speech between the pauses; the reference of "
            f"{len(reference) / sample_rate:.2f} s has less",
            "estoi.short",
        )
    return round(value, PYSTOI_DIGITS)


@lru_cache(maxsize=4)  # several systems have the same reference
def _as_pystoi_resamples(content: bytes, sample_rate: int) -> np.ndarray:
    from pystoi.stoi import FS
    from pystoi.utils import resample_oct

    samples = np.frombuffer(content)
    return samples if sample_rate == FS else np.asarray(resample_oct(samples, FS, sample_rate))


@metric("visqol", title="ViSQOL", better=HIGHER, digits=2, packages=("visqol", "ai_edge_litert"))
def visqol(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """ViSQOL in speech mode (Chinen et al. 2020), an opinion score of 1 to 5.

    At 16 kHz inside; blind to the level; about 4.8 for equal waveforms. Its quality is read from
    the lattice network that the authors trained, never from the exponential that the package
    falls back to, which gives other figures. Less than 0.75 s is refused.
    """
    reference, degraded = checked_pair(reference, degraded)
    reference, degraded = (_resampled(x, sample_rate) for x in (reference, degraded))
    with _VISQOL:
        try:
            found = _visqol().measure_from_arrays(reference, degraded, SAMPLE_RATE)
        except IndexError as error:  # no patch of 20 frames between the margins
            raise BadInput(
                f"ViSQOL needs at least 0.75 s; the waveforms have "
                f"{len(reference) / SAMPLE_RATE:.2f} s in common",
                "visqol.short",
            ) from error
    return float(found.moslqo)


@metric("pesq", title="PESQ-WB", better=HIGHER, digits=2, packages=("pesq",), extra="pesq")
def pesq_wb(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """Wide-band PESQ (ITU-T P.862.2), an opinion score of 1.0 to 4.64.

    At 16 kHz inside. Less than 0.25 s, or no speech, is refused.
    """
    reference, degraded = checked_pair(reference, degraded)
    pesq = optional_package("pesq", "PESQ", "pesq")
    reference, degraded = (_resampled(x, sample_rate) for x in (reference, degraded))
    try:
        return float(pesq.pesq(SAMPLE_RATE, reference, degraded, "wb"))
    except pesq.PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        if isinstance(reason, bytes):
            reason = reason.decode()
        raise BadInput(
            f"PESQ cannot compare {len(reference) / SAMPLE_RATE:.2f} s: {reason}", "pesq.short"
        ) from error


# Not by default: it takes ten times as long as all others together, and a shift by 2.5 ms moves
# the rating of a short utterance by 0.12 (standard deviation).
@metric(
    "dnsmos",
    title="DNSMOS difference",
    better=HIGHER,
    digits=2,
    match_level=True,
    packages=_DNSMOS_PACKAGES,
    default=False,
)
def dnsmos_difference(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
    """DNSMOS P.835 above that of the reference; slow, so only where it is named."""
    return dnsmos(degraded, sample_rate) - dnsmos(reference, sample_rate)


@metric("dnsmos", title="DNSMOS", better=HIGHER, digits=2, needs=ALONE, packages=_DNSMOS_PACKAGES)
def dnsmos(samples: np.ndarray, sample_rate: int) -> float:
    """DNSMOS P.835, overall (Reddy et al. 2022), about 1 to 5, without a reference.

    A network trained on noise suppression. On what vocoders do, only the difference from another
    figure of the same sentence says something; it is no opinion score. At 16 kHz inside. Waveforms
    shorter than 9 s are repeated, and those beyond full scale brought down to it, as a converter
    would need them.
    """
    samples = _resampled(checked(samples, "the waveform"), sample_rate)
    return _overall((samples / max(1.0, float(np.abs(samples).max()))).tobytes())


@lru_cache(maxsize=4)  # several systems have the same reference
def _overall(content: bytes) -> float:
    """The mean over windows, one a second, as the authors' program takes it."""
    samples = np.frombuffer(content).astype(np.float32)
    length = int(DNSMOS_WINDOW_S * SAMPLE_RATE)
    while len(samples) < length:
        samples = np.tile(samples, 2)
    ratings = []
    for second in range(int(len(samples) // SAMPLE_RATE - DNSMOS_WINDOW_S) + 1):
        end = int((second + DNSMOS_WINDOW_S) * SAMPLE_RATE)
        window = samples[second * SAMPLE_RATE : end]
        if len(window) == length:  # the rounding leaves some a sample short: not counted there
            found = _dnsmos().run(None, {"input_1": window[None]})[0]
            ratings.append(np.polyval(DNSMOS_OVERALL, float(found[0, 2])))
    return float(np.mean(ratings))


@lru_cache(maxsize=1)
def _dnsmos() -> Any:
    """One thread: several processes of many threads would wait for one another."""
    onnxruntime = optional_package("onnxruntime", "DNSMOS")
    folder = Path(str(optional_package("speechmos", "DNSMOS").__file__)).parent
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = folder / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(path), options)


def _resampled(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    import soxr

    if sample_rate == SAMPLE_RATE:
        return samples
    return np.asarray(soxr.resample(samples, sample_rate, SAMPLE_RATE))


@lru_cache(maxsize=1)
def _visqol() -> Any:
    package = optional_package("visqol", "ViSQOL")
    optional_package("ai_edge_litert.interpreter", "ViSQOL")
    api = package.VisqolApi()
    with quiet():  # libraries in C say there that they are there; errors raise
        # Waveforms are aligned here already, and by more than the envelope.
        api.create("speech", use_lattice_model=True, disable_global_alignment=True)
    api._manager.patch_creator = _fast_patches(package)
    return api


def _fast_patches(package: Any) -> Any:
    """The package's choice of frames with speech, without a loop over single samples, which takes
    a third of all its time."""

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
