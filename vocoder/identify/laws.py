"""Laws that a file may follow, and how many settings it takes to say each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vocoder.config import load, options
from vocoder.image.codec.base import Codec
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.law import Law
from vocoder.spec import SpectrogramSpec

if TYPE_CHECKING:
    from vocoder.identify.look import View

Settings = dict[str, Any]
# What speech is analysed with if nothing says so, linear bins every quarter of a window.
LINEAR: Settings = {"nyquist": True, "pad_mode": "constant"}
# How much less likely a reading is than one that people know by name.
UNNAMED, UNUSUAL, RARE = 1.04, 1.25, 1.12
# What goes with an analysis is likelier than what does not: the codec of its name, or these.
TOGETHER = 0.88
PAIRS = dict.fromkeys(
    ("gray8", "gray16", "colormap", "hue"), ("mel256", "linear512", "linear256")
) | {
    "librosa": ("librosa_mel", "torchaudio_mel", "seed"),
    "librosa_cqt": ("seed",),
    "audio_diffusion": ("torchaudio_mel",),
    "log_mel": ("tacotron2", "hifigan", "vocos", "diffsinger"),
}
PRESETS = (
    *("librosa", "audio_diffusion", "riffusion", "sox", "librosa_cqt"),
    *("auffusion", "showspectrumpic", "audacity", "arss"),
)
ARRAY_PRESETS = (
    *("whisper", "specvqgan", "parallel_wavegan", "log_mel"),
    *("autovc", "melgan_vc", "voice_cloning"),
)
# What of a preset's settings may differ: where things lie, not what they mean.
PLACES = {
    *("crop", "cmap", "channel", "rows", "hz_min", "hop_length", "first_bin"),
    *("row_0", "transposed", "dark_is_loud", "min", "bins_per_octave"),
}
WHISPER_V3 = 128  # bands; before it there were 80
MIN_N_FFT, MAX_BANDS = 512, 256  # of plain bins, and of mel bands that nobody knows by name
# Plain bins of short windows, that are of 16 kHz: torchaudio's Spectrogram, TensorFlow's tutorial.
SHORT: dict[int, Settings] = {
    201: {"sample_rate": 16000, "n_fft": 400, "win_length": 400, "hop_length": 200},
    129: {"sample_rate": 16000, "n_fft": 256, "win_length": 255, "hop_length": 128},
}
CONSTANT_Q = {72: 12, 84: 12, 96: 12, 108: 12, 168: 24, 192: 24, 252: 36, 288: 36}  # an octave
# Presets of a spec and a codec of one name of which neither is tried without the other.
OWN_IMAGES, OWN_ARRAYS = ("auffusion",), ("autovc", "melgan_vc", "voice_cloning")
# Colours that one program alone draws with.
SIGNED = {"ffmpeg": "showspectrumpic", "roseus": "audacity"}
# sox is ``linear512`` in full
UNTRIED = ("sox", "arss", "diffsinger", *OWN_IMAGES, *OWN_ARRAYS, *SIGNED.values())
OURS_DB = 100.0  # the range of gray8
LOG1P_MAX = 4.6  # of the loudest in speech at usual levels, a magnitude of 100


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A way to analyse audio: a spec by its option and what differs from it.

    Parameters
    ----------
    placement : dict
        Settings of `Foreign` that bring the file's rows to its bands.
    prior : float
        1, or more where it is less usual.
    misfit : float
        1, or more where harmonics are elsewhere than in another; see `by_mel_harmonics`.
    """

    option: str
    changes: Settings = field(default_factory=dict)
    placement: Settings = field(default_factory=dict)
    prior: float = 1.0
    misfit: float = 1.0

    @property
    def spec(self) -> SpectrogramSpec:
        """What it stands for."""
        spec: SpectrogramSpec = load("spec", self.option, **self.changes)
        return spec


