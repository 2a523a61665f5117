"""Stereo through the image: a channel an utterance, and one file again."""

import numpy as np
import pytest
import soundfile

from tests.cli.encoding import RATE, encode, save
from tests.cli.results import report
from vocoder.cli.main import run


def test_channels_become_one_file_at_their_levels(tmp_path, speech):
    """The left channel is louder than what 16 bits hold, and twice the right one."""
    left = (1.2 / np.abs(speech).max() * speech).astype(np.float32)
    save(tmp_path / "in/duo.wav", np.stack([left, left / 2], axis=1))
    save(tmp_path / "in/solo.wav", speech)
    assert encode(tmp_path / "in", tmp_path / "set", audio_channel="split") == 0
    out = tmp_path / "out"
    words = ["invert", f"input={tmp_path / 'set/pictures'}", f"output={out}", "inverter.n_iter=2"]
    assert run(words) == 0
    assert sorted(path.stem for path in out.glob("*.wav")) == ["duo_ch1", "duo_ch2", "solo"]
    assert [path.name for path in (out / "joined").iterdir()] == ["duo.wav"]
    samples, rate = soundfile.read(out / "joined/duo.wav")
    assert (rate, samples.shape) == (RATE, (len(speech), 2))
    rms = np.sqrt((samples**2).mean(axis=0))
    assert 20 * np.log10(rms[0] / rms[1]) == pytest.approx(6.02, abs=0.1)
    assert 0.98 < np.abs(samples).max() <= 1
    rows = {row["utterance"]: row for row in report(out)["utterances"]}
    assert rows["duo"]["file"] == "joined/duo.wav"
    # Going on joins again what a kill has left apart, at the same levels.
    whole = (out / "joined/duo.wav").read_bytes()
    (out / "joined/duo.wav").unlink()
    assert run([*words, "resume=true"]) == 0
    assert (out / "joined/duo.wav").read_bytes() == whole
    assert run(words) == 2
