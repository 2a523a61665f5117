"""SpectrogramSpec: what the numbers of a spectrogram mean, from the first image to the last."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from vocoder.errors import BadInput, differences, expect

KINDS = ("mel", "linear")
PAD_MODES = ("reflect", "constant", "reflect_same")
MEL_SCALES = ("slaney", "htk")
MEL_NORMS = ("sum", "slaney", "none")
COMPRESSIONS = ("none", "log")
# Longer windows than 1.4 s at 48 kHz show no speech, and their filter banks fill memories.
MAX_N_FFT = 65_536
MEL_FIELDS = ("n_mels", "fmin", "fmax", "mel_scale", "mel_norm")
FLOAT_FIELDS = ("power", "fmin", "fmax", "floor")
# Sum of squared windows, relative to its greatest, below which a sample cannot be had back: to
# divide by less turned the ends of recordings that are not centred into clicks (measured).
MIN_COVERAGE = 1e-2


@dataclass(frozen=True, kw_only=True)
class SpectrogramSpec:
    """How a spectrogram was made: the contract that travels with every image and checkpoint.

    No field has a default, since a guessed one is the usual reason for noise: two programs that
    disagree on any of them cannot exchange spectrograms. The five mel fields are ``None`` exactly
    when ``kind`` is ``linear``.

    Parameters
    ----------
    kind : {"mel", "linear"}
        Mel bands, or the plain bins of the short-time Fourier transform (STFT).
    sample_rate : int
        In Hz.
    n_fft, hop_length, win_length : int
        In samples; a window shorter than ``n_fft`` is centred in it.
    window : str
        A window that `scipy.signal.get_window` knows, periodic.
    center : bool
        Whether frame ``t`` is centred on sample ``t * hop_length``, the signal padded by
        ``n_fft // 2`` at both ends; otherwise frame ``t`` begins at that sample.
    pad_mode : {"reflect", "constant", "reflect_same"}
        What the padding of a centred STFT holds. ``reflect_same`` pads by ``(n_fft - hop_length)
        / 2`` only, so that every ``hop_length`` samples give one frame, centred on their middle
        (HiFi-GAN and its successors).
    power : {1.0, 2.0}
        1 for magnitudes, 2 for powers.
    nyquist : bool
        Whether the topmost STFT bin is kept. A linear image of 512 rows drops it (and says so
        here); inversion then takes it as silent. Always true for mel.
    n_mels, fmin, fmax, mel_scale, mel_norm
        The mel filter bank: bands, range in Hz, ``slaney`` or ``htk`` scale, and ``sum`` (every
        filter's weights sum to one), ``slaney`` (constant area in Hz) or ``none`` (peak of one).
    compression : {"none", "log"}
        How values stand in ``.npy`` files and enter neural models: as they are, or as natural
        logarithm of values clipped at ``floor``. Images have a decibel range of their own.
    floor : float
        The smallest value under ``log``; 0 for ``none``.
    """

    kind: str
    sample_rate: int
    n_fft: int
    hop_length: int
    win_length: int
    window: str
    center: bool
    pad_mode: str
    power: float
    nyquist: bool
    n_mels: int | None
    fmin: float | None
    fmax: float | None
    mel_scale: str | None
    mel_norm: str | None
    compression: str
    floor: float

    def __post_init__(self) -> None:
        self._take_numbers_as_floats()
        for name, choices in (
            ("kind", KINDS),
            ("pad_mode", PAD_MODES),
            ("power", (1.0, 2.0)),
            ("compression", COMPRESSIONS),
        ):
            self._require(getattr(self, name) in choices, name, f"one of {choices}")
        for name in ("sample_rate", "n_fft", "hop_length", "win_length"):
            value = getattr(self, name)
            self._require(type(value) is int and value > 0, name, "a whole number above 0")
        for name in ("center", "nyquist"):
            self._require(type(getattr(self, name)) is bool, name, "true or false")
        self._require(self.n_fft % 2 == 0, "n_fft", "an even number")
        self._require(self.n_fft <= MAX_N_FFT, "n_fft", f"at most {MAX_N_FFT}")
        self._require(self.win_length <= self.n_fft, "win_length", f"at most n_fft ({self.n_fft})")
        self._require(
            self.hop_length <= self.win_length,
            "hop_length",
            f"at most win_length ({self.win_length})",
        )
        if self.compression == "log":
            self._require(self.floor > 0, "floor", "above 0 for compression=log")
        else:
            self._require(self.floor == 0, "floor", "0 for compression=none")
        self._check_window()
        if self.kind == "mel":
            self._check_mel()
        else:
            for name in MEL_FIELDS:
                self._require(getattr(self, name) is None, name, "null for kind=linear")

    def _take_numbers_as_floats(self) -> None:
        """YAML's 0 and 0.0 are one spec, and have to be written alike too."""
        for name in FLOAT_FIELDS:
            value = getattr(self, name)
            if value is None and name in MEL_FIELDS:
                continue
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            hint = " (YAML takes 1e-5 for text: write 1.0e-5)" if isinstance(value, str) else ""
            self._require(is_number and math.isfinite(value), name, "a finite number" + hint)
            object.__setattr__(self, name, float(value))

    def _check_window(self) -> None:
        self._require(isinstance(self.window, str), "window", "the name of a window, such as hann")
        try:
            window = periodic_window(self.window, self.win_length)
        except ValueError as error:
            raise BadInput(
                f"spec.window is {self.window!r}, which scipy does not know; try hann",
                key="spec.window.unknown",
            ) from error
        covered = np.zeros(self.hop_length)
        np.add.at(covered, np.arange(self.win_length) % self.hop_length, window**2)
        self._require(
            covered.min() > MIN_COVERAGE * covered.max(),
            "hop_length",
            "short enough for the windows to cover every sample",
        )

    def _check_mel(self) -> None:
        n_mels, fmin, fmax = self.n_mels, self.fmin, self.fmax
        nyquist_hz = self.sample_rate / 2
        self._require(
            type(n_mels) is int and 0 < n_mels <= self.n_freqs,
            "n_mels",
            f"a whole number from 1 to {self.n_freqs}, the bins of the STFT",
        )
        self._require(
            fmin is not None and 0 <= fmin < nyquist_hz, "fmin", f"0 to {nyquist_hz:g} Hz"
        )
        self._require(
            fmin is not None and fmax is not None and fmin < fmax <= nyquist_hz,
            "fmax",
            f"above fmin ({fmin}) and at most {nyquist_hz:g} Hz, half the sample rate",
        )
        self._require(self.mel_scale in MEL_SCALES, "mel_scale", f"one of {MEL_SCALES}")
        self._require(self.mel_norm in MEL_NORMS, "mel_norm", f"one of {MEL_NORMS}")
        self._require(self.nyquist, "nyquist", "true for kind=mel")

    def _require(self, ok: bool, name: str, expected: str) -> None:
        expect(ok, f"spec.{name}", getattr(self, name), expected)

    @classmethod
    def stft(
        cls, *, sample_rate: int, n_fft: int, hop_length: int, pad_mode: str, power: float
    ) -> SpectrogramSpec:
        """The spec of a plain STFT, all bins of centred Hann windows: for measures and losses.

        Parameters
        ----------
        sample_rate : int
            In Hz.
        n_fft, hop_length : int
            In samples; the window is as long as ``n_fft``.
        """
        return cls(
            kind="linear",
            sample_rate=sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            win_length=n_fft,
            window="hann",
            center=True,
            pad_mode=pad_mode,
            power=power,
            nyquist=True,
            n_mels=None,
            fmin=None,
            fmax=None,
            mel_scale=None,
            mel_norm=None,
            compression="none",
            floor=0.0,
        )

    def with_window(self, win_length: int) -> SpectrogramSpec:
        """The same on the same grid with a window of another length, for a further analysis.

        Transformed at this spec's ``n_fft``, or at the next power of two that holds the window.
        """
        n_fft = max(self.n_fft, 1 << (win_length - 1).bit_length())
        return replace(self, win_length=win_length, n_fft=n_fft)

    def without_bands(self) -> SpectrogramSpec:
        """The plain bins of the same STFT, without Nyquist's, in place of its mel bands."""
        plain = {"kind": "linear", "nyquist": False, "compression": "none", "floor": 0.0}
        values = self.to_dict() | plain | dict.fromkeys(MEL_FIELDS)
        return SpectrogramSpec.from_dict(values, "the linear spec")

    def same_transform(self, other: SpectrogramSpec) -> bool:
        """Whether two specs are of one STFT, whatever they make of its magnitudes."""
        names = ("sample_rate", "n_fft", "hop_length", "win_length", "window")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def n_freqs(self) -> int:
        """Bins of the STFT, from 0 Hz to Nyquist."""
        return self.n_fft // 2 + 1

    @property
    def bins(self) -> int:
        """Rows of the spectrogram."""
        if self.n_mels is not None:
            return self.n_mels
        return self.n_freqs if self.nyquist else self.n_freqs - 1

    @property
    def padding(self) -> int:
        """Samples that are added at either end before analysis."""
        if not self.center:
            return 0
        return (self.n_fft - (self.hop_length if self.pad_mode == "reflect_same" else 0)) // 2

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def full_scale(self) -> float:
        """Value that a full-scale sine reaches at most, in our own specs of ``conf/spec``: 0 dB.

        A sine of amplitude 1 gives a magnitude of half the window's sum (Harris 1978, "coherent
        gain"): n_fft / 4 for a Hann window. Slaney's filters have weights that sum to about
        n_fft / sample_rate instead of one.
        """
        peak = float(window_samples(self).sum()) / 2
        if self.mel_norm == "slaney":
            peak *= self.n_fft / self.sample_rate
        return float(peak**self.power)

    def n_frames(self, n_samples: int) -> int:
        """Frames that a signal of ``n_samples`` gives."""
        padded = n_samples + 2 * self.padding
        return 1 + max(0, padded - self.n_fft) // self.hop_length

    def n_samples(self, n_frames: int) -> int:
        """The shortest signal that gives ``n_frames`` frames."""
        return (n_frames - 1) * self.hop_length + self.n_fft - 2 * self.padding

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values, for JSON and YAML."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str) -> SpectrogramSpec:
        """Build a spec from plain values; ``source`` names where they came from in errors."""
        if not isinstance(values, dict):
            raise BadInput(
                f"{source}: the spec is {type(values).__name__}, expected named fields",
                key="spec.type",
            )
        names = {field.name for field in fields(cls)}
        if missing := sorted(names - values.keys()):
            raise BadInput(
                f"{source}: the spec lacks {', '.join(missing)}; every field is required",
                key="spec.missing",
            )
        if unknown := sorted(values.keys() - names):
            raise BadInput(
                f"{source}: the spec has unknown fields {', '.join(unknown)}", key="spec.unknown"
            )
        try:
            return cls(**values)
        except BadInput as error:
            raise BadInput(f"{source}: {error}", key=error.key) from error

    def require_same(self, other: SpectrogramSpec, mine: str, theirs: str) -> None:
        """Refuse two specs that disagree, naming the fields and both values."""
        found = differences(self.to_dict(), other.to_dict())
        if listed := "; ".join(f"{name}: {one} != {another}" for name, one, another in found):
            raise BadInput(
                f"{mine} and {theirs} were made with different spectrogram settings ({listed}); "
                "give one spec that is true of both",
                key="spec.conflict",
            )

    def describe(self) -> str:
        """The spec in words with units."""
        rows = (
            f"{self.n_mels} mel bands, {self.fmin:g}-{self.fmax:g} Hz ({self.mel_scale} scale, "
            f"norm {self.mel_norm})"
            if self.kind == "mel"
            else f"{self.bins} linear bins, 0-{self.sample_rate / 2:g} Hz"
            + ("" if self.nyquist else " (Nyquist bin dropped)")
        )
        return (
            f"{rows}; {self.sample_rate} Hz; STFT {self.n_fft} samples, hop {self.hop_length} "
            f"({self.frame_rate_hz:.1f} frames/s), {self.window} window of {self.win_length}, "
            + (f"centred with {self.pad_mode} padding" if self.center else "not centred")
            + f"; {'magnitude' if self.power == 1 else 'power'}"
            + (f", natural log above {self.floor:g}" if self.compression == "log" else "")
        )


def periodic_window(name: str, length: int) -> np.ndarray:
    """A window that `scipy.signal.get_window` knows, float64, ``(length,)``.

    Hann's is made here, digit by digit as scipy makes it: importing its package of signals takes a
    quarter of what a new process needs to its first waveform.
    """
    if name == "hann" and length > 1:
        cosine: np.ndarray = np.cos(np.linspace(-math.pi, math.pi, length + 1)[:-1])
        return 0.5 + 0.5 * cosine
    from scipy.signal import get_window

    return np.asarray(get_window(name, length, fftbins=True))


@lru_cache(maxsize=32)
def window_samples(spec: SpectrogramSpec) -> np.ndarray:
    """The analysis window, centred in ``n_fft`` samples; float64, shape ``(n_fft,)``."""
    window = periodic_window(spec.window, spec.win_length)
    left = (spec.n_fft - spec.win_length) // 2
    return np.pad(window, (left, spec.n_fft - spec.win_length - left))
