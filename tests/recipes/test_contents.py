"""What colours may hold: true images of every content become the speech again."""

import numpy as np
import pytest
import torch

from recipes.contents.__main__ import ContentGenerator, table
from recipes.contents.planes import CONTENTS, SPEC, PhaseDerivatives
from tests.corpora import make_corpus
from vocoder.corpus.corpus import Corpus
from vocoder.evaluate.metrics.perceptual import estoi
from vocoder.spectrogram import bin_centres_hz

RATE = SPEC.sample_rate


@pytest.fixture(scope="module")
def excerpt(speech):
    return speech[: 172 * SPEC.hop_length]


@pytest.mark.parametrize("name", CONTENTS)
def test_a_true_image_becomes_the_speech_again(name, excerpt):
    content = CONTENTS[name]
    image = content.encode(excerpt)
    assert image.shape == (content.channels, SPEC.bins, SPEC.n_frames(excerpt.size))
    assert 0 <= image.min() < image.max() <= 1
    made = content.inversions((image * 255).round() / 255)
    scores = {how: estoi(excerpt, waveform.numpy(), RATE) for how, waveform in made.items()}
    assert max(scores.values()) > 0.97
    if name.startswith("phase"):
        assert scores["phases in their planes, then ADMM"] > scores["level"]


@pytest.mark.parametrize("hz", [440.0, 1234.5])
def test_the_frequency_in_its_plane_is_that_of_a_tone(hz):
    tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)
    image = PhaseDerivatives(1.0, by_level=False).encode(tone)
    band = int(image[0, :, 40].argmax())
    centres_hz = bin_centres_hz(SPEC)
    bin_hz = RATE / SPEC.n_fft
    width_hz = max(np.gradient(centres_hz)[band], 2 * bin_hz)
    told_hz = centres_hz[band] + (2 * float(image[1, band, 40]) - 1) * width_hz
    assert told_hz == pytest.approx(hz, abs=0.05 * bin_hz)
    assert float(image[2, band, 40]) == pytest.approx(0.5, abs=0.02)  # a steady tone has no delay


def test_a_generator_goes_on_where_it_stopped(excerpt, tmp_path):
    make_corpus(tmp_path, {"anna/1.flac": (excerpt, "train")})
    corpus = Corpus(tmp_path, "train", sample_rate=RATE)
    whole = ContentGenerator(CONTENTS["grey"], "telephone", 0, tmp_path / "whole")
    whole.train(corpus, 2)
    for steps in (1, 2):
        halves = ContentGenerator(CONTENTS["grey"], "telephone", 0, tmp_path / "halves")
        halves.train(corpus, steps)
    made = [one.generate(excerpt) for one in (whole, halves)]
    assert torch.equal(*made) and made[0].shape == (1, SPEC.bins, SPEC.n_frames(excerpt.size))


def test_the_table_compares_with_grey_line_by_line():
    results = {
        "grey: level": {f"{k}": {"estoi": 0.5 + k / 100} for k in range(8)},
        "pitch: level": {f"{k}": {"estoi": 0.6 + k / 100} for k in range(8)},
    }
    _, _, grey, pitch = table(results).splitlines()
    assert grey.startswith("| grey: level | 0.535 |")
    assert pitch.startswith("| pitch: level | 0.635 (p 0.0078) |")  # two of 256 patterns of signs
