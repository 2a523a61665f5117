"""ADMM against the paper's equations, written with all three of its variables."""

import math
from dataclasses import replace
from itertools import islice

import pytest
import torch

from vocoder.config import load
from vocoder.decibels import SILENCE_DB
from vocoder.inverter.joint import JointStft
from vocoder.inverter.magnitude import Target
from vocoder.inverter.phase import initial_phase
from vocoder.inverter.retrieval import Pin
from vocoder.spectrogram import Spectrogram, analyse, istft_to_padded, stft, stft_of_padded

SPEC = replace(load("spec", "linear512"), nyquist=True)
STFT = JointStft((SPEC,), (1.0,))


@pytest.fixture(scope="module")
def word(speech):
    return torch.from_numpy(speech[20_000:35_000])[None]


def after(n_iter, iterations):
    """What the last of so many iterations gives."""
    return next(islice(iterations, n_iter - 1, None))


def as_in_the_paper(start, magnitude, rho, n_iter):
    """Masuyama, Yatabe, Oikawa 2019, algorithm 3, in float64.

    x is the nearest transform with the wanted magnitudes, z the one that weighs consistency
    against staying, u adds up their differences.
    """
    z, u = start.to(torch.complex128), torch.zeros_like(start, dtype=torch.complex128)
    x = z
    for iteration in range(n_iter + 1):
        wished = z - u
        # The first x is the start itself, whose magnitudes are the wanted ones already.
        x = torch.polar(magnitude.double(), wished.angle()) if iteration else z
        if iteration == n_iter:
            return x
        v = x + u
        consistent = stft_of_padded(istft_to_padded(v, SPEC), SPEC)
        z = (rho * v + consistent) / (1 + rho)
        u = u + x - z
    return x


@pytest.mark.parametrize("rho", [0.1, 1.0])
@pytest.mark.parametrize("init", ["zero", "phase_gradient"])
def test_one_variable_does_the_work_of_three(rho, init, word):
    spectrogram = analyse(word, SPEC)
    target = Target(spectrogram)
    start = initial_phase(target.start, SPEC, init, torch.Generator().manual_seed(0), None)
    admm = load("inverter", "admm", rho=rho, n_iter=10)
    ours = after(10, admm.iterations(start.clone(), target, STFT, Pin(None)))
    theirs = as_in_the_paper(start, target.start, rho, 10)
    assert torch.linalg.norm(ours - theirs) < 1e-3 * torch.linalg.norm(theirs)
    heard = istft_to_padded(ours, SPEC)
    wanted = istft_to_padded(theirs, SPEC)
    assert (heard - wanted).abs().max() < 1e-3 * wanted.abs().max()


def test_no_iterations_are_the_start(word):
    target = Target(analyse(word, SPEC))
    start = initial_phase(target.start, SPEC, "random", torch.Generator().manual_seed(0), None)
    admm = load("inverter", "admm", n_iter=0, init="random")
    generators = [torch.Generator().manual_seed(0)]
    found, _ = admm.transform_of([analyse(word, SPEC)], generators, None)
    assert torch.equal(found, start)


def test_settled_frames_stay_settled(word):
    target = Target(analyse(word, SPEC))
    known = stft(word, SPEC)[:, :, :8] * 1j
    for name in ("admm", "griffin_lim"):
        generator = torch.Generator().manual_seed(0)
        start = initial_phase(target.start, SPEC, "phase_gradient", generator, known)
        found = after(8, load("inverter", name).iterations(start, target, STFT, Pin(known)))
        assert torch.equal(found[:, :, :8], known)


def test_beats_plain_griffin_lim(word):
    spectrogram = analyse(word, SPEC)

    def error_db(name, **options):
        heard = load("inverter", name, init="random", n_iter=32, **options)(spectrogram)
        inner = (stft(heard, SPEC).abs() - spectrogram.linear)[:, :, 4:-4]
        return 20 * math.log10(float(inner.norm() / spectrogram.linear[:, :, 4:-4].norm()))

    assert error_db("admm") < error_db("griffin_lim", momentum=0.0) - 3


@pytest.mark.parametrize("name", ["admm", "griffin_lim"])
def test_the_faintest_numbers_stay_numbers(name):
    """Just above what counts as silence, and squared besides."""
    spec = replace(load("spec", "mel256"), power=2.0)
    generator = torch.Generator().manual_seed(0)
    faint = SILENCE_DB + 3 * torch.rand(1, spec.bins, 40, generator=generator)
    for init in ("zero", "phase_gradient"):
        heard = load("inverter", name, init=init)(Spectrogram(faint, spec))
        assert torch.isfinite(heard).all()
        assert 0 < heard.abs().max() < 1e-8


def test_long_runs_beside_silence_stay_numbers(word):
    """Of what leaks into silence, every iteration leaves 1 / (1 + rho) at most."""
    framed = torch.nn.functional.pad(word[:, :4_000], (4_000, 4_000))
    spec = load("spec", "tacotron2")
    for name in ("admm", "griffin_lim"):
        heard = load("inverter", name, n_iter=1_200)(analyse(framed, spec))
        assert torch.isfinite(heard).all()
        assert 0.3 < heard.abs().max() / framed.abs().max() < 3
