"""What the WaveNet's recipe counts, and its table."""

import json

import numpy as np
import pytest
import soundfile

from recipes.speaker_wavenet import table
from tests.corpora import make_corpus
from tests.inverter.wavenet.networks import MEL, small
from vocoder.model.checkpoint import Checkpoint, settings_of

RATE = 22_050


@pytest.fixture
def corpus(tmp_path, speech):
    """A second of speech, held out."""
    make_corpus(tmp_path, {"test.flac": (speech[:RATE], "test")})
    return tmp_path


def test_clicks_are_counted_one_by_one(speech):
    assert table.clicks(speech, RATE) == 0
    assert table.clicks(np.zeros(RATE, np.float32), RATE) == 0
    rng = np.random.default_rng(0)
    assert table.clicks(0.1 * rng.standard_normal(5 * RATE), RATE) == 0
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    jumping = tone + 0.1 * (np.arange(RATE) > 5_000) - 0.1 * (np.arange(RATE) > 9_000)
    assert table.clicks(jumping, RATE) == 2
    clicking = speech.copy()
    clicking[[10_000, 20_000, 30_000]] += 0.5
    assert table.clicks(clicking, RATE) == 3


def test_levels_are_compared_where_something_is_heard(speech):
    assert table.loudest_db(2 * speech, speech, RATE) == pytest.approx(6.02, abs=0.01)
    louder = speech.copy()
    louder[RATE : RATE + 2_205] *= 4
    assert table.loudest_db(louder, speech, RATE) == pytest.approx(12.04, abs=0.1)
    quiet = np.concatenate([speech, np.zeros(RATE, np.float32)])
    assert abs(table.loudest_db(quiet + 1e-4, quiet, RATE)) < 0.5


def test_networks_are_compared_with_their_initial_estimate(corpus, tmp_path, capsys):
    weights = []
    for name, gain in (("one", 1.0), ("other", 3.0)):
        path = tmp_path / f"{name}.safetensors"
        network = small(gain=gain)
        Checkpoint(settings_of(network), MEL, network.state_dict(), {}).write(path, overwrite=False)
        weights.append(str(path))
    output = tmp_path / "out"
    assert table.main([str(corpus), str(output), *weights, "--measures", "estoi,mel"]) == 0
    rows = [row.strip("| ").split(" | ") for row in (output / "table.md").read_text().splitlines()]
    found = {row[0]: row[1:] for row in rows[2:-1]}
    systems = [
        f"{s}{end}" for s in ("initial_estimate", "one", "other") for end in ("", "_iterated")
    ]
    assert list(found) == systems
    assert float(found["one"][0]) < float(found["other"][0])
    assert all(row[2] == "0" for row in found.values())
    length = soundfile.info(output / "reference/000.wav").frames
    assert {soundfile.info(output / s / "000.wav").frames for s in systems} == {length}
    evaluation = json.loads((output / "evaluation/evaluation.json").read_text())
    assert "initial_estimate_iterated" in json.dumps(evaluation)


def test_what_is_no_wavenet_and_who_is_not_there_are_refused(corpus, tmp_path, capsys):
    assert table.main([str(corpus), str(tmp_path / "out"), "generated"]) == 2
    assert "expected a WaveNet" in capsys.readouterr().err
    assert table.main([str(corpus), str(tmp_path / "out"), "wavenet", "--speaker", "carl"]) == 2
    assert "carl" in capsys.readouterr().err
