"""What every inverter promises, whatever its method: one row of options each, found in conf/."""

import math
from dataclasses import replace

import pytest
import torch

from tests.refusals import refused
from tests.specs import OWN
from vocoder.config import load, options
from vocoder.decibels import SILENCE_DB
from vocoder.device import torch_device
from vocoder.inverter.base import Inverter
from vocoder.inverter.retrieval import PhaseRetrieval
from vocoder.spectrogram import Spectrogram, analyse

# Those that need no weights for a spec; networks have contracts of their own.
INVERTERS = [name for name in options("inverter") if name not in ("hifigan", "wavenet")]
RETRIEVAL = [name for name in INVERTERS if isinstance(load("inverter", name), PhaseRetrieval)]
SPECS = OWN
MEL = load("spec", "mel256")
RATE_HZ = 22_050


@pytest.fixture(params=INVERTERS)
def name(request):
    return request.param


@pytest.fixture(params=RETRIEVAL)
def retrieval(request):
    return request.param


@pytest.fixture(params=SPECS)
def spec(request):
    return load("spec", request.param)


@pytest.fixture(scope="module")
def word(speech):
    """Half a second of speech, ``(1, samples)``; its length is no multiple of any hop."""
    return torch.from_numpy(speech[5_000 : 5_000 + 11_025])[None]


def tone(hz, level=0.5, n_samples=11_025):
    seconds = torch.arange(n_samples, dtype=torch.float64) / RATE_HZ
    return (level * torch.sin(2 * math.pi * hz * seconds)).float()[None]


def strongest_sine(sound):
    """Frequency in Hz and amplitude of the strongest sine in the middle of a sound."""
    middle = sound[0, 2_000:-2_000].double()
    window = torch.hann_window(len(middle), dtype=torch.float64)
    spectrum = torch.fft.rfft(middle * window, n=2**19).abs()
    peak = int(spectrum.argmax())
    return peak * RATE_HZ / 2**19, float(spectrum[peak] * 2 / window.sum())


def test_sound_has_the_promised_shape_and_type(name, spec, word):
    inverter = load("inverter", name)
    assert isinstance(inverter, Inverter)
    spectrogram = analyse(word, spec)
    before = spectrogram.decibels.clone()
    random_state = torch.get_rng_state()
    sound = inverter(spectrogram)
    assert torch.equal(inverter(spectrogram), sound), "it cannot be used twice"
    assert sound.shape == (1, word.shape[1]) == (1, spectrogram.length)
    assert sound.dtype == torch.float32
    assert sound.device.type == "cpu"
    assert torch.isfinite(sound).all()
    assert 0.7 < sound.abs().max() / word.abs().max() < 1.4
    assert torch.equal(spectrogram.decibels, before), "it changed what it was given"
    assert torch.equal(torch.get_rng_state(), random_state), "it drew from the common generator"


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 88, 89])
def test_any_number_of_frames_will_do(retrieval, spec, center, n_frames):
    """One frame, and numbers around where a block of 64 and its lookahead end."""
    spec = replace(spec, center=center)
    generator = torch.Generator().manual_seed(n_frames)
    values = 60 * torch.rand(1, spec.bins, n_frames, generator=generator) - 70
    inverter = load("inverter", retrieval, n_iter=1, block_frames=64)
    for n_samples in (None, spec.n_samples(n_frames) + 37):
        spectrogram = Spectrogram(values, spec, n_samples)
        sound = inverter(spectrogram)
        assert sound.shape == (1, spectrogram.length)
        assert torch.isfinite(sound).all()


def test_silence_stays_silent(name, spec, word):
    inverter = load("inverter", name)
    silence = torch.zeros_like(word)
    assert inverter(analyse(silence, spec)).abs().max() == 0
    # Beside a sound, and before and after one: a window's length away, nothing is left of it.
    both = inverter(analyse(torch.cat([word, silence]), spec))
    assert both[1].abs().max() == 0
    assert both[0].abs().max() > 0.5 * word.abs().max()
    framed = torch.cat([silence, word, silence], 1)
    again = inverter(analyse(framed, spec))[0]
    ends = torch.cat([again[: 11_025 - spec.n_fft], again[22_050 + spec.n_fft :]])
    assert ends.abs().max() < 1e-4


@pytest.mark.parametrize("hz", [220.0, 1_000.0])
def test_a_tone_keeps_its_pitch_and_level(name, spec, hz):
    sound = load("inverter", name)(analyse(tone(hz), spec))
    heard_hz, amplitude = strongest_sine(sound)
    bin_hz = spec.sample_rate / spec.n_fft
    assert abs(heard_hz - hz) < 0.15 * bin_hz
    assert abs(20 * math.log10(amplitude / 0.5)) < 0.5


