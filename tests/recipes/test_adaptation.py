"""What minutes of a speaker are worth: what is learnt from, what is measured, what is shown."""

import json

import pytest

from recipes import adaptation
from tests.corpora import write_clip
from vocoder.audio import read_audio
from vocoder.errors import BadInput
from vocoder.train.corpus.manifest import read_corpus, write_corpus

RATE = 22_050


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, painted):
    """Two speakers, and of each two clips to learn from, one to validate on and one to test on."""
    folder = tmp_path_factory.mktemp("corpus")
    clips = []
    for speaker, line in (("anna", "nl_v__jes-v-kamen"), ("ben", "nl_m__m-obdivovat")):
        sound = read_audio(painted / f"reference/{line}.flac", RATE)[5_000:]
        length = min(sound.size // 4, 2 * RATE)
        for number, split in enumerate(("train", "train", "val", "test")):
            part = sound[number * length : (number + 1) * length]
            name = f"{speaker}/{split}{number}.flac"
            clips.append(write_clip(folder, name, part, RATE, split, speaker))
    write_corpus(folder, clips, overwrite=False)
    return folder


def test_cuts_lie_within_each_other_and_the_rest_is_unseen(corpus):
    clips = [clip for clip in read_corpus(corpus) if clip.speaker == "ben"]
    cuts, unseen = adaptation.shortened(clips, [0.001])
    assert list(cuts) == [0.001] and len(cuts[0.001]) == 1
    assert [clip.split for clip in unseen] == ["test", "train"]
    assert unseen[1].path != cuts[0.001][0].path
    both, unseen = adaptation.shortened(clips, [0.05, 0.001])
    assert both[0.05][:1] == both[0.001] and len(both[0.05]) == 2
    assert [clip.split for clip in unseen] == ["test"]
    with pytest.raises(BadInput, match=r"--minutes is 5; there are 0\.\d"):
        adaptation.shortened(clips, [5])


def test_a_speaker_is_learnt_and_compared(corpus, tmp_path, capsys):
    output = tmp_path / "out"
    words = [str(corpus), str(output), "--speaker", "ben", "--minutes", "0.001", "--base-steps"]
    assert adaptation.main([*words, "1", "--steps", "1", "--lines", "1"]) == 0
    printed = capsys.readouterr().out
    assert "| 0.001 min of ben, against the base |" in printed
    assert "1 lines; mean" in printed
    assert (output / "curve.png").read_bytes().startswith(b"\x89PNG")
    base = json.loads((output / "base/run.json").read_text())
    tuned = json.loads((output / "tuned_0.001min/run.json").read_text())
    assert base["data"]["recordings"]["speakers"] == ["anna"]
    assert tuned["data"]["recordings"]["speakers"] == ["ben"]
    assert tuned["data"]["recordings"]["clips"] == 1
    results = json.loads((output / "results.json").read_text())
    assert list(results[adaptation.BASE]) == ["ben/test3.flac:0"]
    # A second time nothing is trained or measured again.
    results[adaptation.BASE]["ben/test3.flac:0"]["estoi"] = 2.0
    (output / "results.json").write_text(json.dumps(results))
    assert adaptation.main([*words, "1", "--steps", "1", "--lines", "1"]) == 0
    assert "| base | 2.000" in capsys.readouterr().out


def test_a_speaker_who_is_not_there_is_named(corpus, tmp_path, capsys):
    assert adaptation.main([str(corpus), str(tmp_path / "out"), "--speaker", "carl"]) == 2
    assert "has 0 clips of carl and 2 other speakers" in capsys.readouterr().err
