"""What is measured with: a recording, or audio made up that resembles speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vocoder.audio import read_audio

_F0_HZ = (90.0, 240.0)
# Ranges of the first three formants, and how wide and how loud they are.
_FORMANTS_HZ = ((300.0, 800.0), (900.0, 2200.0), (2400.0, 3200.0))
_BANDWIDTHS_HZ, _GAINS = (90.0, 140.0, 220.0), (1.0, 0.5, 0.25)
_PIECE_S = (0.08, 0.25)
_VOICED, _BURST, _PAUSE = 0.65, 0.2, 0.15  # how often each kind of piece comes
_PEAK, _ROOM_NOISE = 0.5, 3e-4


def waveform(source: str | None, seconds: float, sample_rate: int, seed: int) -> np.ndarray:
    """A recording repeated or cut to a length, or `synthetic_speech`; float32, ``(samples,)``."""
    if source is None:
        return synthetic_speech(seconds, sample_rate, seed)
    return np.resize(read_audio(Path(source), sample_rate), round(seconds * sample_rate))


def synthetic_speech(seconds: float, sample_rate: int, seed: int) -> np.ndarray:
    """Gliding harmonics under formants, bursts of noise, and pauses with a little room noise.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    seed : int
        The same seed gives the same waveform.

    Returns
    -------
    ndarray
        float32, ``(samples,)``, peak 0.5.
    """
    rng = np.random.default_rng(seed)
    samples = rng.normal(0, _ROOM_NOISE, round(seconds * sample_rate))
    begin = 0
    while begin < len(samples):
        length = min(round(rng.uniform(*_PIECE_S) * sample_rate), len(samples) - begin)
        kind = rng.choice(3, p=(_VOICED, _BURST, _PAUSE))
        if kind == 0:
            samples[begin : begin + length] += _voiced(length, sample_rate, rng)
        elif kind == 1:
            decay = np.exp(-np.linspace(0, 5, length))
            samples[begin : begin + length] += 0.3 * decay * np.diff(rng.normal(size=length + 1))
        begin += length
    return np.asarray(_PEAK * samples / np.abs(samples).max(), dtype=np.float32)


def _voiced(length: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    f0_hz = _glide(_F0_HZ, length, rng)
    harmonics = np.arange(1, int(sample_rate / 2 / f0_hz.min()) + 1)[:, None]
    freqs_hz = harmonics * f0_hz
    loudness = np.zeros_like(freqs_hz)
    for formant_hz, width_hz, gain in zip(_FORMANTS_HZ, _BANDWIDTHS_HZ, _GAINS, strict=True):
        centre_hz = _glide(formant_hz, length, rng)
        loudness += gain / (1 + ((freqs_hz - centre_hz) / width_hz) ** 2)
    loudness[freqs_hz >= sample_rate / 2] = 0
    phase = 2 * np.pi * np.cumsum(f0_hz) / sample_rate
    voice = (loudness * np.sin(harmonics * phase)).sum(axis=0)
    return np.asarray(voice * np.hanning(length))


def _glide(range_hz: tuple[float, float], length: int, rng: np.random.Generator) -> np.ndarray:
    return np.linspace(rng.uniform(*range_hz), rng.uniform(*range_hz), length)
