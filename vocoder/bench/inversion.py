"""Cases that invert one spectrogram in memory: beside librosa, and each inverter by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import librosa
import numpy as np
import scipy.fft
import torch
from torch import Tensor

from vocoder.bench.race import Contestant, race
from vocoder.bench.result import Case, Settings
from vocoder.bench.waveform import waveform
from vocoder.config import load
from vocoder.inverter.base import Inverter
from vocoder.inverter.griffin_lim import GriffinLim
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.inverter.phase import initial_phase
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram, analyse, analyse_linear, to_bins

_N_ITER = 32
# How librosa names the filter banks of a spec; sum is its L1 norm.
_LIBROSA_NORMS: dict[str | None, Any] = {"sum": 1, "slaney": "slaney", "none": None}


def griffin_lim(settings: Settings, threads: int) -> Case:
    """Plain Griffin-Lim from random phases, beside librosa's, on the same magnitudes."""
    # librosa takes all bins, Nyquist's too.
    spec = replace(load("spec", "linear512"), nyquist=True)
    given = _analysed(settings, spec)
    magnitude = given.linear[0].numpy()
    audio_s = given.length / spec.sample_rate
    plain = load(
        "inverter",
        "griffin_lim",
        n_iter=_N_ITER,
        momentum=0,
        init="random",
        refine_every=0,
        block_frames=max(64, magnitude.shape[1]),  # as one, as librosa does
    )

    def ours(repetition: int) -> Tensor:
        inverter: GriffinLim = replace(plain, seed=repetition)
        return inverter(given)

    def librosas(repetition: int) -> Tensor:
        return torch.from_numpy(
            librosa.griffinlim(
                magnitude,
                n_iter=_N_ITER,
                momentum=0,
                init="random",
                random_state=_SamePhases(repetition),
                hop_length=spec.hop_length,
                win_length=spec.win_length,
                window=spec.window,
                center=spec.center,
                pad_mode=spec.pad_mode,
                length=given.length,
            )
        )[None]

    def librosas_threaded(repetition: int) -> Tensor:
        with scipy.fft.set_workers(threads):
            return librosas(repetition)

    works = {"vocoder": ours, "librosa": librosas}
    if threads > 1:
        works[f"librosa, {threads} FFT workers"] = librosas_threaded
    contestants = [
        Contestant(name=name, work=work, measure=_convergence(given), audio_s=audio_s)
        for name, work in works.items()
    ]
    return Case(
        f"plain Griffin-Lim, {_N_ITER} iterations from random phases, STFT "
        f"{spec.n_fft}/{spec.hop_length}, beside librosa.griffinlim",
        race(contestants, settings.repetitions),
        is_race=True,
    )


class _SamePhases(np.random.RandomState):
    """Gives librosa the random phases that our inverters draw for a seed.

    Chance moves the result by a tenth, far more than what distinguishes two implementations.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._seed = seed

    def random(self, size: tuple[int, int]) -> np.ndarray:  # type: ignore[override]
        """Uniform in ``[0, 1)``, of shape ``(n_freqs, frames)``, drawn frame by frame."""
        generator = torch.Generator().manual_seed(self._seed)
        drawn: np.ndarray = torch.rand(size[::-1], generator=generator).numpy().T
        return drawn


def mel_to_stft(settings: Settings, threads: int) -> Case:
    """Mel bands to STFT magnitudes, beside librosa's, with what each leaves unexplained."""
    spec = load("spec", "mel256")
    given = _analysed(settings, spec)
    bands = given.linear[0].numpy()

    def librosas(repetition: int) -> Tensor:
        return torch.from_numpy(
            librosa.feature.inverse.mel_to_stft(
                bands,
                sr=spec.sample_rate,
                n_fft=spec.n_fft,
                power=spec.power,
                fmin=spec.fmin,
                fmax=spec.fmax,
                htk=spec.mel_scale == "htk",
                norm=_LIBROSA_NORMS[spec.mel_norm],
            )
        )[None]

    def measure(linear: Tensor) -> dict[str, float]:
        return {"residual": _relative_error(given.linear, to_bins(linear, spec))}

    audio_s = given.length / spec.sample_rate
    contestants = [
        Contestant(
            name="vocoder",
            work=lambda _: mel_to_linear(given.linear, spec),
            measure=measure,
            audio_s=audio_s,
        ),
        Contestant(name="librosa", work=librosas, measure=measure, audio_s=audio_s),
    ]
    return Case(
        f"{spec.n_mels} mel bands to {spec.n_freqs} bins, beside "
        "librosa.feature.inverse.mel_to_stft; the residual is relative",
        race(contestants, settings.repetitions),
        is_race=True,
    )


def inverters(settings: Settings, threads: int) -> Case:
    """The steps before the first iteration, and whole inverters as the command line has them."""
    spec = load("spec", "mel256")
    given = _analysed(settings, spec)
    audio_s = given.length / spec.sample_rate
    linear = mel_to_linear(given.linear, spec)

    def phases(repetition: int) -> Tensor:
        generator = torch.Generator().manual_seed(repetition)
        return initial_phase(linear, spec, "phase_gradient", generator, None)

    contestants = [Contestant(name="initial phases", work=phases, audio_s=audio_s)]
    for name in settings.inverters:
        invert = partial(_invert, load("inverter", name), given)
        contestants.append(
            Contestant(name=name, work=invert, measure=_convergence(given), audio_s=audio_s)
        )
    return Case(
        f"{spec.n_mels} mel bands to audio, as inverter=NAME does it; spectral convergence of the "
        "bands",
        race(contestants, settings.repetitions),
    )


def _convergence(given: Spectrogram) -> Callable[[Tensor], dict[str, float]]:
    """Measure how near the spectrogram of some audio comes to this one."""

    def measure(samples: Tensor) -> dict[str, float]:
        made = analyse_linear(samples, given.spec)
        return {"spectral convergence": _relative_error(given.linear, made)}

    return measure


def _relative_error(target: Tensor, made: Tensor) -> float:
    """Of magnitudes, ``||S - S'|| / ||S||`` (Sturmel and Daudet 2011, eq. 4)."""
    return float((target - made).norm() / target.norm())


def _invert(inverter: Inverter, given: Spectrogram, repetition: int) -> Tensor:
    return inverter(given)


def _analysed(settings: Settings, spec: SpectrogramSpec) -> Spectrogram:
    samples = waveform(settings.input, settings.seconds, spec.sample_rate, settings.seed)
    spectrogram = analyse(torch.from_numpy(samples)[None], spec)
    # Bin by bin in memory, as images become and librosa is fastest with.
    return replace(spectrogram, decibels=spectrogram.decibels.contiguous())
