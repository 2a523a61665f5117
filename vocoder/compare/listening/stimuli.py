"""Making sounds comparable: one rate, one start, one length, one loudness, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import fftconvolve, firwin, kaiserord

from vocoder.audio import read_audio, read_info
from vocoder.errors import BadInput
from vocoder.evaluate.alignment import checked, find_delay
from vocoder.evaluate.metrics.loudness import BLOCK_S, loudness_lufs
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse_linear

# EBU R 128: the loudness of programmes.
LOUDNESS_LUFS = -23.0
# How loudness was measured.
BLOCKS, ONE_BLOCK = "BS.1770-4", "BS.1770-4 K weighting, one block: shorter than 400 ms"
PEAK_DBFS = -1.0  # leaves room for what resampling in the browser adds between samples
FADE_S = 0.01
LEAST_S = 0.1
# Renderings of one line differ by a frame or two of padding.
LENGTHS_DIFFER_S = 0.25
# Correlation of band levels over time. Of 80 pairs of different lines the highest was 0.46; of
# lines with noise at 10 dB, low-passed at 1 kHz, or painted by pix2pix, the lowest was 0.80.
SAME_CONTENT = 0.6
_BANDS, _BANDS_FMIN_HZ, _BANDS_FMAX_HZ, _BANDS_RANGE_DB, _ACTIVE_RANGE_DB = (
    24,
    150.0,
    5000.0,
    40,
    30,
)
# So many samples in a row at full scale are clipping, not a peak that happens to touch it.
_CLIPPED_RUN = 3
# ITU-R BS.1534-3, 5.1: the anchors' pass-band edges, within 0.1 dB; at least 25 dB down at
# 4 kHz and 50 dB at 4.5 kHz for the lower one, which a stop-band from 4 kHz exceeds.
ANCHOR_EDGES_HZ = {"anchor35": (3500.0, 4000.0), "anchor70": (7000.0, 8000.0)}
_ANCHOR_STOP_DB = 60.0


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What was done to one sound; all else is as it was.

    Parameters
    ----------
    system, item : str
    source : str
        The file it came from.
    source_sha256 : str
        Of its bytes: whether a study is of the same sounds, wherever they lie now.
    source_rate : int
        Its sample rate in Hz.
    delay_samples : int
        Moved earlier by so many samples (later, if negative) to fit the others.
    polarity : int
        -1 where it was turned over.
    low_pass_hz : float or None
        Of an anchor.
    loudness_lufs : float
        Before the gain.
    loudness_method : str
    gain_db : float
        What brings it to `LOUDNESS_LUFS`, and the attenuation that all share.
    """

    system: str
    item: str
    source: str
    source_sha256: str
    source_rate: int
    delay_samples: int
    polarity: int
    low_pass_hz: float | None
    loudness_lufs: float
    loudness_method: str
    gain_db: float

    def to_dict(self) -> dict[str, Any]:
        """Names to values."""
        return asdict(self)


@dataclass(frozen=True)
class Stimulus:
    """A sound to be heard: float64 ``(samples,)``, at a rate in Hz, and what was done to it."""

    samples: np.ndarray
    sample_rate: int
    treatment: Treatment


def common_rate(paths: Mapping[str, Mapping[str, Path]], items: list[str]) -> int:
    """The highest sample rate in Hz of the files of the items: nothing loses its treble."""
    return max(read_info(files[item]).sample_rate for files in paths.values() for item in items)


