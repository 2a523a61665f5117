"""Pieces of sound with their pictures: cut exactly, numbered, and the same for everybody."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.train.tiny import NOISE, SPEC, Clips, mixture, plan, real_clips
from vocoder.config import load
from vocoder.decibels import SILENCE_DB, to_linear
from vocoder.errors import BadInput
from vocoder.spectrogram import analyse, analyse_linear
from vocoder.train import distributed
from vocoder.train.degradation import Clean
from vocoder.train.examples import Mixture, Simulated, cut_piece, silenced
from vocoder.train.loop import _batches

SPECS = {
    name: load("spec", name) for name in ("mel256", "linear256", "linear512", "tacotron2", "seed")
}
SPECS["powers"] = replace(SPECS["mel256"], power=2.0)
SPECS["not centred"] = replace(SPECS["linear256"], center=False)
SPECS["zeros around"] = replace(SPECS["mel256"], pad_mode="constant")
SPECS["odd hop"] = replace(SPECS["linear512"], hop_length=200, win_length=900)


@pytest.mark.parametrize("name", SPECS)
def test_a_piece_is_what_the_analysis_of_the_whole_gives(name, speech):
    spec, sound = SPECS[name], speech[:20_011]
    whole = analyse_linear(torch.from_numpy(sound)[None], spec)[0].numpy()
    total, scale = whole.shape[1], whole.max()
    reads = []

    def read(start, samples):
        reads.append(samples)
        assert start >= 0 and start + samples <= sound.size
        return sound[start : start + samples]

    for begin in (0, 1, 2, 3, 7, total // 2, total - 13, total - 12, total - 11, total - 1):
        for frames in (1, 12, total + 5):
            reads.clear()
            true, piece = cut_piece(read, sound.size, begin, frames, (spec,))
            expected = np.zeros((spec.bins, frames), np.float32)
            there = whole[:, begin : begin + frames]
            expected[:, : there.shape[1]] = there
            assert true.shape == expected.shape
            linear = to_linear(torch.from_numpy(true), spec).numpy()
            assert np.abs(linear - expected).max() <= 1e-5 * scale, (begin, frames)
            assert piece.shape == (frames * spec.hop_length,)
            rest = sound[begin * spec.hop_length :][: frames * spec.hop_length]
            assert np.array_equal(piece[: rest.size], rest) and not piece[rest.size :].any()
            assert sum(reads) <= (frames + 2) * spec.hop_length + 2 * (spec.n_fft + spec.hop_length)


def test_a_whole_utterance_is_its_analysis(speech):
    source = Simulated(real_clips(), (SPEC,), Clean())
    clips = real_clips()
    for index, length in enumerate(clips.lengths):
        sound = clips.read(index, 0, length)
        example = source.whole(index, np.random.default_rng(0))
        decibels = analyse(torch.from_numpy(sound)[None], SPEC).decibels[0].numpy()
        assert example.true.shape == decibels.shape == (256, source.total_frames[index])
        np.testing.assert_allclose(example.true, decibels, atol=1e-3)
        # What a clean channel gives is that, but for what lies below the floor.
        np.testing.assert_array_equal(example.degraded, silenced(example.true))


def test_louder_and_quieter_examples_are_what_louder_and_quieter_sound_gives():
    for spec in (SPEC, SPECS["powers"]):
        example = Simulated(real_clips(), (spec,), Clean()).piece(
            0, 5, 20, np.random.default_rng(0)
        )
        louder = example.scaled(2.0)
        assert np.array_equal(louder.waveform, 2 * example.waveform)
        clips = real_clips()
        doubled = Clips([2 * clips.read(0, 0, clips.lengths[0])])
        expected = Simulated(doubled, (spec,), Clean()).piece(0, 5, 20, np.random.default_rng(0))
        assert np.allclose(louder.true, expected.true, atol=1e-3)
        loud = expected.degraded > -80
        assert np.allclose(louder.degraded[loud], expected.degraded[loud], atol=1e-3)


def same(a, b):
    return all(
        np.array_equal(getattr(a, k), getattr(b, k)) for k in ("degraded", "true", "waveform")
    )


def test_an_example_is_its_number_and_the_seed():
    examples = mixture(seed=3)
    first = [examples[i] for i in range(8)]
    assert all(same(examples[i], first[i]) for i in reversed(range(8)))
    assert all(same(mixture(seed=3)[i], first[i]) for i in (5, 1))
    others = [mixture(seed=4)[i] for i in range(8)]
    assert not any(same(a, b) for a in first for b in others)
    assert not any(same(first[i], first[j]) for i in range(8) for j in range(i))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than one core has
def test_workers_and_processes_see_the_same_examples(monkeypatch):
    """Any number of workers, any number of processes, begun anywhere."""
    examples = mixture()
    numbers = plan(steps=4, batch_size=4)

    def batches(rank=0, world=1, done=0, workers=0):
        torch.manual_seed(99 + workers)  # which has no say
        monkeypatch.setattr(distributed, "rank", lambda: rank)
        monkeypatch.setattr(distributed, "world_size", lambda: world)
        return list(_batches(examples, replace(numbers, workers=workers), done))

    alone = batches()
    assert len(alone) == 4 and alone[0].degraded.shape == (4, 256, 40)
    assert torch.equal(alone[1].waveform[2], torch.from_numpy(examples[6].waveform))
    for other in (batches(workers=2), batches(done=1)):
        for ours, theirs in zip(alone[-len(other) :], other, strict=True):
            for name, tensor in vars(ours).items():
                assert torch.equal(tensor, vars(theirs)[name])
    shares = [batches(rank, 2) for rank in (0, 1)]
    for step, batch in enumerate(alone):
        joined = torch.cat([share[step].waveform for share in shares])
        assert torch.equal(joined, batch.waveform)


def test_examples_do_not_touch_the_common_random_numbers():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for workers in (0, 1):
        list(_batches(mixture(), plan(workers=workers), 0))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_second_and_every_source_counts_as_much_as_asked(speech):
    """Two lines of which one is three times as long, and another source; told apart by level."""
    steady = np.sin(np.arange(48_000) * 0.3).astype(np.float32)
    long, short, other = 0.1 * steady[:36_000], 0.3 * steady[:12_000], 0.9 * steady[:5_000]
    sources = [Simulated(Clips(sounds), (SPEC,), Clean()) for sounds in ([long, short], [other])]
    examples = Mixture(sources, [3, 1], frames=8, gain_db=0, seed=0)
    peaks = np.array([np.abs(examples[i].waveform).max() for i in range(250)])
    shares = [np.mean(np.abs(peaks - level) < 0.01) for level in (0.1, 0.3, 0.9)]
    assert shares == pytest.approx([9 / 16, 3 / 16, 1 / 4], abs=0.09)


def test_gains_are_drawn_over_the_whole_range():
    quiet, loud = (Mixture([Simulated(real_clips(), (SPEC,), Clean())], [1], frames=40, gain_db=db,
                           seed=1) for db in (0.0, 8.0))  # fmt: skip
    gains_db = [
        20 * np.log10(np.abs(loud[i].waveform).max() / np.abs(quiet[i].waveform).max())
        for i in range(40)
    ]
    assert -8 <= min(gains_db) < -6 and 6 < max(gains_db) <= 8


def test_an_utterance_shorter_than_an_example_ends_in_silence(speech):
    source = Simulated(Clips([speech[5_000:9_000]]), (SPEC,), NOISE)
    example = Mixture([source], [1], frames=40, gain_db=0, seed=0)[0]
    assert example.true.shape == (256, 40) and example.waveform.shape == (40 * 256,)
    heard = example.true > SILENCE_DB
    assert heard[:, :10].any() and not heard[:, 16:].any()
    assert example.waveform[:3_900].any() and not example.waveform[4_000:].any()


def test_sources_have_to_agree():
    one, other = (Simulated(real_clips(), (spec,), NOISE) for spec in (SPEC, SPECS["linear256"]))
    with pytest.raises(BadInput, match=r"different spectrogram settings .*n_fft: 1024 != 512"):
        Mixture([one, other], [1, 1], frames=8, gain_db=0, seed=0)