def test_power_and_magnitude_sound_the_same(retrieval, word):
    for base in SPECS:
        if load("spec", base).kind == "linear":
            spec = load("spec", base)
            inverter = load("inverter", retrieval, init="zero", n_iter=4)
            magnitude = inverter(analyse(word, spec))
            power = inverter(analyse(word, replace(spec, power=2.0)))
            assert torch.allclose(power, magnitude, rtol=0, atol=1e-3)
    spec = replace(MEL, power=2.0)
    sound = load("inverter", retrieval)(analyse(tone(1_000.0), spec))
    assert abs(20 * math.log10(strongest_sine(sound)[1] / 0.5)) < 0.5


def test_level_carries_through(retrieval, spec, word):
    """60 dB less changes nothing but the level: no constant hides in the way."""
    inverter = load("inverter", retrieval, init="zero", n_iter=8)
    loud = analyse(word, spec)
    audible = loud.decibels > -130  # or else 60 dB less would be silence
    loud = replace(loud, decibels=torch.where(audible, loud.decibels, SILENCE_DB))
    quiet = replace(loud, decibels=torch.where(audible, loud.decibels - 60, SILENCE_DB))
    wanted = inverter(loud)
    assert (inverter(quiet) * 10**3 - wanted).abs().max() < 1e-3 * wanted.abs().max()


@pytest.mark.parametrize("init", ["random", "phase_gradient"])
def test_a_seed_decides_everything(retrieval, spec, init, word):
    spectrogram = analyse(word, spec)
    first = load("inverter", retrieval, init=init, seed=3)(spectrogram)
    assert torch.equal(load("inverter", retrieval, init=init, seed=3)(spectrogram), first)
    other = load("inverter", retrieval, init=init, seed=4)(spectrogram)
    difference = torch.linalg.norm(other - first) / torch.linalg.norm(first)
    assert difference > (0.1 if init == "random" else 0)


@pytest.mark.parametrize("init", ["zero", "phase_gradient"])
def test_a_batch_is_its_members(retrieval, spec, init, word):
    pair = torch.cat([word, 0.1 * word.flip(1)])
    inverter = load("inverter", retrieval, init=init, n_iter=8)  # rounding errors grow with each
    both = inverter(analyse(pair, spec))
    assert both.shape == pair.shape
    for one, member in zip(both, pair, strict=True):
        alone = inverter(analyse(member[None], spec))[0]
        assert (one - alone).abs().max() < 1e-4 * alone.abs().max()


def test_ends_do_not_click(name, spec, word):
    """Cut in the middle of a word and not centred: only the tips of windows reach the ends."""
    spec = replace(spec, center=False)
    sound = load("inverter", name)(analyse(word, spec))
    assert sound.abs().max() < 2 * word.abs().max()


def test_blocks_add_up(retrieval, spec, speech):
    spectrogram = analyse(torch.from_numpy(speech)[None].expand(2, -1), spec)
    inverter = load("inverter", retrieval, n_iter=1, block_frames=64)
    pieces = list(inverter.stream(spectrogram))
    assert len(pieces) > 1
    assert all(piece.shape[0] == 2 and piece.dtype == torch.float32 for piece in pieces)
    assert sum(piece.shape[1] for piece in pieces) == spectrogram.length
    assert torch.equal(torch.cat(pieces, 1), inverter(spectrogram))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_iter", -1),
        ("n_iter_estimated", -1),
        ("init", "heap"),
        ("refine_from", -1),
        ("refine_every", -2),
        ("block_frames", 63),
        ("seed", -1),
    ],
)
def test_parameters_out_of_range_are_refused(retrieval, field, value):
    with refused(f"inverter.{field}.range"):
        load("inverter", retrieval, **{field: value})


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("griffin_lim", "momentum", 1.0), ("griffin_lim", "momentum", -0.1), ("admm", "rho", 0.0)],
)
def test_own_parameters_out_of_range_are_refused(name, field, value):
    with refused(f"inverter.{field}.range"):
        load("inverter", name, **{field: value})


def test_a_block_shorter_than_its_overlap_is_refused(retrieval):
    spec = replace(MEL, hop_length=64)
    spectrogram = Spectrogram(torch.zeros(1, 256, 300), spec)
    inverter = load("inverter", retrieval, block_frames=200)
    with refused("inverter.block_frames.range"):
        inverter(spectrogram)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(retrieval, device):
    spectrogram = Spectrogram(torch.zeros(1, 256, 10), MEL)
    with refused("device.unknown"):
        load("inverter", retrieval, device=device)(spectrogram)


def test_a_device_is_found():
    assert torch_device("cpu").type == "cpu"
    assert torch_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sounds_like_the_cpu(retrieval, spec, word):
    spectrogram = analyse(word, spec)
    on_cpu, on_gpu = (
        load("inverter", retrieval, init="zero", n_iter=4, block_frames=64, device=device)(
            spectrogram
        )
        for device in ("cpu", "cuda")
    )
    assert on_gpu.device.type == "cpu"
    assert (on_gpu - on_cpu).abs().max() < 1e-3 * on_cpu.abs().max()
