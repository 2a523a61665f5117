"""What the WaveNet's recipes count: clicks, levels, likelihoods."""

import numpy as np
import pytest
import soundfile
import torch

from recipes.speaker_wavenet import baselines, likelihood, safety
from tests.corpora import write_clip
from tests.model.wavenet.networks import MEL, small
from vocoder.corpus.manifest import write_corpus
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.wavenet.generation import Speaker

RATE = 22_050


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, painted):
    """A second of speech for each split."""
    folder = tmp_path_factory.mktemp("corpus")
    samples, _ = soundfile.read(
        painted / "reference/nl_m__m-obdivovat.flac", dtype="float32", start=8_000
    )
    clips = [
        write_clip(
            folder, f"{split}.flac", samples[number * RATE : (number + 1) * RATE], RATE, split
        )
        for number, split in enumerate(("train", "val", "test"))
    ]
    write_corpus(folder, clips, overwrite=False)
    return folder


def test_clicks_are_counted_one_by_one(speech):
    assert safety.clicks(speech, RATE) == 0
    assert safety.clicks(np.zeros(RATE, np.float32), RATE) == 0
    rng = np.random.default_rng(0)
    assert safety.clicks(0.1 * rng.standard_normal(5 * RATE), RATE) == 0
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    jumping = tone + 0.1 * (np.arange(RATE) > 5_000) - 0.1 * (np.arange(RATE) > 9_000)
    assert safety.clicks(jumping, RATE) == 2
    spoken = speech.copy()
    spoken[[10_000, 20_000, 30_000]] += 0.5
    assert safety.clicks(spoken, RATE) == 3


def test_levels_are_compared_where_something_is_heard(speech):
    assert safety.loudest_db(2 * speech, speech, RATE) == pytest.approx(6.02, abs=0.01)
    louder = speech.copy()
    louder[RATE : RATE + 2_205] *= 4
    assert safety.loudest_db(louder, speech, RATE) == pytest.approx(12.04, abs=0.1)
    quiet = np.concatenate([speech, np.zeros(RATE, np.float32)])
    hum = quiet + 1e-4
    assert abs(safety.loudest_db(hum, quiet, RATE)) < 0.5


def test_what_is_said_is_measured(speech):
    network = small()
    found = safety.say(Speaker(network), speech[: 40 * 256], 1.0)
    assert found.not_finite == 0 and found.speed > 0
    assert found.silence_dbfs < -100
    assert abs(found.loudest_db) < 20
    assert safety.slower(Speaker(network), speech[: 200 * 256], MEL, steps=1) > 1


def test_the_baselines_train_and_are_compared(corpus, tmp_path, capsys, monkeypatch):
    """Small, and for two steps each: the blind one knows least already."""
    real_load = vars(baselines)["load"]

    def load(group, name, **changes):
        if (group, name) != ("model", "wavenet"):
            return real_load(group, name, **changes)
        return small(gain=1.0, **{k: v for k, v in changes.items() if k != "spec"})

    monkeypatch.setattr(baselines, "load", load)
    own = tmp_path / "own.safetensors"
    Checkpoint(settings_of(small()), MEL, small().state_dict(), {}).write(own, overwrite=False)
    words = [str(corpus), str(tmp_path / "out"), "--steps", "2", "--lines", "2"]
    assert baselines.main([*words, "--also", str(own)]) == 0
    table = (tmp_path / "out/table.md").read_text()
    assert table in capsys.readouterr().out
    rows = dict(row.strip("| ").split(" | ")[:2] for row in table.splitlines()[2:])
    assert set(rows) == {"as it ships", "one layer", "blind", str(own)}
    assert float(rows["as it ships"]) < float(rows["blind"])
    runs = tmp_path / "out/one_layer/best.safetensors"
    changed = runs.stat().st_mtime_ns
    assert baselines.main(words) == 0 and runs.stat().st_mtime_ns == changed
    assert baselines.main([str(tmp_path / "none"), str(tmp_path / "out2")]) == 2
    assert "none" in capsys.readouterr().err


def test_likelihoods_are_compared_line_by_line(corpus, tmp_path, capsys):
    weights = {}
    for name, gain in (("one", 1.0), ("other", 3.0)):
        weights[name] = str(tmp_path / f"{name}.safetensors")
        checkpoint = Checkpoint(settings_of(small()), MEL, small(gain=gain).state_dict(), {})
        checkpoint.write(tmp_path / f"{name}.safetensors", overwrite=False)
    words = [str(corpus), *weights.values(), "--speaker", "anna"]
    assert likelihood.main(words) == 0
    rows = [row.strip("| ").split(" | ") for row in capsys.readouterr().out.splitlines()[2:]]
    (one, first, *_), (other, second, more) = rows
    assert [one, other] == list(weights.values())
    difference = float(more.partition(" ")[0])
    assert difference != 0 and float(second) - float(first) == pytest.approx(difference, abs=2e-3)
    assert likelihood.main([str(corpus), "generated"]) == 2
    assert "holds a RepairNet; expected a WaveNet" in capsys.readouterr().err
    assert likelihood.main([str(corpus), weights["one"], "--speaker", "carl"]) == 2
    assert "carl" in capsys.readouterr().err


def test_safety_refuses_what_is_no_wavenet(corpus, capsys):
    torch_threads = torch.get_num_threads()
    assert safety.main([str(corpus), "--weights", "generated"]) == 2
    assert "expected a WaveNet" in capsys.readouterr().err
    torch.set_num_threads(torch_threads)
