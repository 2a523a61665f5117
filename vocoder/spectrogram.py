"""Spectrogram, and the only STFT and mel code of the package, in torch on any device.

Arrays have the shape ``(batch, bins, frames)``, but lie in memory frame by frame, which is the
order that the FFT reads and writes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vocoder.decibels import to_decibels, to_linear
from vocoder.errors import BadInput
from vocoder.spec import MIN_COVERAGE, SpectrogramSpec, window_samples


class Constraint(ABC):
    """What a file leaves open: the decibels that would have given the same file."""

    margin_frames: ClassVar[int] = 0  # on either side of a frame that its projection depends on

    @abstractmethod
    def project(self, decibels: Tensor, first_frame: int) -> Tensor:
        """Move decibels ``(batch, bins, frames)`` to the nearest ones that the file allows.

        Parameters
        ----------
        decibels : Tensor
            Frames of the whole utterance, from ``first_frame`` on.
        """

    def project_all(self, decibels: Tensor, size: int) -> None:
        """Project a whole utterance in place, ``size`` frames at a time: an hour is large."""
        margin, total = self.margin_frames, decibels.shape[2]
        before = decibels[:, :, :0]  # the margin as it was
        for begin in range(0, total, size):
            end = min(begin + size, total)
            around = torch.cat([before, decibels[:, :, begin : end + margin]], dim=2)
            first = begin - before.shape[2]
            before = around[:, :, : end - first][:, :, -margin:] if margin else before
            here = slice(begin - first, end - first)
            decibels[:, :, begin:end] = self.project(around, first)[:, :, here]


@dataclass(frozen=True)
class _Later(Constraint):
    """A constraint of an utterance, for a piece that begins at ``begin``."""

    whole: Constraint
    begin: int

    def project(self, decibels: Tensor, first_frame: int) -> Tensor:
        return self.whole.project(decibels, self.begin + first_frame)


@dataclass(frozen=True)
class Spectrogram:
    """Decibels with what they mean and how long the waveform was.

    Parameters
    ----------
    decibels : Tensor
        ``(batch, bins, frames)``, float32, relative to a full-scale sine;
        `vocoder.decibels.SILENCE_DB` and below is silence.
    n_samples : int or None
        Length of the waveform; ``None`` where it is unknown (then as many samples as frames give).
    constraint : Constraint or None
        What the file leaves open, where it says so: a JPEG's coefficients are known only to lie in
        a cell.
    estimated : float
        How much of it is a network's estimate instead of what an image shows, 0 to 1.
    certainty : Tensor or None
        ``(batch, frames)``: how far a repair trusts the fine structure of every frame, 0 to 1;
        ``None`` where nothing was repaired.
    strength : float
        How much of a repair it got, 0 to 1; also where what came of it was brought back to what the
        file says, so that it is no estimate.
    inconsistency_db : float or None
        How far the image was from what any waveform can show, where that was measured
        (`vocoder.repair.consistency.inconsistency_db`).
    others : tuple of Spectrogram
        Further analyses of the same waveform, with windows of other lengths. Repairs, and inverters
        that know of no others, take this one alone; phase retrieval finds the waveform that
        explains all.
    weight : float
        How much it counts beside others.
    """

    decibels: Tensor
    spec: SpectrogramSpec
    n_samples: int | None = None
    constraint: Constraint | None = None
    estimated: float = 0.0
    certainty: Tensor | None = None
    strength: float = 0.0
    inconsistency_db: float | None = None
    others: tuple[Spectrogram, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        kind = getattr(self.decibels, "dtype", type(self.decibels).__name__)
        if kind != torch.float32:
            raise BadInput(
                f"spectrogram is of type {kind}; expected a tensor of float32, such as "
                "torch.from_numpy(decibels).float() is",
                key="spectrogram.type",
            )
        shape = tuple(self.decibels.shape)
        if self.decibels.ndim != 3 or shape[1] != self.spec.bins or shape[2] < 1:
            raise BadInput(
                f"spectrogram has shape {shape}; expected (batch, {self.spec.bins}, frames) "
                f"for {self.spec.describe()}",
                key="spectrogram.shape",
            )
        if self.n_samples is not None and self.spec.n_frames(self.n_samples) != shape[2]:
            raise BadInput(
                f"{self.n_samples} samples give {self.spec.n_frames(self.n_samples)} frames, "
                f"but the spectrogram has {shape[2]}",
                key="spectrogram.length",
            )
        grid = (self.spec.sample_rate, self.spec.hop_length, self.spec.center, shape)
        for one in self.others:
            spec = one.spec
            found = (spec.sample_rate, spec.hop_length, spec.center, tuple(one.decibels.shape))
            if found != grid or one.others:
                raise BadInput(
                    f"an analysis of {spec.describe()} with {one.n_frames} frames does not lie on "
                    f"the grid of {self.spec.describe()} with {shape[2]}",
                    key="spectrogram.others",
                )

    @property
    def analyses(self) -> tuple[Spectrogram, ...]:
        """This one and the others."""
        return (self, *self.others)

    @property
    def specs(self) -> tuple[SpectrogramSpec, ...]:
        """What the numbers of all analyses mean."""
        return tuple(one.spec for one in self.analyses)

    @property
    def stacked(self) -> Tensor:
        """The decibels of all analyses, one below the other, ``(batch, bins, frames)``."""
        if not self.others:  # an hour of it is not copied
            return self.decibels
        return torch.cat([one.decibels for one in self.analyses], dim=1)

    def restacked(self, decibels: Tensor) -> Spectrogram:
        """The same with the decibels of all analyses replaced, given as `stacked` has them."""
        sizes = [spec.bins for spec in self.specs]
        first, *others = torch.split(decibels, sizes, dim=1)
        pairs = zip(self.others, others, strict=True)
        return replace(
            self, decibels=first, others=tuple(replace(one, decibels=db) for one, db in pairs)
        )

    @property
    def members(self) -> list[Spectrogram]:
        """Batches of one each."""
        return [
            replace(
                self,
                decibels=self.decibels[row : row + 1],
                others=tuple(one.members[row] for one in self.others),
            )
            for row in range(len(self.decibels))
        ]

    @property
    def n_frames(self) -> int:
        """Frames of the spectrogram."""
        return self.decibels.shape[2]

    @property
    def repaired(self) -> dict[str, float]:
        """What a repair did, for reports; empty where it did nothing.

        ``strength`` is how much of a network's repair the image got, ``drawn`` how much of its
        harmonics was drawn anew (`vocoder.repair.voice.Voice`), both 0 to 1.
        """
        if self.certainty is None:
            return {}
        drawn = 1 - float(self.certainty.mean())
        return {"strength": round(self.strength, 3), "drawn": round(drawn, 3)}

    @property
    def length(self) -> int:
        """Samples of the waveform that this spectrogram becomes."""
        return self.spec.n_samples(self.n_frames) if self.n_samples is None else self.n_samples

    @property
    def linear(self) -> Tensor:
        """Magnitudes or powers, as the spec says, ``(batch, bins, frames)``."""
        return to_linear(self.decibels, self.spec)

    def frames(self, begin: int, end: int) -> Spectrogram:
        """Cut out the frames from ``begin`` up to but without ``end``."""
        whole = begin == 0 and end == self.n_frames
        return replace(
            self,
            decibels=self.decibels[:, :, begin:end],
            n_samples=self.n_samples if whole else None,
            constraint=None if self.constraint is None else _Later(self.constraint, begin),
            certainty=None if self.certainty is None else self.certainty[:, begin:end],
            others=tuple(one.frames(begin, end) for one in self.others),
        )

    def to(self, device: torch.device) -> Spectrogram:
        """The same on another device."""
        others = tuple(one.to(device) for one in self.others)
        return replace(self, decibels=self.decibels.to(device), others=others)


def analyse(samples: Tensor, spec: SpectrogramSpec) -> Spectrogram:
    """Analyse waveforms.

    Parameters
    ----------
    samples : Tensor
        ``(batch, samples)``, float32, -1 to 1.

    Returns
    -------
    Spectrogram
        On the device of ``samples``.
    """
    linear = analyse_linear(samples, spec)
    return Spectrogram(to_decibels(linear, spec), spec, samples.shape[1])


def analyse_linear(samples: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Magnitudes or powers of ``(batch, samples)``, as the spec says, ``(batch, bins, frames)``."""
    if samples.ndim != 2:
        raise BadInput(
            f"waveform has shape {tuple(samples.shape)}; expected (batch, samples)",
            key="waveform.shape",
        )
    magnitude = stft(samples, spec).abs()
    return to_bins(magnitude if spec.power == 1 else magnitude.square(), spec)


