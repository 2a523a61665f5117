"""What generators are given: speech that lost something, with the recording as the answer.

Every one of `TASKS` takes a waveform and returns STFT magnitudes ``(513, frames)``. Those that take
the pitch away work on magnitudes alone: a spectral envelope, from the cepstrum, times the fine
structure of something else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.signal import butter, lfilter, oaconvolve, sosfiltfilt

from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import istft, stft

Rng = np.random.Generator
Task = Callable[[np.ndarray, SpectrogramSpec, Rng], np.ndarray]

# Quefrencies up to this are the vocal tract's, above it the voice's (voices up to some 400 Hz).
TRACT_S = 0.0016
SILENCE = 1e-3  # of magnitudes, -108 dB of a full-scale sine


def magnitudes(samples: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
    """STFT magnitudes, ``(n_fft / 2 + 1, frames)``."""
    waveform = torch.from_numpy(np.asarray(samples, np.float32))[None]
    return stft(waveform, spec)[0].abs().numpy()


def envelope(magnitude: np.ndarray, spec: SpectrogramSpec, tract_s: float = TRACT_S) -> np.ndarray:
    """The spectral envelope: the low quefrencies of the cepstrum (Oppenheim and Schafer 1968)."""
    cepstrum = np.fft.irfft(np.log(magnitude + SILENCE), axis=0)
    quefrency_s = (
        np.minimum(np.arange(spec.n_fft), spec.n_fft - np.arange(spec.n_fft)) / spec.sample_rate
    )
    lifter = 1 / (1 + (quefrency_s / tract_s) ** 8)
    return np.exp(np.fft.rfft(cepstrum * lifter[:, None], axis=0).real)


def voicing(magnitude: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
    """How voiced frames are, 0 to 1, from the peak of the cepstrum, ``(frames,)``."""
    cepstrum = np.fft.irfft(np.log(magnitude + 1e-3 * magnitude.max() + SILENCE), axis=0)
    peak = cepstrum[round(0.0022 * spec.sample_rate) : round(0.014 * spec.sample_rate)].max(0)
    return np.asarray(gaussian_filter1d(np.clip((peak - 0.08) / 0.08, 0, 1), 1.5))


def fine_structure(excitation: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
    """An excitation's spectrum without its envelope."""
    magnitude = magnitudes(excitation, spec)
    return np.asarray(magnitude / envelope(magnitude, spec))