@dataclass(frozen=True, kw_only=True)
class Range:
    """What the numbers 0 to 1 of a view stand for, but for the level.

    Parameters
    ----------
    width_db : float or None
        Of decibels: from 0 to 1.
    exponent : float
        Otherwise: of what the spec says, magnitudes or powers.
    log1p_max : float or None
        Of ``ln(1 + x)``: what 1 stands for.
    codec : dict
        Settings of `Foreign` that say it.
    prior : float
        See `Analysis`.
    """

    width_db: float | None = None
    exponent: float = 1.0
    log1p_max: float | None = None
    codec: Settings = field(default_factory=dict)
    prior: float = 1.0

    def law(self, spec: SpectrogramSpec) -> Settings:
        """Settings of a `Law` of fractions that gives the same, up to a gain."""
        if self.log1p_max is not None:
            return {"unit": "log1p", "max": self.log1p_max, "reference": "max"}
        reference = self.codec.get("reference", "full_scale")
        if self.width_db is None:
            return {"unit": "linear", "exponent": self.exponent, "reference": reference}
        return {"reference": reference, "db_min": -self.width_db, "db_max": 0.0}

    def fractions(self, db: np.ndarray, top: float, power: float) -> np.ndarray:
        """What stands for decibels of which 0 is what ``top`` stands for."""
        if self.log1p_max is not None:
            loudest = math.expm1(self.log1p_max * top)
            found = np.log1p(loudest * 10 ** (db / 20 * power)) / self.log1p_max
        elif self.width_db is not None:
            found = top + db / self.width_db
        else:
            found = top * 10 ** (db / 20 * power * self.exponent)
        return np.asarray(np.clip(found, 0, 1))


@lru_cache
def named_specs() -> dict[str, SpectrogramSpec]:
    """The options of ``spec=`` that are tried, our own first."""
    names = dict.fromkeys(("mel256", "linear512", "tacotron2", *options("spec")))
    return {name: load("spec", name) for name in names if name not in UNTRIED}


def is_usual(n_rows: int) -> bool:
    """Whether people make spectrograms with so many bands."""
    bins = {load("spec", name).bins for name in (*named_specs(), *OWN_IMAGES, *OWN_ARRAYS)}
    return n_rows in {*bins, *SHORT} or any(
        n >= 64 and n & (n - 1) == 0 for n in (n_rows, n_rows - 1)
    )


