"""The corpus of many voices, from a stand-in of a clone: no network."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from recipes.voices import main
from vocoder.corpus import read_corpus

RATE = 24_000


@pytest.fixture
def recordings(tmp_path: Path, speech: np.ndarray) -> Path:
    """A clone of one voice, in stereo, with a file that is too short."""
    folder = tmp_path / "voices/flemishguy/wavs"
    folder.mkdir(parents=True)
    pause = 1e-5 * np.random.default_rng(0).standard_normal(RATE // 2)
    for number in range(16):
        one = np.concatenate([pause, speech[: 4 * RATE] * (0.5 + 0.03 * number), pause])
        soundfile.write(folder / f"{number}.wav", np.stack([one, 0 * one], axis=1), RATE)
    soundfile.write(folder / "short.wav", speech[: RATE // 2], RATE)
    return tmp_path / "voices"


def test_one_corpus_of_what_is_there(recordings, tmp_path):
    output = tmp_path / "corpus"
    given = [str(recordings), str(output), "--voices", "flemishguy"]
    assert main(given) == 0
    utterances = read_corpus(output)
    assert {one.speaker for one in utterances} == {"flemishguy"}
    assert all((output / one.path).is_file() for one in utterances)
    assert len(utterances) >= 16 and not any("short" in one.path for one in utterances)
    assert {one.split for one in utterances} <= {"train", "val"}
    assert main(given) == 0  # once more: the same
    assert read_corpus(output) == utterances


def test_a_voice_that_is_not_there_is_named(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "corpus"), "--voices", "nathalie"]) == 2
    assert "nathalie" in capsys.readouterr().err
