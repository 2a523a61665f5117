"""A voice drawn anew where an image has no harmonics that agree: one pitch for all bands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # its packages are imported at their first use
import torch
from torch import Tensor

from vocoder.decibels import to_decibels
from vocoder.errors import BadInput, expect_ranges
from vocoder.model.features import FLOOR_DB
from vocoder.model.weights import fits, load_network, require_kind
from vocoder.repair.envelope import envelope_db, smoother
from vocoder.repair.network import RepairNet
from vocoder.repair.neural import NetworkRepair
from vocoder.repair.pitch import NO_VOICE, pitch_track, smooth_hz
from vocoder.repair.pitch_network import PitchNet
from vocoder.repair.postfilter import postfilter
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse, bin_centres_hz, to_bins

# Harmonics up to the first frequency, noise from the second on, both between.
HARMONIC_TO_HZ, NOISE_FROM_HZ = 4000.0, 9000.0
OVERSAMPLING = 16  # of the window's transform, from which harmonics are drawn
COMBS_PER_OCTAVE = 120  # of which one is drawn, 10 cents apart
# Harmonics are compared with a comb over so many bins and so much time around each pixel, and how
# far they agree is told from the bands in which generators that invent the pitch lose it first.
AGREEMENT_BINS, AGREEMENT_FRAMES = 31, 3.0
AGREEMENT_FROM_HZ, AGREEMENT_TO_HZ = 800.0, 2500.0
TRUST_FRAMES = 120.0  # standard deviation over which trust changes: a second and a half
NOISE_FRAMES = 1024  # of noise, repeated
# Inversion roughens what it is given: with all of the contrast of noise, in decibels, there is too
# much in the end (recipes/repair.md).
NOISE_CONTRAST = 0.3
# Beyond so many frames nothing depends on what is there: trust ends four deviations away, and a
# track with the voice there.
TRACK_FRAMES = 640


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Source and filter: harmonics of one pitch, and noise, under the envelope of an image.

    A generator that has to invent the pitch (whisper to voice, say) draws harmonics that are
    broken, doubled and disagree from band to band, and a regression cannot tell which of them are
    right. Where that is so, the fine structure is drawn (Fant, "Acoustic theory of speech
    production", 1960): a comb of the pitch that a `PitchNet` reads, one for all bands, or noise.
    Where the image's own harmonics agree with that pitch, they say more and stay.

    Parameters
    ----------
    agree_none, agree_full : float
        Correlations of the image's harmonics with the comb up to which all is drawn, and from which
        the image is kept, -1 to 1.
    smooth_frames, smooth_pitch_frames : float
        Standard deviations of the smoothing of the drawn envelope and of the pitch over time, in
        frames.
    seed : int
        Of the noise.
    """

    agree_none: float
    agree_full: float
    smooth_frames: float
    smooth_pitch_frames: float
    seed: int

    def __post_init__(self) -> None:
        if not -1 <= self.agree_none < self.agree_full <= 1:
            raise BadInput(
                f"repair.voice.agree_none is {self.agree_none} and agree_full {self.agree_full}; "
                "expected -1 to 1, and the second above the first",
                key="repair.voice.agree_none.range",
            )
        limits = {"smooth_frames": (0, 100), "smooth_pitch_frames": (0, 100)}
        expect_ranges(self, "repair.voice", **limits)

    @torch.inference_mode()
    def draw(
        self,
        repaired: Tensor,
        sharpened: Tensor,
        log_probabilities: Tensor,
        spec: SpectrogramSpec,
        first_frame: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Draw the voice of one image where its own harmonics cannot be trusted.

        Parameters
        ----------
        repaired, sharpened : Tensor
            ``(bins, frames)`` in dB: the image that tells the envelope, and what of it is kept.
        log_probabilities : Tensor
            ``(pitches + 1, frames)``, of a `PitchNet`.
        first_frame : int
            Of the image within a longer one.

        Returns
        -------
        drawn : Tensor
            ``(bins, frames)`` in dB.
        trust : Tensor
            ``(frames,)``: how much of the image was kept, 0 to 1.
        """
        track = pitch_track(log_probabilities.cpu().numpy())
        image = repaired.cpu().clamp(min=FLOOR_DB)
        envelope = envelope_db(image, track, spec).numpy()
        trust = self._trust(image.numpy() - envelope, track, spec)
        if self.smooth_frames:
            envelope = scipy.ndimage.gaussian_filter1d(envelope, self.smooth_frames, axis=1)
        voiced = torch.from_numpy(track != NO_VOICE).float()
        hz = torch.from_numpy(bin_centres_hz(spec)).float()[:, None]
        harmonic = ((NOISE_FROM_HZ - hz) / (NOISE_FROM_HZ - HARMONIC_TO_HZ)).clamp(0, 1) * voiced
        noise = _noise_power(spec, self.seed)[
            :, (first_frame + torch.arange(len(track))) % NOISE_FRAMES
        ]
        comb = combs(spec, smooth_hz(track, self.smooth_pitch_frames))
        fine = harmonic * comb + (1 - harmonic) * noise
        drawn = torch.from_numpy(envelope) + 10 * torch.log10(fine + 1e-6)
        kept = torch.from_numpy(trust).float()
        mixed = torch.lerp(drawn.to(sharpened), sharpened, kept.to(sharpened))
        return mixed, kept.to(sharpened)

    def _trust(self, fine_db: np.ndarray, track: np.ndarray, spec: SpectrogramSpec) -> np.ndarray:
        """How far the harmonics around every frame agree with the track, 0 to 1."""
        voiced = (track != NO_VOICE).astype(float)
        bins = bin_centres_hz(spec)
        middle = (bins > AGREEMENT_FROM_HZ) & (bins < AGREEMENT_TO_HZ)
        # Smoothed, the pitch follows true harmonics less exactly.
        comb_db = 10 * np.log10(combs(spec, smooth_hz(track, 0)).numpy() + 1e-2)
        agreement = _correlation(fine_db.clip(-20, 10), comb_db, voiced)[middle].mean(0)
        # Between voices, as around them; without any, as where harmonics agree.
        weight = scipy.ndimage.gaussian_filter1d(voiced, TRUST_FRAMES, mode="constant") + 1e-6
        mean = scipy.ndimage.gaussian_filter1d(agreement * voiced, TRUST_FRAMES, mode="constant")
        mean = (mean + 1e-6 * self.agree_full) / weight
        trust = (mean - self.agree_none) / (self.agree_full - self.agree_none)
        return np.asarray(trust.clip(0, 1))


@dataclass(frozen=True, kw_only=True)
class VoiceRepair(NetworkRepair):
    """A network's repair, with the voice drawn anew where the image's harmonics disagree.

    Parameters
    ----------
    pitch : str
        Weights of the `PitchNet`, as ``weights``. Those that come with the package are used where
        they fit the spec; elsewhere, and where the network repairs several analyses, nothing is
        drawn.
    weights, strength, n_shifts, postfilter, chunk_frames, device
        Of the network; see `NetworkRepair`.
    """

    pitch: str
    voice: Voice

    def __post_init__(self) -> None:
        super().__post_init__()
        require_kind(self.pitch, PitchNet)

    def context_frames(self, network: RepairNet) -> int:
        return super().context_frames(network) + TRACK_FRAMES

    def repaired(
        self, network: RepairNet, decibels: Tensor, first_frame: int
    ) -> tuple[Tensor, Tensor]:
        spec = network.spec
        if not fits(self.pitch, spec) or len(network.specs) > 1:
            return super().repaired(network, decibels, first_frame)
        image = network.averaged(decibels, self.n_shifts)
        sharp = postfilter(image, self.postfilter, spec)
        pitches = load_network(self.pitch, PitchNet, spec, decibels.device)(decibels, image)
        drawn = [
            self.voice.draw(*one, spec, first_frame)
            for one in zip(image, sharp, pitches, strict=True)
        ]
        images, trust = (torch.stack(tensors) for tensors in zip(*drawn, strict=True))
        return images, trust


def _correlation(image: np.ndarray, comb: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Correlation of two images around each pixel, frames counting as much as ``weight``."""

    def around(x: np.ndarray) -> np.ndarray:
        bands = scipy.ndimage.uniform_filter1d(x, AGREEMENT_BINS, axis=0, mode="nearest")
        return np.asarray(
            scipy.ndimage.gaussian_filter1d(bands, AGREEMENT_FRAMES, axis=1, mode="nearest")
        )

    def centred(x: np.ndarray) -> np.ndarray:
        return np.asarray(
            x - scipy.ndimage.uniform_filter1d(x, AGREEMENT_BINS, axis=0, mode="nearest")
        )

    ours, wanted = centred(image), centred(comb)
    products = (around(a * b * weight) for a, b in ((ours, wanted), (ours, ours), (wanted, wanted)))
    both, own, other = products
    return np.asarray(both / np.sqrt(own * other + 1e-6))


def combs(spec: SpectrogramSpec, hz: np.ndarray) -> Tensor:
    """Powers of equally strong harmonics, ``(bins, frames)``, of every frame's pitch, ``(frames,)``
    in Hz."""
    steps, which = np.unique(np.rint(np.log2(hz) * COMBS_PER_OCTAVE), return_inverse=True)
    return torch.stack([_comb(spec, int(step)) for step in steps])[which].T


@lru_cache(maxsize=1024)
@torch.inference_mode(False)
def _comb(spec: SpectrogramSpec, step: int) -> Tensor:
    """That of one pitch, ``(bins,)``; its mean over the pitch is one, as that of noise is."""
    pitch_hz, step_hz = 2 ** (step / COMBS_PER_OCTAVE), spec.sample_rate / spec.n_fft
    lobe = _lobe(spec.n_fft)
    harmonics = np.arange(pitch_hz, spec.sample_rate / 2 + pitch_hz, pitch_hz)[:, None]
    apart = np.rint((np.arange(spec.n_freqs) * step_hz - harmonics) / (step_hz / OVERSAMPLING))
    power = lobe[np.abs(apart).astype(int).clip(max=len(lobe) - 1)].sum(0)
    linear = torch.from_numpy(power ** (spec.power / 2)).float()
    shown = to_decibels(to_bins(linear[None, :, None], spec), spec)[0, :, 0]
    comb = 10 ** (shown / 10)
    return comb / (smoother(spec, pitch_hz) @ comb)


@lru_cache(maxsize=8)
def _lobe(n_fft: int) -> np.ndarray:
    """Powers of the window's transform from its middle on, then 0; `OVERSAMPLING` steps a bin."""
    window = np.hanning(n_fft + 1)[:-1]
    return np.append(np.abs(np.fft.rfft(window, n_fft * OVERSAMPLING)) ** 2, 0)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _noise_power(spec: SpectrogramSpec, seed: int) -> Tensor:
    """Powers of white noise, ``(bins, NOISE_FRAMES)``, with a mean of one over time in a bin."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(1, spec.n_samples(NOISE_FRAMES) + spec.n_fft, generator=generator)
    decibels = analyse(samples, spec).decibels[0, :, :NOISE_FRAMES]
    power = 10 ** (NOISE_CONTRAST * decibels / 10)
    return power / power.mean(dim=1, keepdim=True)
