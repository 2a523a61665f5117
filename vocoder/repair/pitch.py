"""What a spectrogram says about the pitch: strengths of all pitches, and one track through them."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import scipy  # its packages are imported at their first use
import torch
from torch import Tensor

from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import bin_centres_hz

# Fundamental frequencies that are told apart, of speaking voices, excited ones included.
MIN_PITCH_HZ, MAX_PITCH_HZ, PITCHES_PER_OCTAVE = 55.0, 600.0, 48
# Harmonics above this are blurred in the spectrograms of most specs.
MAX_HARMONIC_HZ = 3500.0
# A track pays so much, in nats, for every step of a pitch to the next frame, up to so many steps;
# and so much for beginning or ending a voice.
STEP_COST, MAX_STEPS, SWITCH_COST = 0.08, 16, 4.0
NO_VOICE = -1


def pitches_hz() -> np.ndarray:
    """The pitches that are told apart, ``(pitches,)``."""
    steps = np.arange(math.log2(MAX_PITCH_HZ / MIN_PITCH_HZ) * PITCHES_PER_OCTAVE)
    return np.asarray(MIN_PITCH_HZ * 2 ** (steps / PITCHES_PER_OCTAVE))


def pitch_strengths(decibels: Tensor, spec: SpectrogramSpec) -> Tensor:
    """How well each pitch explains a spectrogram, ``(batch, pitches, frames)``, -1 to 1.

    Square roots of the magnitudes, normalised in every frame, times a cosine that has a peak at
    each harmonic, falling with frequency (Camacho and Harris 2008, eqs. 3 to 7, with the bins'
    own spacing for that in ERB).
    """
    roots = (decibels * (math.log(10) / 40)).exp()
    shape = roots / torch.linalg.vector_norm(roots, dim=1, keepdim=True).clamp(min=1e-6)
    strengths: Tensor = _pitch_kernels(spec, decibels.device) @ shape
    return strengths


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _pitch_kernels(spec: SpectrogramSpec, device: torch.device) -> Tensor:
    """What `pitch_strengths` weights the bins with, ``(pitches, bins)``."""
    candidates = pitches_hz()[:, None]
    centres = bin_centres_hz(spec)
    harmonic = centres / candidates
    # Full peaks, valleys of half the depth since each has two neighbours, nothing below the first
    # valley.
    peak = np.abs(harmonic - harmonic.round()) < 1 / 4
    kernels = np.cos(2 * math.pi * harmonic) * np.where(peak, 1.0, 0.5)
    kernels *= (harmonic > 1 / 4) & (centres < MAX_HARMONIC_HZ)
    kernels *= np.gradient(centres) / np.maximum(centres, candidates / 4)
    kernels /= np.linalg.norm(kernels.clip(min=0), axis=1, keepdims=True)
    return torch.from_numpy(kernels).to(device, torch.float32)


def pitch_track(log_probabilities: np.ndarray) -> np.ndarray:
    """Find the most probable track through pitches (Viterbi 1967).

    Parameters
    ----------
    log_probabilities : ndarray
        ``(pitches + 1, frames)``, natural logarithms; the last row is that there is no voice.

    Returns
    -------
    ndarray
        ``(frames,)``: numbers of pitches, `NO_VOICE` where there is none.
    """
    # Whether there is a voice is decided by the sum over all pitches, which of them by the ratios.
    voiced, silent = log_probabilities[:-1], log_probabilities[-1]
    strengths = voiced - voiced.max(axis=0) + np.logaddexp.reduce(voiced, axis=0)
    n_pitches, n_frames = strengths.shape
    came_from = np.zeros((n_pitches + 1, n_frames), np.int32)
    costs = STEP_COST * np.abs(np.arange(-MAX_STEPS, MAX_STEPS + 1))
    everywhere = np.arange(n_pitches)
    score = np.append(strengths[:, 0], silent[0])
    for frame in range(1, n_frames):
        near = np.lib.stride_tricks.sliding_window_view(
            np.pad(score[:-1], MAX_STEPS, constant_values=-np.inf), 2 * MAX_STEPS + 1
        )
        step = (near - costs).argmax(axis=1)
        going_on = near[everywhere, step] - costs[step]
        begins = score[-1] - SWITCH_COST > going_on
        came_from[:-1, frame] = np.where(begins, n_pitches, everywhere + step - MAX_STEPS)
        best = int(score[:-1].argmax())
        ends = score[best] - SWITCH_COST > score[-1]
        came_from[-1, frame] = best if ends else n_pitches
        score = np.append(
            np.where(begins, score[-1] - SWITCH_COST, going_on) + strengths[:, frame],
            (score[best] - SWITCH_COST if ends else score[-1]) + silent[frame],
        )
    track = np.zeros(n_frames, np.int64)
    track[-1] = score.argmax()
    for frame in range(n_frames - 1, 0, -1):
        track[frame - 1] = came_from[track[frame], frame]
    return np.where(track == n_pitches, NO_VOICE, track)


def smooth_hz(track: np.ndarray, frames: float) -> np.ndarray:
    """Frequencies of a track without its steps, as glottal folds move.

    Parameters
    ----------
    track : ndarray
        ``(frames,)``, from `pitch_track`.
    frames : float
        Standard deviation of the smoothing over time, within every voice by itself.

    Returns
    -------
    ndarray
        ``(frames,)`` in Hz; the lowest pitch's where there is no voice.
    """
    pitches = np.log2(pitches_hz())[np.maximum(track, 0)]
    voices, _ = scipy.ndimage.label(track != NO_VOICE)
    for (voice,) in scipy.ndimage.find_objects(voices) if frames else ():
        pitches[voice] = scipy.ndimage.gaussian_filter1d(pitches[voice], frames, mode="nearest")
    return np.asarray(2**pitches)
