"""A long spectrogram is inverted in blocks: nobody hears where they meet, and memory is bounded."""

import itertools
import math

import numpy as np
import pytest
import soundfile
import torch
from pystoi import stoi

from tests.inverter.test_contract import RETRIEVAL as INVERTERS
from tests.specs import OWN
from vocoder.config import load
from vocoder.inverter.retrieval import overlap_frames
from vocoder.spectrogram import Constraint, Spectrogram, analyse, stft

SPECS = ["mel256", "linear256"]
BLOCK_FRAMES = 128
WHOLE = 100_000


@pytest.fixture(scope="module")
def line(generated):
    """4 s of speech, ``(1, samples)``: three seams at 1024/256, seven at 512/128."""
    samples, _ = soundfile.read(generated / "reference/nl_m__m-obdivovat.flac", dtype="float32")
    return torch.from_numpy(samples[8_000:96_200])[None]


@pytest.fixture(params=list(itertools.product(INVERTERS, SPECS)), ids="-".join, scope="module")
def inverted(request, line):
    """Spec, the sound inverted whole and in blocks, and the samples at which blocks meet."""
    name, spec_name = request.param
    spec = load("spec", spec_name)
    spectrogram = analyse(line, spec)
    whole = load("inverter", name, block_frames=WHOLE)(spectrogram)
    pieces = list(load("inverter", name, block_frames=BLOCK_FRAMES).stream(spectrogram))
    seams = np.cumsum([piece.shape[1] for piece in pieces])[:-1].tolist()
    assert len(seams) >= 2
    return spec, whole, torch.cat(pieces, 1), seams


def near(seams, reach, length):
    """Whether each of ``length`` places is within ``reach`` of a seam."""
    places = torch.arange(length)[:, None]
    return ((places - torch.tensor(seams)).abs() <= reach).any(1)


def test_blocks_are_understood_as_well_as_the_whole(inverted, line):
    spec, whole, blocks, _ = inverted
    scores = [
        stoi(line[0].numpy(), heard[0].numpy(), spec.sample_rate, extended=True)
        for heard in (whole, blocks)
    ]
    assert scores[0] > 0.96
    assert abs(scores[0] - scores[1]) < 0.01


def test_magnitudes_are_no_worse_at_the_seams(inverted, line):
    """Error of the frames within 8 of a seam, relative to what is there, against all others."""
    spec, whole, blocks, seams = inverted
    wanted = stft(line, spec).abs()[0, :, 4:-4]
    at_seam = near([s / spec.hop_length - 4 for s in seams], 8, wanted.shape[1])

    def error(heard, frames):
        off = stft(heard, spec).abs()[0, :, 4:-4] - wanted
        return float(off[:, frames].norm() / wanted[:, frames].norm())

    at, elsewhere = error(blocks, at_seam), error(blocks, ~at_seam)
    # Some places are harder than others: the whole's error says which.
    hardness = error(whole, at_seam) / error(whole, ~at_seam)
    assert at < 1.25 * max(1, hardness) * elsewhere
    assert at < 1.25 * max(error(whole, at_seam), error(whole, ~at_seam))


def test_seams_do_not_click(inverted):
    spec, whole, blocks, seams = inverted
    jumps = blocks[0].diff().abs()
    around = near(seams, 30 * spec.hop_length, len(jumps))
    assert jumps[around].max() < 1.2 * whole[0].diff().abs().max()
    # A step shows most in the second difference; at the seam it is as around it.
    bends = blocks[0].diff(n=2).abs()
    for seam in seams:
        nearby = bends[seam - spec.hop_length : seam + spec.hop_length]
        assert bends[seam - 3 : seam + 2].max() < 1.2 * nearby.max()
        assert bends[seam - 3 : seam + 2].mean() < 4 * nearby.mean()


@pytest.mark.parametrize("name", INVERTERS)
@pytest.mark.parametrize("spec_name", OWN)
def test_a_sine_goes_on_unbroken(name, spec_name):
    spec = load("spec", spec_name)
    block_frames = 64
    hz, n_samples = 440.0, 6 * block_frames * spec.hop_length
    seconds = torch.arange(n_samples, dtype=torch.float64) / spec.sample_rate
    sine = (0.5 * torch.sin(2 * math.pi * hz * seconds)).float()[None]
    pieces = list(load("inverter", name, block_frames=block_frames).stream(analyse(sine, spec)))
    heard = torch.cat(pieces, 1)[0].double().numpy()
    seams = np.cumsum([piece.shape[1] for piece in pieces])[:-1]
    assert len(seams) >= 4

    # Down to 0 Hz, without what is left at 880 Hz: amplitude and phase from sample to sample.
    window = np.hanning(2 * spec.hop_length)
    tone = np.convolve(
        heard * np.exp(-2j * np.pi * hz * seconds.numpy()), window / window.sum(), "same"
    )
    phase, level = np.unwrap(np.angle(tone)), 2 * np.abs(tone)
    hop = spec.hop_length
    inner = slice(16 * hop, -16 * hop)  # cut in the middle of a sine, the ends are less sure
    assert np.abs(20 * np.log10(level[inner] / 0.5)).max() < 1
    # A pitch that is off by a constant turns the phase at a constant rate; seams add nothing.
    steps = phase[2 * hop :] - phase[: -2 * hop]
    rate = np.median(steps[inner])
    at_seams = np.array([steps[seam - hop] for seam in seams if seam + 5 * hop < n_samples])
    assert np.abs(at_seams - rate).max() < 0.1
    assert (
        abs(rate) / (2 * math.pi * 2 * hop / spec.sample_rate)
        < 0.15 * spec.sample_rate / spec.n_fft
    )


@pytest.mark.parametrize("name", INVERTERS)
def test_a_block_is_heard_before_the_next_is_computed(name):
    """An hour of one frame, shown 310 000 times: only its beginning is used."""
    spec = load("spec", "mel256")
    context, lookahead = overlap_frames(spec)
    used = []

    class Watch(Constraint):
        def project(self, decibels, first_frame):
            used.append((first_frame, decibels.shape[2]))
            return decibels

    frame = torch.full((1, spec.bins, 1), -50.0)
    hour = Spectrogram(frame.expand(-1, -1, 310_000), spec, constraint=Watch())
    inverter = load("inverter", name, block_frames=BLOCK_FRAMES, n_iter=20)
    blocks = inverter.stream(hour)
    assert used == [], "work before the first block was asked for"
    assert next(blocks).shape[0] == 1
    assert set(used) == {(0, BLOCK_FRAMES)}
    used.clear()
    next(blocks)
    assert set(used) == {(BLOCK_FRAMES - lookahead - context, BLOCK_FRAMES)}


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [
        (20, {0: 20}),
        (128, {0: 128}),
        (152, {0: 152}),
        (153, {0: 128, 96: 57}),
        (300, {0: 128, 96: 128, 192: 108}),
    ],
)
def test_blocks_begin_where_frames_are_settled(n_frames, expected):
    """8 settled frames to go on from, 24 done again; a rest below that joins the last block."""
    spec = load("spec", "mel256")
    lengths = {}

    class Watch(Constraint):
        def project(self, decibels, first_frame):
            lengths[first_frame] = decibels.shape[2]
            return decibels

    flat = torch.full((1, spec.bins, n_frames), -50.0)
    spectrogram = Spectrogram(flat, spec, constraint=Watch())
    load("inverter", "griffin_lim", block_frames=BLOCK_FRAMES, n_iter=9)(spectrogram)
    assert lengths == expected