def prepare_item(
    item: str,
    paths: Mapping[str, Path],
    sample_rate: int,
    *,
    longest_s: float,
    anchors_of: str | None,
    allow_clipped: bool,
) -> list[Stimulus]:
    """Read all versions of one line and make them comparable.

    Read at one rate; aligned to the first by whole samples, so that nothing is interpolated (half
    a sample is 0.02 ms); turned over where the polarity differs; cut to where all overlap and to
    ``longest_s``; faded over 10 ms at both ends; brought to -23 LUFS (ITU-R BS.1770-4). What is
    shorter than the 400 ms that this is defined for is measured with the same K weighting as one
    block without gates.

    Parameters
    ----------
    item : str
    paths : mapping of str to Path
        System to file; the first is what the others are aligned to.
    sample_rate : int
        In Hz.
    longest_s : float
        In seconds; longer sounds lose their end.
    anchors_of : str or None
        The system of which the two anchors of BS.1534-3 are made.
    allow_clipped : bool
        Whether clipped files are taken.

    Returns
    -------
    list of Stimulus
        Of equal length; the anchors last.

    Raises
    ------
    BadInput
        A file is silent, clipped, too short, or of another length or content than the first.
    """
    if anchors_of is not None:
        _check_rate_for_anchors(sample_rate)
    sounds = {system: _read(path, sample_rate, allow_clipped) for system, path in paths.items()}
    base = next(iter(paths))
    shifts = {base: (0, 1)}
    for system in list(paths)[1:]:
        _check_length(paths[base], sounds[base], paths[system], sounds[system], sample_rate)
        delay_samples, sign = find_delay(sounds[base], sounds[system], sample_rate)
        shifts[system] = round(delay_samples), sign
    cut = _overlap(sounds, shifts, int(longest_s * sample_rate))
    if len(cut[base]) < LEAST_S * sample_rate:
        raise BadInput(
            f"{paths[base]}: only {len(cut[base]) / sample_rate:.2f} s are left where all "
            f"versions overlap; expected at least {LEAST_S:g} s"
        )
    for system in list(paths)[1:]:
        _check_content(paths[base], cut[base], paths[system], cut[system], sample_rate)
    if anchors_of is not None:
        for anchor, (pass_hz, stop_hz) in ANCHOR_EDGES_HZ.items():
            cut[anchor] = low_pass(cut[anchors_of], sample_rate, pass_hz, stop_hz)
    made = []
    for system, samples in cut.items():
        source = system if system in paths else str(anchors_of)
        low_pass_hz = None if system in paths else ANCHOR_EDGES_HZ[system][0]
        faded = fade_edges(samples, sample_rate)
        try:
            lufs = loudness_lufs(faded, sample_rate)
        except BadInput as error:
            raise BadInput(f"{paths[source]}, where all versions overlap: {error}") from error
        gain_db = LOUDNESS_LUFS - lufs
        treatment = Treatment(
            system=system,
            item=item,
            source=str(paths[source]),
            source_sha256=digest(paths[source]),
            source_rate=read_info(paths[source]).sample_rate,
            delay_samples=shifts[source][0],
            polarity=shifts[source][1],
            low_pass_hz=low_pass_hz,
            loudness_lufs=round(lufs, 3),
            loudness_method=BLOCKS if len(faded) >= BLOCK_S * sample_rate else ONE_BLOCK,
            gain_db=gain_db,
        )
        made.append(Stimulus(faded * 10 ** (gain_db / 20), sample_rate, treatment))
    return made


def digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def attenuate(stimuli: list[Stimulus]) -> tuple[list[Stimulus], float]:
    """Turn all down by the same number of dB, if the loudest peak is above -1 dB of full scale.

    Returns
    -------
    stimuli : list of Stimulus
    attenuation_db : float
        0 where nothing was done.
    """
    peak = max(float(np.abs(one.samples).max()) for one in stimuli)
    attenuation_db = max(0.0, 20 * np.log10(peak) - PEAK_DBFS)
    factor = 10 ** (-attenuation_db / 20)
    return [
        replace(
            one,
            samples=one.samples * factor,
            treatment=replace(
                one.treatment, gain_db=round(one.treatment.gain_db - attenuation_db, 3)
            ),
        )
        for one in stimuli
    ], attenuation_db


