"""Mel bands that people use besides the options of ``spec=``, and which of them harmonics fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.identify.laws import MAX_BANDS, RARE, UNUSUAL, Analysis, Settings
from vocoder.identify.pitch import mel_comb
from vocoder.identify.trial import Trial
from vocoder.image.codec.law import Law

# As many columns as say where the harmonics are, and how faint they may be.
COLUMNS, WIDTH_DB, FAINT = 300, 100.0, 0.02
FIT_COUNTS = 1.5  # the power of how much weaker harmonics are than where they fit best
# How much less likely than an option is what only resembles it (see `Analysis`); what is like one
# but for a window and a hop of 1.7 times the length, or at a rate of birdsong, all the less.
OTHER, LONGER = 1.02, 1.05

COSYVOICE_2: Settings = {"sample_rate": 24000, "n_fft": 1920, "win_length": 1920, "hop_length": 480}
# The first Tacotron of keithito, and what grew from it.
KEITHITO: Settings = {"sample_rate": 20000, "n_fft": 2048, "win_length": 1000, "hop_length": 250}
KEITHITO |= {"fmin": 0.0, "fmax": 10000.0}
RVC: Settings = {"sample_rate": 40000, "n_mels": 125, "n_fft": 2048, "win_length": 2048}
RVC |= {"hop_length": 400, "fmax": 20000.0, "mel_norm": "slaney", "pad_mode": "reflect_same"}
LIBROSA_32K: Settings = {"sample_rate": 32000, "fmax": 16000.0}
# How many bands, the option that is nearest, and what differs from it. Of arrays of magnitudes:
ARRAYS: tuple[tuple[int, str, Settings], ...] = (
    (80, "autovc", {"fmin": 80.0}),  # SpeechT5
    (80, "voice_cloning", {}),
    (80, "autovc", KEITHITO),
    (80, "tacotron2", COSYVOICE_2),
    (80, "tacotron2", {"fmax": 11025.0}),
    (64, "tacotron2", {"sample_rate": 16000, "hop_length": 160, "n_mels": 64}),  # AudioLDM
    (100, "vocos", {"mel_scale": "slaney", "mel_norm": "slaney"}),  # BigVGAN
    (100, "parallel_wavegan", {"n_mels": 100, "fmin": 0.0, "fmax": 12000.0}),
    (128, "diffsinger", {}),
    (128, "mel256_44k", {"n_mels": 128, "mel_norm": "slaney"}),  # BigVGAN at 44.1 kHz
    (125, "mel256_44k", RVC),
)
# Of powers, with any number of bands: librosa's at other rates, and with other windows.
POWERS: tuple[tuple[str, Settings], ...] = (
    ("librosa_mel", {}),
    ("librosa_mel", {"sample_rate": 44100, "fmax": 22050.0}),
    ("librosa_mel", {"sample_rate": 48000, "fmax": 24000.0}),
    ("librosa_mel", LIBROSA_32K),
    ("librosa_mel", {"sample_rate": 16000, "fmax": 8000.0}),
    ("librosa_mel", {"n_fft": 1024, "win_length": 1024, "hop_length": 256}),
    ("whisper", {}),
)


def other_mels(n_mels: int, known: list[Analysis], *, is_array: bool) -> list[Analysis]:
    """Analyses that give so many mel bands, where ``known`` ones are not the same."""
    wanted = [(option, changes) for n, option, changes in ARRAYS if n == n_mels and is_array]
    if n_mels <= MAX_BANDS:
        wanted += [(option, {"n_mels": n_mels} | changes) for option, changes in POWERS]
    specs = {one.spec for one in known}
    named = any(one.spec.kind == "mel" and "n_mels" not in one.changes for one in known)
    found = []
    for option, changes in wanted:
        usual = load("spec", option)
        if n_mels > changes.get("n_fft", usual.n_fft) // 2:
            continue
        mine = {name: value for name, value in changes.items() if getattr(usual, name) != value}
        rare = changes is COSYVOICE_2 or changes.items() >= LIBROSA_32K.items()
        prior = (LONGER if rare else OTHER) * (1.0 if named else RARE)
        one = Analysis(option=option, changes=mine, prior=prior)
        if one.spec not in specs:
            specs.add(one.spec)
            found.append(one)
    if n_mels <= MAX_BANDS and not named:  # images of our own say what they are
        prior = RARE if is_array else UNUSUAL
        found.append(Analysis(option="mel256", changes={"n_mels": n_mels}, prior=prior))
    return found


def by_mel_harmonics(trial: Trial, known: list[Analysis]) -> list[Analysis]:
    """Where the same rows may be mel bands of several ranges and scales, harmonics tell which: they
    are equally far apart in Hz in the right one alone. (So do those of specshow's other axis.)"""
    piece = trial.piece(COLUMNS)
    strength = {
        index: max(FAINT, _strength(piece, one))
        for index, one in enumerate(known)
        if one.spec.kind == "mel" or one.placement.get("rows") == "specshow"
    }
    best = max(strength.values(), default=0.0)
    return [
        replace(one, misfit=(best / strength[index]) ** FIT_COUNTS) if index in strength else one
        for index, one in enumerate(known)
    ]


def _strength(piece: np.ndarray, analysis: Analysis) -> float:
    law = Law(reference="max", db_min=-WIDTH_DB, **analysis.placement)
    try:
        db = law.pixels_to_decibels(piece, analysis.spec)
    except BadInput:
        return 0.0
    return mel_comb(np.clip((db - db.max()) / WIDTH_DB + 1, 0, 1), analysis.spec)
