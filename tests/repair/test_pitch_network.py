"""The network that reads pitch and voicing from images."""

import librosa
import numpy as np
import pytest
import torch

from tests.refusals import refused
from vocoder.config import load
from vocoder.model.features import FLOOR_DB
from vocoder.model.weights import load_network
from vocoder.repair.network import RepairNet
from vocoder.repair.pitch import NO_VOICE, pitch_track, pitches_hz
from vocoder.repair.pitch_network import PitchNet
from vocoder.spectrogram import analyse
from vocoder.train.tasks.pitching import heard_pitches

MEL = load("spec", "mel256")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    return load_network("pitch", PitchNet, MEL, CPU)


@torch.inference_mode()
def read(network, decibels):
    repaired = load_network("generated", RepairNet, MEL, CPU)(decibels)
    return network(decibels, repaired)


def test_it_reads_from_speech_what_pyin_hears(network, speech):
    """Another method, on the waveform: most frames voiced in both are within a semitone."""
    decibels = analyse(torch.from_numpy(speech)[None], MEL).decibels.clamp(min=FLOOR_DB)
    found = read(network, decibels)
    assert torch.allclose(found.exp().sum(1), torch.ones(1, decibels.shape[2]), atol=1e-4)
    track = pitch_track(found[0].numpy())
    hz, flag, _ = librosa.pyin(
        speech, fmin=60, fmax=500, sr=MEL.sample_rate, frame_length=1024, hop_length=MEL.hop_length
    )
    both = flag[: len(track)] & (track != NO_VOICE)
    assert both.mean() > 0.2
    semitones = 12 * np.abs(np.log2(pitches_hz()[track[both]] / hz[: len(track)][both]))
    assert (semitones < 1).mean() > 0.85


def test_it_finds_the_voice_where_it_is_heard(network, speech):
    heard_track = pytest.importorskip("swift_f0") and heard_pitches(speech, 216, MEL)
    decibels = analyse(torch.from_numpy(speech)[None], MEL).decibels.clamp(min=FLOOR_DB)
    track = pitch_track(read(network, decibels)[0].numpy())
    assert ((track != NO_VOICE) == (heard_track != NO_VOICE)).mean() > 0.85


def test_silence_has_no_voice(network):
    silence = torch.full((1, MEL.bins, 64), FLOOR_DB)
    assert (pitch_track(read(network, silence)[0].numpy()) == NO_VOICE).all()


def test_nothing_beyond_its_context_matters():
    torch.manual_seed(0)
    network = PitchNet(MEL, channels=8, blocks=5, dropout=0.5).eval()
    assert network.context_frames == 1 + 2 + 4 + 8 + 1
    image = torch.rand(1, MEL.bins, 80) * -60
    other = image.clone()
    other[:, :, 40] = -5.0
    changed = (network(image, image) != network(other, other)).any(1)[0].nonzero()[:, 0]
    assert changed.min() == 40 - network.context_frames
    assert changed.max() == 40 + network.context_frames


def test_sizes_that_cannot_be_are_refused():
    with refused("model.blocks.range"):
        PitchNet(MEL, channels=8, blocks=0, dropout=0.0)
    with refused("model.spec"):
        PitchNet(load("spec", "linear512", nyquist=True), channels=8, blocks=1, dropout=0.0)