def pulses(pitch_hz: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
    """A pulse at every period of a pitch that is given sample by sample."""
    phase = np.cumsum(pitch_hz / spec.sample_rate)
    return np.diff(np.floor(phase), prepend=0.0)


def telephone(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """A narrow band, mu-law with few levels, noise; a waveform."""
    band = (rng.uniform(200, 400), rng.uniform(2800, 3800))
    narrow = sosfiltfilt(butter(4, band, "bandpass", fs=spec.sample_rate, output="sos"), samples)
    noisy = narrow + rng.normal(0, 10 ** (rng.uniform(-65, -40) / 20), samples.size)
    mu = 255.0
    compressed = np.sign(noisy) * np.log1p(mu * np.abs(noisy)) / np.log1p(mu)
    levels = 2 ** rng.uniform(4, 7)
    coarse = np.rint(compressed * levels) / levels
    return np.asarray(np.sign(coarse) * np.expm1(np.abs(coarse) * np.log1p(mu)) / mu)


def noise(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """Noise of any colour at -5 to 15 dB; a waveform."""
    coloured = lfilter([1], [1, -rng.uniform(0, 0.98)], rng.normal(size=samples.size))
    ratio_db = rng.uniform(-5, 15)
    return np.asarray(samples + coloured * samples.std() / coloured.std() / 10 ** (ratio_db / 20))


def room(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """A room's response: noise that decays by 60 dB in .4 to 1.2 s; a waveform."""
    length_s = rng.uniform(0.4, 1.2)
    time_s = np.arange(round(length_s * spec.sample_rate)) / spec.sample_rate
    response = rng.normal(size=time_s.size) * 10 ** (-3 * time_s / length_s)
    response *= rng.uniform(0.5, 2) / np.linalg.norm(response)
    response[0] = 1
    return np.asarray(oaconvolve(samples, response)[: samples.size])


def codec(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """A codec at a low rate: coarse levels, nothing below what it takes to be masked."""
    magnitude = magnitudes(samples, spec)
    step_db, mask_db = rng.uniform(3, 9), rng.uniform(3, 12)
    coarse = 10 ** (np.rint(20 * np.log10(magnitude + SILENCE) / step_db) * step_db / 20)
    threshold = gaussian_filter1d(magnitude, 12, axis=0) * 10 ** (-mask_db / 20)
    top = round(rng.uniform(4000, 9000) / spec.sample_rate * spec.n_fft)
    return np.where((coarse > threshold) & (np.arange(len(coarse)) < top)[:, None], coarse, 0)


def whisper(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """The envelope over noise."""
    fine = fine_structure(rng.normal(size=samples.size), spec)
    return np.asarray(envelope(magnitudes(samples, spec), spec) * fine)


def whispered(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """A waveform near to `whisper`, ``(samples,)``."""
    noise = torch.from_numpy(rng.normal(size=samples.size).astype(np.float32))[None]
    phase = stft(noise, spec).angle()
    linear = torch.from_numpy(whisper(samples, spec, rng)).float()[None]
    return istft(torch.polar(linear, phase), spec, samples.size)[0].numpy()


def buzz(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """The envelope over pulses whose pitch wanders, without regard to what is voiced."""
    steps = gaussian_filter1d(rng.normal(size=samples.size // spec.hop_length + 2), 20) * 2
    wander = np.interp(np.arange(samples.size) / spec.hop_length, np.arange(steps.size), steps)
    fine = fine_structure(pulses(rng.uniform(90, 250) * 2**wander, spec), spec)
    return np.asarray(envelope(magnitudes(samples, spec), spec) * fine)


def monotone(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """One pitch for all that is voiced."""
    magnitude = magnitudes(samples, spec)
    flat = pulses(np.full(samples.size, rng.uniform(80, 260)), spec)
    tonal = fine_structure(flat, spec)
    rough = fine_structure(rng.normal(size=samples.size), spec)
    share = voicing(magnitude, spec)
    return np.asarray(envelope(magnitude, spec) * (share * tonal + (1 - share) * rough))


def shifted(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """Another pitch in the same vocal tract."""
    return _warped(samples, spec, 1.0, _ratio(rng, 1.15, 1.6))


def voice(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """Another speaker: vocal tract and pitch both of another size."""
    return _warped(samples, spec, _ratio(rng, 1.08, 1.25), _ratio(rng, 1.1, 1.5))


def hum(samples: np.ndarray, spec: SpectrogramSpec, rng: Rng) -> np.ndarray:
    """Pitch and loudness, and of the vocal tract only what is slow and broad."""
    magnitude = magnitudes(samples, spec)
    broad = envelope(magnitude, spec, 0.0004)
    blurred = np.exp(gaussian_filter1d(np.log(broad), rng.uniform(2, 5), axis=1))
    return np.asarray(blurred * magnitude / envelope(magnitude, spec))


def _ratio(rng: Rng, low: float, high: float) -> float:
    return float(rng.uniform(low, high) ** rng.choice([-1, 1]))


def _warped(samples: np.ndarray, spec: SpectrogramSpec, tract: float, pitch: float) -> np.ndarray:
    """Envelope and fine structure stretched along frequency."""
    magnitude = magnitudes(samples, spec)
    smooth = envelope(magnitude, spec)
    fine = np.log(magnitude + SILENCE) - np.log(smooth)
    fine = np.where(np.abs(fine) < 6, fine, median_filter(fine, (5, 1)))
    bins = np.arange(len(magnitude))
    log = np.empty_like(magnitude)
    for frame in range(magnitude.shape[1]):
        # Beyond the Nyquist frequency the fine structure begins anew.
        log[:, frame] = np.interp(bins / tract, bins, np.log(smooth[:, frame]))
        log[:, frame] += np.interp(bins / pitch % bins[-1], bins, fine[:, frame])
    return np.asarray(np.exp(log))


def _analysed(task: Task) -> Task:
    return lambda samples, spec, rng: magnitudes(task(samples, spec, rng), spec)


_SPOKEN = {task.__name__: task for task in (telephone, noise, room)}
# As waveforms, for images of several analyses.
WAVEFORMS: dict[str, Task] = {**_SPOKEN, "whisper": whispered}
TASKS: dict[str, Task] = {
    # The pitch is kept.
    **{name: _analysed(task) for name, task in _SPOKEN.items()},
    "codec": codec,
    # The pitch, or all but it, is invented.
    **{task.__name__: task for task in (whisper, buzz, monotone, shifted, hum)},
    "voice": voice,
}
