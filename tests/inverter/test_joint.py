"""One waveform for several analyses: against a second implementation, and on what is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import get_window

from tests.inverter.test_batch import joined
from tests.inverter.test_contract import strongest_sine
from tests.refusals import refused
from vocoder.audio import read_audio
from vocoder.config import load
from vocoder.evaluate.metrics import measure
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.inverter.joint import JointStft
from vocoder.inverter.stack import Stack
from vocoder.spectrogram import Spectrogram, analyse

DATA = Path(__file__).parents[1] / "data"
MEL = load("spec", "mel256")
RATE_HZ = MEL.sample_rate
SMALL = tuple(
    replace(load("spec", "linear256"), win_length=win, n_fft=n_fft, hop_length=8, nyquist=True)
    for win, n_fft in ((32, 32), (12, 16), (64, 64))
)


def three(samples):
    """A waveform's analyses as codec windows has them."""
    first, *others = (
        replace(analyse(samples, spec), weight=weight)
        for spec, weight in load("codec", "windows").analyses(MEL)
    )
    return replace(first, others=tuple(others))


def seconds(n_samples):
    return torch.arange(n_samples, dtype=torch.float64) / RATE_HZ


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (1.0, 0.5, 3.0), (1.0, 0.0, 0.5)])
def test_the_inverse_solves_the_weighted_least_squares(weights):
    """As one matrix in float64: every frame of every STFT is an equation for the signal."""
    n_frames, hop = 20, 8
    length = (n_frames - 1) * hop + 64
    generator = torch.Generator().manual_seed(1)
    wanted = [
        torch.randn(1, n_frames, spec.n_fft, generator=generator, dtype=torch.float64)
        for spec in SMALL
    ]
    rows, values = [], []
    for spec, weight, frames, stride in zip(SMALL, weights, wanted, (1, 1, 2), strict=True):
        window = np.zeros(spec.n_fft)
        begin = (spec.n_fft - spec.win_length) // 2
        window[begin : begin + spec.win_length] = get_window("hann", spec.win_length)
        # Of the longest every second frame is used, each as heavy as two.
        scale = np.sqrt(stride * weight / (window**2).sum())
        for t in range(0, n_frames, stride):
            place = t * hop + (64 - spec.n_fft) // 2
            matrix = np.zeros((spec.n_fft, length))
            matrix[np.arange(spec.n_fft), place + np.arange(spec.n_fft)] = window
            rows.append(scale * matrix)
            values.append(scale * frames[0, t].numpy())
    matrix, right = np.concatenate(rows), np.concatenate(values)
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    transforms = [torch.fft.rfft(frames).mT.to(torch.complex64) for frames in wanted]
    stack = Stack(SMALL)
    used = [stack.used(transform, index) for index, transform in enumerate(transforms)]
    found = JointStft(SMALL, weights).inverse(stack.join(used, n_frames))[0]
    # Where only the tips of windows reach, the division is bounded.
    coverage = (matrix**2).sum(axis=0)
    well = coverage > 0.011 * coverage.max()
    assert well.sum() > 0.7 * length
    np.testing.assert_allclose(found.numpy()[well], solution[well], atol=1e-4)