def analyses(n_rows: int) -> list[Analysis]:
    """Those that give so many rows, one a band."""
    found = [Analysis(option=name) for name, spec in named_specs().items() if spec.bins == n_rows]
    for missing, placement in ((0, {}), (1, {}), (1, {"first_bin": 1})):
        n_fft = 2 * (n_rows + missing - 1)
        if n_fft < MIN_N_FFT or n_fft & (n_fft - 1):
            continue
        changes: Settings = {} if missing and not placement else dict(LINEAR)
        if n_fft != 1024:
            changes |= {"n_fft": n_fft, "win_length": n_fft, "hop_length": n_fft // 4}
        prior = 1.0 if not placement else UNNAMED if n_fft == 1024 else RARE
        found.append(
            Analysis(option="linear512", changes=changes, placement=placement, prior=prior)
        )
    if n_rows in SHORT:
        found.append(Analysis(option="linear512", changes=LINEAR | SHORT[n_rows]))
    if n_rows == WHISPER_V3:
        found.append(Analysis(option="whisper", changes={"n_mels": n_rows}, prior=RARE))
    if n_rows in CONSTANT_Q:
        rows: Settings = {"rows": "constant_q", "bins_per_octave": CONSTANT_Q[n_rows]}
        found.append(Analysis(option="seed", placement=rows))
    unique: dict[tuple[Any, ...], Analysis] = {}
    for one in found:
        unique.setdefault((one.spec, str(one.placement)), one)
    return list(unique.values())


def other_hops(analysis: Analysis) -> list[Analysis]:
    """The same with twice and half as many frames."""
    hop = analysis.spec.hop_length
    return [
        replace(
            analysis,
            changes=analysis.changes | {"hop_length": other},
            prior=UNUSUAL * analysis.prior,
        )
        for other in (hop // 2, 2 * hop)
        if other <= analysis.spec.win_length // 2
    ]


def squared(analysis: Analysis) -> Analysis:
    """Its powers instead of its magnitudes."""
    changes = analysis.changes | {"power": 2.0}
    return replace(analysis, changes=changes, prior=UNNAMED * analysis.prior)


def _figures() -> list[Analysis]:
    """What is drawn in figures with axes alone: by specshow at other rates and of plain bins, and
    by matplotlib's specgram."""
    specgram = LINEAR | {"n_fft": 256, "win_length": 256, "hop_length": 64}
    return [
        *(
            Analysis(
                option="librosa_mel",
                changes={"sample_rate": rate, "fmax": rate / 2},
                placement={"rows": "specshow"},
                prior=UNNAMED,
            )
            for rate in (44100, 16000)
        ),
        Analysis(option="seed", placement={"rows": "linear"}),
        Analysis(option="seed", placement={"rows": "specshow"}),
        Analysis(option="linear512", changes=specgram, placement={"rows": "linear"}),
    ]


def resized(lowest_hz: list[float], *, figure: bool) -> list[Analysis]:
    """Rows that were interpolated: mel bands, or linear or logarithmic frequencies. specshow
    draws in figures, of librosa's 2048/512 as a rule, and our own images are in none."""
    stretched: Settings = {"rows": "stretched"}
    specshow, ours, log = (1.0, UNUSUAL, RARE) if figure else (UNUSUAL, RARE, 1.0)
    return [
        Analysis(option="librosa_mel", placement={"rows": "specshow"}, prior=specshow),
        Analysis(option="librosa_mel", placement=stretched, prior=UNNAMED),
        Analysis(option="mel256", placement=stretched, prior=ours),
        Analysis(
            option="linear512",
            changes=LINEAR,
            placement={"rows": "linear"},
            prior=UNNAMED if figure else 1.0,
        ),
        *(_figures() if figure else []),
        *(
            Analysis(
                option="linear512",
                changes=LINEAR,
                placement={"rows": "log", "hz_min": hz},
                prior=log if hz == lowest_hz[0] else UNNAMED * log,
            )
            for hz in lowest_hz
        ),
    ]


def lasting(analysis: Analysis, seconds: float, view: View) -> Analysis:
    """The same with columns that last so long together."""
    hop = seconds * analysis.spec.sample_rate / view.fractions.shape[1]
    return replace(analysis, placement=analysis.placement | {"hop_length": round(hop, 1)})


def may_blur(analysis: Analysis, seconds: float, view: View) -> bool:
    """specshow's frames have sharp edges, that are seen where there is room for them."""
    frames = seconds * analysis.spec.sample_rate / analysis.spec.hop_length
    return analysis.placement.get("rows") != "specshow" or frames > view.fractions.shape[1]


def image_ranges() -> list[Range]:
    """Of pixels, the likeliest first."""

    def decibels(width: float, prior: float = 1.0) -> Range:
        codec = {"reference": "max", "db_min": -width, "db_max": 0.0}
        return Range(width_db=width, codec=codec, prior=prior)

    def power(exponent: float) -> Range:
        codec = {"unit": "linear", "exponent": exponent, "reference": "max"}
        return Range(exponent=exponent, codec=codec, prior=UNNAMED)

    log1p = {"unit": "log1p", "reference": "one", "max": LOG1P_MAX}

    return [
        *(decibels(80.0), decibels(100.0), power(0.25), decibels(120.0)),
        *(decibels(60.0, UNNAMED), decibels(40.0, UNNAMED), power(0.5), power(1.0)),
        Range(log1p_max=LOG1P_MAX, codec=log1p, prior=UNNAMED),
    ]


def codec_words(wanted: Settings, view: View) -> tuple[str, Settings]:
    """The option of ``codec=`` that needs the fewest settings, and those."""
    law = Foreign(**wanted)
    own = {"db_min", "db_max", "cmap"}
    plain = law.reference == "full_scale" and not set(differences(law, Foreign())) - own
    if view.is_hue or (plain and not view.is_array):
        grey = "gray16" if view.is_deep else "gray8"
        option = "hue" if view.is_hue else grey if law.cmap is None else "colormap"
        names = ("db_min", "db_max", "cmap") if option == "colormap" else ("db_min", "db_max")
        return option, differences(law, load("codec", option), names)
    presets = ARRAY_PRESETS if view.is_array else PRESETS
    choices = {name: differences(law, load("codec", name)) for name in presets}
    choices = {name: more for name, more in choices.items() if set(more) <= PLACES}
    choices["foreign"] = differences(law, Foreign())
    if choices.get("riffusion", {}).get("channel") == "mean":
        del choices["riffusion"]["channel"]  # of grey it is the same
        if law.cmap is not None:
            del choices["riffusion"]
    option = min(choices, key=lambda name: len(choices[name]))
    return option, choices[option]


def differences(law: Law, other: Codec, names: Sequence[str] | None = None) -> Settings:
    """Settings of a law that are not the other's; of all its settings, if not said which."""
    names = [one.name for one in fields(law)] if names is None else names
    return {
        name: getattr(law, name) for name in names if getattr(law, name) != getattr(other, name)
    }


def as_words(group: str, option: str, changes: Settings) -> list[str]:
    """As on the command line."""
    words = [f"{group}={option}"]
    for name, value in changes.items():
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        text = text.lower() if isinstance(value, bool) else text.replace(" ", "")
        text = "null" if value is None else text
        words.append(f"{group}.{name}={text}")
    return words
