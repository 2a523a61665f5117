"""What the colours of an image may hold beside or instead of the level, and how each is inverted.

Images are ``(channels, bins, frames)``, 0 to 1, of 256 mel bands. The level is that of `gray8`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import islice

import librosa
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vocoder import load
from vocoder.decibels import to_decibels, to_linear
from vocoder.image.codec.base import Codec
from vocoder.inverter.admm import Admm
from vocoder.inverter.differences import halfway
from vocoder.inverter.joint import JointStft
from vocoder.inverter.magnitude import Target
from vocoder.inverter.phase import integrate
from vocoder.inverter.retrieval import Pin
from vocoder.model.weights import load_network
from vocoder.repair.pitch import NO_VOICE, pitches_hz
from vocoder.repair.pitch_network import PitchNet
from vocoder.repair.voice import VoiceRepair
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse, bin_centres_hz, mel_filters, stft, to_bins
from vocoder.train.tasks.pitching import heard_pitches, spread

SPEC: SpectrogramSpec = load("spec", "mel256")
GRAY = load("codec", "gray8", db_min=-92.0, db_max=-12.0)
INVERTER: Admm = load("inverter", "admm")
REPAIR: VoiceRepair = load("repair", "generated")
SPREAD_PITCHES = 3.0  # of a pitch in its plane: a ridge some eleven rows wide
MAX_OFFSET = 2.0  # bins between a frequency and its band's centre, beyond a band's own width
MAX_DELAY = math.pi / 2  # radians a bin: a quarter of the window


class Content(ABC):
    """One way of spending the channels."""

    channels: int

    @abstractmethod
    def encode(self, samples: np.ndarray) -> Tensor:
        """The image of a waveform."""

    @abstractmethod
    def inversions(self, image: Tensor) -> dict[str, Tensor]:
        """Waveforms ``(samples,)`` of an image, by what they are made from."""


class Grey(Content):
    """The level alone."""

    channels = 1

    def encode(self, samples: np.ndarray) -> Tensor:
        return level(torch.from_numpy(samples)[None], SPEC)

    def inversions(self, image: Tensor) -> dict[str, Tensor]:
        given = decibels(image)
        network = load_network(REPAIR.pitch, PitchNet, SPEC, torch.device("cpu"))
        voice, _ = REPAIR.voice.draw(given[0], given[0], network(given, given)[0], SPEC)
        return {
            "level": invert(Spectrogram(given, SPEC)),
            "level, voice drawn at the pitch read from it": invert(Spectrogram(voice[None], SPEC)),
        }


@dataclass(frozen=True)
class Windows(Content):
    """Levels under windows of three lengths, as codec ``windows``."""

    red_window: int
    blue_window: int
    channels = 3

    def encode(self, samples: np.ndarray) -> Tensor:
        waveform = torch.from_numpy(samples)[None]
        return torch.cat([level(waveform, spec) for spec, _ in self._analyses()])

    def inversions(self, image: Tensor) -> dict[str, Tensor]:
        planes = [
            Spectrogram(decibels(plane[None]), spec, weight=weight)
            for plane, (spec, weight) in zip(image, self._analyses(), strict=True)
        ]
        joint = replace(planes[0], others=tuple(planes[1:]))
        return {"green": invert(planes[0]), "all windows": invert(joint)}

    def _analyses(self) -> tuple[tuple[SpectrogramSpec, float], ...]:
        windows = {"red_window": self.red_window, "blue_window": self.blue_window}
        codec: Codec = load("codec", "windows", **windows)
        return codec.analyses(SPEC)


class HarmonicPercussive(Content):
    """All, what is steady in time, and what is not (Fitzgerald 2010, by librosa)."""

    channels = 3

    def encode(self, samples: np.ndarray) -> Tensor:
        magnitude = stft(torch.from_numpy(samples)[None], SPEC)[0].abs().numpy()
        parts = (magnitude, *librosa.decompose.hpss(magnitude))
        linear = torch.from_numpy(np.stack(parts)).float()
        return levels(to_decibels(to_bins(linear, SPEC), SPEC))

    def inversions(self, image: Tensor) -> dict[str, Tensor]:
        given = decibels(image)
        parts = to_linear(given[1:], SPEC).sum(0, keepdim=True)  # bands add up, as magnitudes do
        total = to_decibels(parts, SPEC)
        return {
            "level": invert(Spectrogram(given[:1], SPEC)),
            "sum of the parts": invert(Spectrogram(total, SPEC)),
            "mean of level and sum": invert(Spectrogram((given[:1] + total) / 2, SPEC)),
        }


class Pitch(Content):
    """Level, pitch as a ridge over logarithmic frequency, and whether there is a voice."""

    channels = 3

    def encode(self, samples: np.ndarray) -> Tensor:
        image = level(torch.from_numpy(samples)[None], SPEC)
        heard = torch.from_numpy(heard_pitches(samples, image.shape[2], SPEC))[None]
        ridge = spread(heard, SPREAD_PITCHES)[:, :-1]
        ridge = _stretched(ridge / ridge.amax(1, keepdim=True).clamp(min=1e-9), SPEC.bins)
        voiced = (heard != NO_VOICE).float()[:, None].expand_as(image)
        return torch.cat([image, ridge, voiced])

    def inversions(self, image: Tensor) -> dict[str, Tensor]:
        given = decibels(image[:1])
        ridge, voiced = _stretched(image[1:2], len(pitches_hz()))[0], image[2].mean(0)
        share = ridge / ridge.sum(0).clamp(min=1e-3)
        probable = torch.cat([share * voiced, 1 - voiced[None]]).clamp(min=1e-4).log()
        voice, _ = REPAIR.voice.draw(given[0], given[0], probable, SPEC)
        return {
            "level": invert(Spectrogram(given, SPEC)),
            "level, voice drawn at the pitch in its plane": invert(Spectrogram(voice[None], SPEC)),
        }


@dataclass(frozen=True)
class PhaseDerivatives(Content):
    """Level, frequency within the band, and delay within the frame.

    ``contrast`` is that of the two, 1 for all; ``by_level`` lets it fall with the level, since
    where nothing sounds they are noise, and a loss counts noise as much as all else.
    """

    contrast: float
    by_level: bool
    channels = 3

    def encode(self, samples: np.ndarray) -> Tensor:
        waveform = torch.from_numpy(samples)[None]
        transform = stft(waveform, SPEC)[0]
        later = stft(functional.pad(waveform[:, 1:], (0, 1)), SPEC)[0]
        bins = torch.arange(SPEC.n_freqs)[:, None]
        turn = 2 * math.pi / SPEC.n_fft
        rotated = later * transform.conj() * torch.polar(torch.ones(bins.shape), -turn * bins)
        frequency = bins + rotated.angle() / turn  # in bins
        # The FFT's origin is half a frame before the window's centre.
        steps = -transform[1:] * transform[:-1].conj()
        delay = functional.pad(steps, (0, 0, 1, 0)) + functional.pad(steps, (0, 0, 0, 1))
        power = transform.abs().square() + 1e-12
        bank = mel_filters(SPEC, waveform.device)
        centres, widths = self._bands()
        offset = (bank @ (power * frequency)) / (bank @ power) - centres
        turned = (bank @ delay.real + 1j * (bank @ delay.imag)).angle() / MAX_DELAY
        image = level(waveform, SPEC)
        planes = torch.stack([offset / widths, turned]).clamp(-1, 1) * self._shares(image)
        return torch.cat([image, (planes + 1) / 2])

    def _shares(self, image: Tensor) -> Tensor:
        """How much contrast pixels of a level have, ``(1, bins, frames)``."""
        return self.contrast * (image if self.by_level else (image > 0).float())

    def inversions(self, image: Tensor) -> dict[str, Tensor]:
        spectrogram = Spectrogram(decibels(image[:1]), SPEC)
        centres, widths = self._bands()
        shares = self._shares(image[:1]).clamp(min=1e-3)
        offset, turned = ((image[1:] * 2 - 1) / shares).clamp(-1, 1)
        bins = torch.arange(SPEC.n_freqs)
        nearest = (bins[:, None] - centres[:, 0]).abs().argmin(1)
        along_time = (centres + offset * widths)[nearest] * (
            2 * math.pi * SPEC.hop_length / SPEC.n_fft
        )
        along_frequency = turned[nearest] * MAX_DELAY - math.pi
        target, joint = Target(spectrogram), JointStft.of(spectrogram)
        magnitude = target.start[0].T
        fallback = 2 * math.pi * torch.rand(magnitude.shape, generator=torch.Generator())
        logarithm = magnitude.clamp(min=magnitude.max() * 1e-8).log()
        differences = halfway(along_time.T, 0), halfway(along_frequency.T, 1)
        phase = integrate(logarithm, *differences, fallback, None)
        transform = torch.polar(magnitude, phase).T[None]
        waveforms = {"level": invert(spectrogram)}
        for n_iter in (0, INVERTER.n_iter):
            improved = INVERTER.iterations(transform.clone(), target, joint, Pin(None))
            last = next(islice(improved, n_iter - 1, None)) if n_iter else transform
            signal = joint.inverse(last)[0, SPEC.padding :]
            name = "phases in their planes" + (", then ADMM" if n_iter else "")
            waveforms[name] = signal[: spectrogram.length]
        return waveforms

    @staticmethod
    def _bands() -> tuple[Tensor, Tensor]:
        """Centres of the bands, and how far from them a frequency may lie, ``(bands, 1)``, bins."""
        centres = bin_centres_hz(SPEC) * SPEC.n_fft / SPEC.sample_rate
        widths = np.maximum(np.gradient(centres), MAX_OFFSET)
        both = (torch.from_numpy(one).float()[:, None] for one in (centres, widths))
        return next(both), next(both)


CONTENTS: dict[str, Content] = {
    "grey": Grey(),
    "windows": Windows(320, 3072),
    "windows_near": Windows(512, 2048),
    "harmonic_percussive": HarmonicPercussive(),
    "pitch": Pitch(),
    "phase": PhaseDerivatives(1.0, by_level=False),
    "phase_soft": PhaseDerivatives(0.6, by_level=True),
}


def level(waveform: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Of a waveform ``(1, samples)``."""
    return levels(analyse(waveform, spec).decibels)


def levels(given: Tensor) -> Tensor:
    """Decibels as levels 0 to 1."""
    return torch.from_numpy(GRAY.levels(given.numpy()) / GRAY.top).float()


def decibels(image: Tensor) -> Tensor:
    """Levels 0 to 1 as decibels."""
    return torch.from_numpy(GRAY.decibels((image * GRAY.top).round().numpy())).float()


def invert(spectrogram: Spectrogram) -> Tensor:
    """By ADMM."""
    return INVERTER(spectrogram)[0]


def _stretched(image: Tensor, rows: int) -> Tensor:
    return functional.interpolate(image.mT, rows, mode="linear", align_corners=True).mT