def test_a_consistent_transform_is_its_own_signals():
    joint = JointStft(SMALL, (1.0, 0.5, 0.5))
    signal = torch.randn(2, 20 * 8 + 64, generator=torch.Generator().manual_seed(0))
    transform = joint.forward(signal)
    assert transform.shape == (2, 17 + 9 + 17, 21)  # the last ones are of every second frame
    again = joint.forward(joint.inverse(transform))
    inner = slice(4, -4)
    torch.testing.assert_close(again[:, :, inner], transform[:, :, inner], rtol=0, atol=1e-4)


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("n_frames", [1, 2, 7, 8])
def test_a_stack_gives_back_what_it_was_given(n_frames, stride):
    specs = (*SMALL[:2], replace(SMALL[2], win_length=32 * stride, n_fft=128))
    stack = Stack(specs)
    parts = [
        stack.used(torch.randn(2, spec.n_freqs, n_frames), index)
        for index, spec in enumerate(specs)
    ]
    assert [part.shape[2] for part in parts] == [n_frames, n_frames, n_frames // stride]
    joined = stack.join(parts, n_frames)
    assert joined.mT.is_contiguous()
    for ours, given in zip(stack.split(joined), parts, strict=True):
        assert torch.equal(ours, given)


@pytest.mark.parametrize("name", ["griffin_lim", "admm"])
class TestInversion:
    @pytest.mark.parametrize("n_frames", [1, 2, 3])
    def test_a_few_frames_are_enough(self, name, n_frames):
        few = three(0.1 * torch.randn(1, 4_096)).frames(4, 4 + n_frames)
        heard = load("inverter", name)(few)
        assert heard.shape == (1, few.length) and heard.isfinite().all()

    def test_a_tone_keeps_its_pitch_and_level(self, name):
        tone = (0.5 * torch.sin(2 * torch.pi * 220 * seconds(RATE_HZ))).float()[None]
        heard_hz, amplitude = strongest_sine(load("inverter", name)(three(tone)))
        assert abs(heard_hz - 220) < 1
        assert abs(20 * np.log10(amplitude / 0.5)) < 0.5

    def test_a_click_stays_as_short_as_the_shortest_window_shows_it(self, name):
        click = torch.zeros(1, RATE_HZ)
        click[0, 11_264] = 1
        heard = load("inverter", name)(three(click))[0]
        around = heard[11_264 - 160 : 11_264 + 160]
        assert around.square().sum() > 0.9 * heard.square().sum()
        assert abs(int(heard.abs().argmax()) - 11_264) < 160

    def test_each_of_a_batch_becomes_what_it_becomes_alone(self, name, speech):
        inverter = load("inverter", name, n_iter=5, n_iter_estimated=5)
        lines = [
            torch.from_numpy(speech[a:b].copy())[None] for a, b in ((0, 15_000), (9_000, 40_000))
        ]
        spectrograms = [three(line) for line in lines]
        for together, one in zip(joined(inverter, spectrograms), spectrograms, strict=True):
            alone = inverter(one)[0]
            assert (together - alone).abs().max() < 1e-3 * alone.abs().max()

    def test_blocks_join_without_a_seam(self, name, speech):
        """ESTOI against the waveform is that of the whole's inversion, and nothing jumps."""
        there_and_back = np.concatenate([speech, speech[::-1], speech])
        line = torch.from_numpy(there_and_back[: 8 * RATE_HZ])[None]
        spectrogram = three(line)
        options = {"n_iter": 8, "n_iter_estimated": 8}
        whole = load("inverter", name, block_frames=2_000, **options)(spectrogram)[0]
        pieces = list(load("inverter", name, block_frames=256, **options).stream(spectrogram))
        assert len(pieces) > 2
        blocks = torch.cat(pieces, 1)[0]
        assert blocks.shape == whole.shape
        assert blocks.diff().abs().max() < 1.2 * whole.diff().abs().max()
        scores = [
            measure(line[0].numpy(), one.numpy(), RATE_HZ, ("estoi",))["estoi"]
            for one in (whole, blocks)
        ]
        assert abs(scores[0] - scores[1]) < 0.01

    def test_generated_images_sound_better_by_all_three_than_by_any(self, name):
        found = ImageSource(input=DATA / "pix2pix_windows" / "results").find()
        scores = []
        for utterance in found.utterances:
            spectrogram = load_utterance(utterance, found).spectrogram
            true = read_audio(DATA / "pix2pix" / "reference" / f"{utterance.name}.flac", RATE_HZ)
            roads = [spectrogram, *(replace(one, others=()) for one in spectrogram.analyses)]
            heard = [load("inverter", name)(one)[0].numpy() for one in roads]
            scores.append([measure(true, one, RATE_HZ, ("estoi",))["estoi"] for one in heard])
        joint, green, red, blue = np.mean(scores, axis=0)
        assert joint > max(green, red, blue) + 0.01


def test_true_images_are_as_good_by_three_as_by_one(speech):
    line = torch.from_numpy(speech)[None]
    spectrogram, inverter = three(line), load("inverter", "admm")
    joint, one = (
        measure(speech, inverter(each)[0].numpy(), RATE_HZ, ("estoi",))["estoi"]
        for each in (spectrogram, replace(spectrogram, others=()))
    )
    assert joint > one - 0.01 > 0.9


def test_what_knows_one_analysis_takes_the_first(speech):
    spectrogram = three(torch.from_numpy(speech[:30_000])[None])
    for repair in ("network", "auto"):
        repaired = load("repair", repair)(spectrogram)
        alone = load("repair", repair)(replace(spectrogram, others=()))
        torch.testing.assert_close(repaired.decibels, alone.decibels)


def test_analyses_on_another_grid_are_refused():
    first = Spectrogram(torch.zeros(1, 256, 9), MEL)
    for other in (
        Spectrogram(torch.zeros(1, 256, 8), MEL),
        Spectrogram(torch.zeros(1, 256, 9), replace(MEL, hop_length=128)),
    ):
        with refused("spectrogram.others"):
            replace(first, others=(other,))
