"""A repair that draws the voice anew: one pitch a frame for all bands, and the image's envelope."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from vocoder.decibels import SILENCE_DB, to_decibels
from vocoder.errors import BadInput
from vocoder.model.features import FLOOR_DB
from vocoder.repair.envelope import envelope_db, smoother
from vocoder.repair.neural import NetworkRepair
from vocoder.repair.pitch import NO_VOICE, pitch_strengths, pitch_track, pitches_hz
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse, bin_centres_hz, to_bins

# Harmonics up to the first frequency, noise from the second on, both between.
HARMONIC_TO_HZ, NOISE_FROM_HZ = 4000.0, 9000.0
OVERSAMPLING = 16  # of the window's transform, from which harmonics are drawn


@dataclass(frozen=True, kw_only=True)
class SourceFilterRepair(NetworkRepair):
    """Takes the envelope from the repaired image, and the fine structure from a model of speech.

    A generator that has to invent the pitch (whisper to voice, say) draws harmonics that are
    broken, doubled and disagree from band to band, and a regression cannot tell which of them are
    right. Here one pitch track is found for all of the image (`vocoder.repair.pitch`); harmonics of
    that pitch, where there is one, and noise elsewhere are given the envelope of the network's
    image: source and filter (Fant, "Acoustic theory of speech production", 1960). What it gains
    there it costs where the generator kept the pitch, which the image shows better.

    Parameters
    ----------
    threshold : float
        Pitch strength above which a frame has a voice, 0 to 1.
    smooth_frames : float
        Standard deviation of the envelope's smoothing over time, in frames.
    seed : int
        Of the noise.
    weights, strength, n_shifts, postfilter, chunk_frames, device
        Of the network whose image is taken; see `NetworkRepair`.
    """

    threshold: float
    smooth_frames: float
    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, high in (("threshold", 1), ("smooth_frames", 100)):
            if not 0 <= getattr(self, name) <= high:
                raise BadInput(
                    f"repair.{name} is {getattr(self, name)}; expected 0 to {high}",
                    key=f"repair.{name}.range",
                )

    def repair(self, spectrogram: Spectrogram, strength: float) -> Spectrogram:
        """Repair with another strength than the parameter's."""
        if strength == 0:
            return spectrogram
        network = super().repair(replace(spectrogram, constraint=None), 1.0)
        given = spectrogram.decibels.clamp(min=FLOOR_DB).cpu()
        drawn = torch.stack([self._drawn(one, spectrogram.spec) for one in network.decibels])
        after = torch.lerp(given, drawn.clamp(min=FLOOR_DB), strength)
        audible = (given > FLOOR_DB) & (after > FLOOR_DB)
        decibels = torch.where(audible, after, SILENCE_DB)
        return replace(network, decibels=decibels, estimated=strength)

    @torch.inference_mode()
    def _drawn(self, decibels: Tensor, spec: SpectrogramSpec) -> Tensor:
        """One image ``(bins, frames)`` with the fine structure of the model."""
        floored = decibels.clamp(min=FLOOR_DB)
        strengths = pitch_strengths(floored[None], spec)[0]
        track = pitch_track(strengths.numpy(), self.threshold)
        envelope = envelope_db(floored, track, spec).numpy()
        if self.smooth_frames:
            envelope = gaussian_filter1d(envelope, self.smooth_frames, axis=1)
        voiced = torch.from_numpy(track != NO_VOICE).float()
        hz = torch.from_numpy(bin_centres_hz(spec)).float()[:, None]
        harmonic = ((NOISE_FROM_HZ - hz) / (NOISE_FROM_HZ - HARMONIC_TO_HZ)).clamp(0, 1) * voiced
        combs = _combs(spec)[np.maximum(track, 0)].T
        noise = _noise_power(len(track), spec, self.seed)
        fine = harmonic * combs + (1 - harmonic) * noise
        return torch.from_numpy(envelope) + 10 * torch.log10(fine + 1e-6)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _combs(spec: SpectrogramSpec) -> Tensor:
    """Powers of equally strong harmonics of every pitch, ``(pitches, bins)``; their mean over one
    pitch is one, as that of noise is."""
    step_hz = spec.sample_rate / spec.n_fft
    window = np.hanning(spec.n_fft + 1)[:-1]
    half = np.abs(np.fft.rfft(window, spec.n_fft * OVERSAMPLING)) ** 2
    lobe, middle = np.concatenate([half[:0:-1], half]), len(half) - 1
    freqs = np.arange(spec.n_freqs) * step_hz
    rows = []
    for pitch_hz in pitches_hz():
        power = np.zeros(spec.n_freqs)
        for harmonic in np.arange(pitch_hz, spec.sample_rate / 2 + pitch_hz, pitch_hz):
            apart = np.rint((freqs - harmonic) / (step_hz / OVERSAMPLING)).astype(int)
            inside = np.abs(apart) <= middle
            power[inside] += lobe[apart[inside] + middle]
        linear = torch.from_numpy(power ** (spec.power / 2)).float()
        shown = to_decibels(to_bins(linear[None, :, None], spec), spec)[0, :, 0]
        comb = 10 ** (shown / 10)
        rows.append(comb / (smoother(spec, float(pitch_hz)) @ comb))
    return torch.stack(rows)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _noise_power(n_frames: int, spec: SpectrogramSpec, seed: int) -> Tensor:
    """Powers of white noise, ``(bins, frames)``, with a mean of one over time in every bin."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(1, spec.n_samples(n_frames) + spec.n_fft, generator=generator)
    power = 10 ** (analyse(samples, spec).decibels[0, :, :n_frames] / 10)
    return power / power.mean(dim=1, keepdim=True)