def to_bins(linear: Tensor, spec: SpectrogramSpec) -> Tensor:
    """STFT magnitudes or powers ``(batch, n_freqs, frames)`` to the spec's bins: mel bands, or
    the linear bins without Nyquist where the spec drops it."""
    if spec.kind == "mel":
        return (linear.mT @ mel_filters(spec, linear.device).mT).mT
    return linear[:, : spec.bins]


def stft(samples: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Transform ``(batch, samples)`` to a complex STFT ``(batch, n_freqs, frames)``."""
    half, mode = spec.padding, spec.pad_mode.removesuffix("_same")
    shortest = max(spec.n_fft - 2 * half, half + 1 if half and mode == "reflect" else 1)
    if samples.shape[1] < shortest:
        raise BadInput(
            f"waveform of {samples.shape[1]} samples is too short; this spec needs at least "
            f"{shortest}",
            key="waveform.short",
        )
    if half:
        samples = functional.pad(samples[:, None], (half, half), mode=mode)[:, 0]
    return stft_of_padded(samples, spec)


def istft(transform: Tensor, spec: SpectrogramSpec, n_samples: int) -> Tensor:
    """Least-squares inverse of `stft` (Griffin and Lim 1984, eq. 6), to ``(batch, n_samples)``."""
    half = spec.padding
    samples = istft_to_padded(transform, spec)[:, half : half + n_samples]
    return functional.pad(samples, (0, n_samples - samples.shape[1]))


def stft_of_padded(samples: Tensor, spec: SpectrogramSpec) -> Tensor:
    """STFT without padding: frame ``t`` begins at sample ``t * hop_length``.

    Iterative inverters go back and forth between this and `istft_to_padded`: their signal
    includes the padding, so that the outermost frames constrain it like all others.
    """
    window = analysis_window(spec, samples.device)
    frames = samples.unfold(-1, spec.n_fft, spec.hop_length) * window
    transform: Tensor = torch.fft.rfft(frames)
    return transform.mT


def istft_to_padded(transform: Tensor, spec: SpectrogramSpec) -> Tensor:
    """Least-squares inverse of `stft_of_padded`, to ``(batch, (frames - 1) * hop + n_fft)``."""
    device = transform.device
    frames = torch.fft.irfft(transform.mT, n=spec.n_fft) * analysis_window(spec, device)
    return overlap_add(frames, spec.hop_length) * _inverse_envelope(spec, frames.shape[1], device)


def overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Sum frames ``(batch, frames, n)`` at their places: whole hops are added as blocks."""
    batch, n_frames, n = frames.shape
    per_frame = math.ceil(n / hop_length)
    if missing := per_frame * hop_length - n:
        frames = functional.pad(frames, (0, missing))
    frames = frames.view(batch, n_frames, per_frame, hop_length)
    blocks = frames.new_zeros(batch, n_frames + per_frame - 1, hop_length)
    for k in range(per_frame):
        blocks[:, k : k + n_frames] += frames[:, :, k]
    joined: Tensor = blocks.view(batch, -1)
    return joined[:, : (n_frames - 1) * hop_length + n]


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is cached here, training uses too
def analysis_window(spec: SpectrogramSpec, device: torch.device) -> Tensor:
    """The window of every frame, ``(n_fft,)``, float32."""
    return torch.from_numpy(window_samples(spec)).to(device, torch.float32)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is cached here, training uses too
def _inverse_envelope(spec: SpectrogramSpec, n_frames: int, device: torch.device) -> Tensor:
    """One over the sum of squared windows."""
    return inverted_coverage(squared_windows(spec, n_frames, device))


def squared_windows(spec: SpectrogramSpec, n_frames: int, device: torch.device) -> Tensor:
    """Their sum over all frames, ``(1, (frames - 1) * hop + n_fft)``."""
    squared = analysis_window(spec, device).square().expand(1, n_frames, -1)
    return overlap_add(squared, spec.hop_length)


def inverted_coverage(envelope: Tensor) -> Tensor:
    """One over a sum of squared windows; bounded where only the tip of a window reaches."""
    return 1 / envelope.clamp(min=MIN_COVERAGE * float(envelope.max()))


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is cached here, training uses too
def mel_filters(spec: SpectrogramSpec, device: torch.device) -> Tensor:
    """Triangular mel filters, ``(n_mels, n_freqs)``, float32.

    Slaney's scale (Auditory Toolbox, 1998) is linear below 1 kHz and logarithmic above; HTK's is
    2595 log10(1 + f / 700) (Young et al., The HTK Book).
    """
    corners = mel_points_hz(spec, more=2)
    freqs = np.linspace(0, spec.sample_rate / 2, spec.n_freqs)
    width = np.diff(corners)[:, None]
    ramps = corners[:, None] - freqs
    rising, falling = -ramps[:-2] / width[:-1], ramps[2:] / width[1:]
    weights = np.maximum(0, np.minimum(rising, falling))
    if spec.mel_norm == "slaney":
        weights *= 2 / (corners[2:] - corners[:-2])[:, None]
    elif spec.mel_norm == "sum":
        total = weights.sum(axis=1, keepdims=True)
        weights /= np.where(total > 0, total, 1)
    return torch.from_numpy(weights).to(device, torch.float32)


def bin_centres_hz(spec: SpectrogramSpec) -> np.ndarray:
    """Where the bins of a spectrogram lie, ``(bins,)``: of mel bands their centres of gravity."""
    freqs = np.linspace(0, spec.sample_rate / 2, spec.n_freqs)
    if spec.kind != "mel":
        return freqs[: spec.bins]
    filters = mel_filters(spec, torch.device("cpu")).double().numpy()
    # A band narrower than the bins' distance may hold none of them.
    return np.asarray(filters @ freqs / np.maximum(filters.sum(axis=1), 1e-9))


def mel_points_hz(spec: SpectrogramSpec, more: int = 0) -> np.ndarray:
    """As many frequencies as mel bands, or more, equally far apart in mel from ``fmin`` to
    ``fmax``."""
    if spec.n_mels is None or spec.fmin is None or spec.fmax is None:
        raise BadInput("linear bins have no mel bands; expected spec.kind=mel", "spec.kind.range")
    ends = _hz_to_mel(np.array([spec.fmin, spec.fmax]), spec)
    return _mel_to_hz(np.linspace(ends[0], ends[1], spec.n_mels + more), spec)


# Slaney's scale: 3 mel for 200 Hz up to 1 kHz, then 27 mel for every factor of 6.4.
_SLANEY_HZ_PER_MEL, _SLANEY_KNEE_HZ, _SLANEY_LOG_STEP = 200 / 3, 1000.0, math.log(6.4) / 27
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HZ / _SLANEY_HZ_PER_MEL


def _hz_to_mel(hz: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
    if spec.mel_scale == "htk":
        return np.asarray(2595 * np.log10(1 + hz / 700))
    above = _SLANEY_KNEE_MEL + np.log(np.maximum(hz, 1e-9) / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP
    return np.where(hz < _SLANEY_KNEE_HZ, hz / _SLANEY_HZ_PER_MEL, above)


def _mel_to_hz(mel: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
    if spec.mel_scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    above = _SLANEY_KNEE_HZ * np.exp(_SLANEY_LOG_STEP * (mel - _SLANEY_KNEE_MEL))
    return np.where(mel < _SLANEY_KNEE_MEL, mel * _SLANEY_HZ_PER_MEL, above)