def fade_edges(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """A copy whose first and last 10 ms rise and fall along half a cosine."""
    n = min(round(FADE_S * sample_rate), len(samples) // 2)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    faded = np.array(samples, dtype=np.float64)
    faded[:n] *= rise
    faded[len(faded) - n :] *= rise[::-1]
    return faded


def low_pass(samples: np.ndarray, sample_rate: int, pass_hz: float, stop_hz: float) -> np.ndarray:
    """Linear-phase low-pass without delay: a Kaiser window's, 60 dB down from ``stop_hz``."""
    n_taps, beta = kaiserord(_ANCHOR_STOP_DB, (stop_hz - pass_hz) / (sample_rate / 2))
    taps = firwin(n_taps | 1, (pass_hz + stop_hz) / 2, window=("kaiser", beta), fs=sample_rate)
    padded = np.pad(samples, len(taps) // 2)
    return np.asarray(fftconvolve(padded, taps, mode="valid"))


def _check_rate_for_anchors(sample_rate: int) -> None:
    needed = 2 * max(stop_hz for _, stop_hz in ANCHOR_EDGES_HZ.values())
    if sample_rate < needed:
        raise BadInput(
            f"test=mushra low-passes at 7 kHz, but the sounds are at {sample_rate} Hz; expected "
            f"{needed:.0f} Hz or more, or choose test=ab or test=dcr"
        )


def _read(path: Path, sample_rate: int, allow_clipped: bool) -> np.ndarray:
    """At the common rate; clipping is looked for at the file's own."""
    own_rate = read_info(path).sample_rate
    samples = read_audio(path, own_rate)
    size = np.abs(samples)
    # A file that goes beyond full scale (FLOAT) was not cut off there.
    full = (size >= 1 - 2**-15) & (size.max(initial=0) <= 1)
    edges = np.flatnonzero(np.diff(np.r_[False, full, False].astype(np.int8))).reshape(-1, 2)
    n_clipped = int(sum(stop - start for start, stop in edges if stop - start >= _CLIPPED_RUN))
    if n_clipped and not allow_clipped:
        raise BadInput(
            f"{path} is clipped ({n_clipped} samples at full scale); render it at a lower level "
            "or with subtype=FLOAT, or take it as it is with allow_clipped=true"
        )
    if own_rate != sample_rate:
        samples = read_audio(path, sample_rate)
    return checked(samples, str(path))


def _check_length(
    base: Path, samples: np.ndarray, other: Path, others: np.ndarray, sample_rate: int
) -> None:
    if abs(len(samples) - len(others)) > LENGTHS_DIFFER_S * sample_rate:
        raise BadInput(
            f"{base} lasts {len(samples) / sample_rate:.2f} s, but {other} "
            f"{len(others) / sample_rate:.2f} s; expected versions of one line, within "
            f"{LENGTHS_DIFFER_S:g} s"
        )


def _overlap(
    sounds: Mapping[str, np.ndarray], shifts: Mapping[str, tuple[int, int]], longest: int
) -> dict[str, np.ndarray]:
    """All versions from where the last has begun to where the first ends."""
    start = max(-delay for delay, _ in shifts.values())  # on the first version's time
    stop = min(len(sounds[system]) - delay for system, (delay, _) in shifts.items())
    stop = min(stop, start + longest)
    return {
        system: sign * sounds[system][start + delay : max(start, stop) + delay]
        for system, (delay, sign) in shifts.items()
    }


def _check_content(
    base: Path, samples: np.ndarray, other: Path, others: np.ndarray, sample_rate: int
) -> None:
    one, two = _band_powers(samples, sample_rate), _band_powers(others, sample_rate)
    active = np.zeros(one.shape[1], bool)
    for powers in (one, two):
        total = powers.sum(axis=0)
        active |= total > total.max() * 10 ** (-_ACTIVE_RANGE_DB / 10)
    one, two = (_levels(powers)[:, active] for powers in (one, two))
    one, two = (levels - levels.mean(axis=1, keepdims=True) for levels in (one, two))
    norm = float(np.linalg.norm(one) * np.linalg.norm(two))
    likeness = float(np.vdot(one, two)) / norm if norm else 0.0
    if likeness < SAME_CONTENT:
        raise BadInput(
            f"{other} does not say what {base} says (correlation of levels {likeness:.2f}, "
            f"expected {SAME_CONTENT:g}); check that files of one name are versions of one line"
        )


def _levels(powers: np.ndarray) -> np.ndarray:
    least = float(powers.max()) * 10 ** (-_BANDS_RANGE_DB / 10)
    return np.asarray(np.log(np.maximum(powers, least)))


def _band_powers(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """``(bands, frames)``, of 23 ms windows."""
    n_fft = 1 << round(np.log2(0.0232 * sample_rate))
    spec = SpectrogramSpec(
        kind="mel",
        sample_rate=sample_rate,
        n_fft=n_fft,
        hop_length=n_fft // 2,
        win_length=n_fft,
        window="hann",
        center=True,
        pad_mode="constant",
        power=2.0,
        nyquist=True,
        n_mels=_BANDS,
        fmin=_BANDS_FMIN_HZ,
        fmax=min(_BANDS_FMAX_HZ, sample_rate / 2),
        mel_scale="slaney",
        mel_norm="sum",
        compression="none",
        floor=0.0,
    )
    return analyse_linear(torch.from_numpy(samples.astype(np.float32))[None], spec)[0].numpy()
