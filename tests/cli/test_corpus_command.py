"""Anyone's recordings become a corpus of one speaker: short dialogues of real speech."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.results import linked, report
from tests.refusals import refused
from vocoder.audio import read_audio
from vocoder.cli.main import dispatch, run
from vocoder.corpus import Corpus, Utterance, make, read_corpus
from vocoder.corpus.make import Preparation

RATE, NATIVE = 22_050, 32_000
REFERENCE = Path(__file__).parents[1] / "data/pix2pix/reference"
TURN_S = 4.0  # every speaker's turn, 2 s of which are speech, and the rest a pause


@pytest.fixture(scope="module")
def voices() -> dict[str, np.ndarray]:
    """Two seconds of a man and of a woman at another rate than the corpus."""
    lines = {"ben": "nl_m__m-obdivovat", "anna": "nl_v__poh-v-forma"}
    return {
        name: read_audio(REFERENCE / f"{line}.flac", NATIVE)[16_000 : 16_000 + 2 * NATIVE]
        for name, line in lines.items()
    }


@pytest.fixture(autouse=True)
def little_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "MIN_S", 5.0)


def dialogue(path: Path, voices: dict[str, np.ndarray], n_turns: int) -> list[tuple[float, str]]:
    """Write turns of both, each at another level so that no two are equal; who begins when."""
    sound = np.zeros((round(n_turns * TURN_S * NATIVE), 2), np.float32)
    sound[:] = 1e-4 * np.random.default_rng(n_turns).standard_normal(sound.shape)
    turns = []
    for k in range(n_turns):
        name = ("anna", "ben")[k % 2]
        first = round(k * TURN_S * NATIVE) + NATIVE
        sound[first : first + 2 * NATIVE] += (1 - 0.01 * k) * voices[name][:, None]
        turns.append((k * TURN_S + 1, name))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, NATIVE, subtype="PCM_16")
    return turns


def rttm(turns: list[tuple[float, str]]) -> str:
    return "".join(
        f"SPEAKER talk 1 {start_s} 2.0 <NA> <NA> {name} <NA> <NA>\n" for start_s, name in turns
    )


def stamp(seconds: float) -> str:
    return f"00:{int(seconds // 60):02d}:{seconds % 60:06.3f}"


def vtt(turns: list[tuple[float, str]]) -> str:
    cues = [f"{stamp(t)} --> {stamp(t + 2)}\n<v {name}>words\n" for t, name in turns]
    return "\n".join(["WEBVTT\n", *cues])


def srt(turns: list[tuple[float, str]]) -> str:
    cues = [
        f"{n}\n{stamp(t).replace('.', ',')} --> {stamp(t + 2).replace('.', ',')}\n{name}: words\n"
        for n, (t, name) in enumerate(turns, start=1)
    ]
    return "\r\n".join(cues)


def made(folder: object, output: object, *words: str) -> int:
    return run(["corpus", f"input={folder}", f"output={output}", *words])


def owners(utterances: list[Utterance], turns: list[tuple[float, str]]) -> list[str]:
    """Whose turn every utterance lies in, with its margins; the name says when it begins."""
    found = []
    for one in utterances:
        start_s = int(Path(one.path).stem) / 1000
        (name,) = [n for t, n in turns if t - 0.3 < start_s < start_s + one.seconds < t + 2.5]
        found.append(name)
    return found


@pytest.mark.parametrize("write", [rttm, vtt, srt])
def test_one_speaker_of_a_dialogue(tmp_path, voices, write):
    turns = dialogue(tmp_path / "in/talk.wav", voices, 12)
    (tmp_path / f"in/talk.{write.__name__}").write_text(write(turns))
    output = tmp_path / "out"
    assert made(tmp_path / "in", output, "speaker=anna") == 0
    utterances = read_corpus(output)
    assert len(utterances) == 6
    assert owners(utterances, turns) == ["anna"] * 6
    assert {one.speaker for one in utterances} == {"anna"}
    assert {one.split for one in utterances} == {"train", "val", "test"}
    info = soundfile.info(output / utterances[0].path)
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
    corpus = Corpus(output, "train", sample_rate=RATE)
    heard = corpus.read(0)
    true = read_audio(tmp_path / "in/talk.wav", RATE)
    start = round(int(Path(corpus.utterances[0].path).stem) / 1000 * RATE)
    differences = [  # the name says to a millisecond where the utterance begins
        np.abs(heard - true[start + shift :][: len(heard)]).max() for shift in range(-12, 13)
    ]
    assert min(differences) < 5e-4  # of which the mean that was taken away
    assert sorted(path.name for path in output.iterdir()) == sorted(
        ["corpus.csv", "report.json", "report.md", "levels.png", "index.html", "talk", ".decoded"]
    )
    assert set(linked(output)) == {
        output / "levels.png",
        *(output / one.path for one in utterances),
    }


def test_without_labels_all_speech_is_taken(tmp_path, voices, capsys):
    turns = dialogue(tmp_path / "in/talk.wav", voices, 6)
    assert made(tmp_path / "in", tmp_path / "out", "speaker=we") == 0
    utterances = read_corpus(tmp_path / "out")
    assert owners(utterances, turns) == ["anna", "ben"] * 3
    assert {one.speaker for one in utterances} == {"we"}
    promised = "path,speaker,split,start_sample,samples,sample_rate,peak_dbfs,rms_dbfs,sha256"
    assert (tmp_path / "out/corpus.csv").read_text().splitlines()[0] == promised
    told = report(tmp_path / "out")
    assert told["left_out"]["we"]["silence"]["minutes"] > 0.15
    assert told["failed"] == {}
    assert "| we | silence |" in " ".join(capsys.readouterr().out.split())
    # A single file does as well, and names the speaker.
    assert made(tmp_path / "in/talk.wav", tmp_path / "one") == 0
    assert {one.speaker for one in read_corpus(tmp_path / "one")} == {"talk"}


def test_noisy_clipped_and_doubled_clips_are_left_out(tmp_path, voices):
    folder = tmp_path / "in"
    dialogue(folder / "a.wav", voices, 6)
    sound, _ = soundfile.read(folder / "a.wav")
    soundfile.write(folder / "b.wav", sound, NATIVE)
    soundfile.write(folder / "loud.wav", np.clip(20 * sound, -1, 1), NATIVE)
    noise = 0.02 * np.random.default_rng(0).standard_normal(sound.shape)
    soundfile.write(folder / "noisy.wav", sound + noise, NATIVE)
    soundfile.write(folder / "far.wav", 0.01 * sound, NATIVE)
    assert made(folder, tmp_path / "out") == 2
    assert {Path(one.path).parts[0] for one in read_corpus(tmp_path / "out")} == {"a"}
    told = report(tmp_path / "out")
    reasons = {(one["source"], one["reason"]) for one in told["dropped"]}
    assert reasons == {
        ("b.wav", "the same as another"),
        ("loud.wav", "clipped"),
        ("noisy.wav", "noisy"),
        ("far.wav", "too quiet"),
    }
    # Each is named with its reason; that a recording was given twice is no fault of it.
    assert {name: reason.rpartition(" 13.")[0] for name, reason in told["failed"].items()} == {
        "loud.wav": "gave no utterance: clipped",
        "noisy.wav": "gave no utterance: noisy",
        "far.wav": "gave no utterance: too quiet",
    }
    assert [note for note in told["notes"] if note.startswith("b.wav")] == [
        "b.wav: gave no utterance: the same as another 13.4 s"
    ]


def test_recordings_without_speech_are_named(tmp_path, voices, capsys):
    folder, output = tmp_path / "in", tmp_path / "out"
    dialogue(folder / "talk.wav", voices, 6)
    soundfile.write(folder / "silent.wav", np.zeros(2 * NATIVE), NATIVE)
    soundfile.write(folder / "tiny.wav", np.zeros(3), NATIVE)
    assert made(folder, output) == 2
    assert len(read_corpus(output)) == 6
    failed = report(output)["failed"]
    assert set(failed) == {"silent.wav", "tiny.wav"}
    assert failed["silent.wav"] == "gave no utterance: silence 2.0 s"
    assert failed["tiny.wav"].endswith("s; utterances last 1 s at least")
    said, written = capsys.readouterr().err, (output / "report.md").read_text()
    for name, reason in failed.items():
        assert f"not used: {name}: {reason}" in said
        assert f"* {name}: {reason}" in written


def test_recordings_of_others_are_named_but_no_fault(tmp_path, voices, capsys):
    folder = tmp_path / "in"
    for name, n_turns in (("talk", 12), ("other", 4)):
        turns = dialogue(folder / f"{name}.wav", voices, n_turns)
        labels = turns if name == "talk" else [(t, "ben") for t, _ in turns]
        (folder / f"{name}.rttm").write_text(rttm(labels))
    assert made(folder, tmp_path / "out", "speaker=Anna") == 0
    assert "note: other.wav: gave no utterance: other speakers 16.0 s\n" in capsys.readouterr().out
    assert {one.speaker for one in read_corpus(tmp_path / "out")} == {"anna"}


def test_credits_after_the_end_are_left_out(tmp_path, voices, capsys):
    turns = dialogue(tmp_path / "in/talk.wav", voices, 12)
    whisperx = srt(turns).replace("anna:", "[SPEAKER_00]:").replace("ben:", "[SPEAKER_01]:")
    whisperx += "\n13\n00:00:50,000 --> 00:00:52,000\nSubtitles by Cleo\n"
    (tmp_path / "in/talk.srt").write_text(whisperx)
    assert made(tmp_path / "in", tmp_path / "out", "speaker=speaker_00") == 0
    assert owners(read_corpus(tmp_path / "out"), turns) == ["anna"] * 6
    note = r"talk.wav: left out 1 of 13 cues of talk.srt, from line 50, after .* end at 48.00 s"
    assert re.search(note, capsys.readouterr().out)


def test_a_speaker_of_whom_the_labels_say_nothing_is_refused(tmp_path, voices, capsys):
    turns = dialogue(tmp_path / "in/talk.wav", voices, 6)
    (tmp_path / "in/talk.srt").write_text(srt([(t, "") for t, _ in turns]).replace(": words", "hi"))
    assert made(tmp_path / "in", tmp_path / "out", "speaker=anna") == 2
    assert "vocoder: no label names anna or anybody: " in capsys.readouterr().err
    assert made(tmp_path / "in", tmp_path / "out") == 0
    assert owners(read_corpus(tmp_path / "out"), turns) == ["anna", "ben"] * 3


def test_bad_recordings_are_named_and_the_others_used(tmp_path, voices, capsys):
    folder = tmp_path / "in"
    turns = dialogue(folder / "talk.wav", voices, 12)
    (folder / "talk.rttm").write_text(rttm(turns))
    dialogue(folder / "unlabelled.wav", voices, 2)
    (folder / "broken.wav").write_text("no sound")
    (folder / "broken.rttm").write_text(rttm(turns[:2]))
    dialogue(folder / "short.wav", voices, 2)
    (folder / "short.rttm").write_text(rttm(turns))
    dialogue(folder / "faulty.wav", voices, 2)
    (folder / "faulty.srt").write_text("1\n00:00:01 -> 00:00:02\nA: hello")
    assert made(folder, tmp_path / "out", "speaker=anna") == 2
    assert len(read_corpus(tmp_path / "out")) == 6
    said = capsys.readouterr().err
    for words in (
        "unlabelled.wav: nothing says who speaks",
        "broken.wav cannot be read as audio",
        "short.rttm, line 3: begins at 9.00 s, but",
        "faulty.srt, line 2: '00:00:01 -> 00:00:02'; expected the number",
    ):
        assert words in said
    told = report(tmp_path / "out")
    assert set(told["failed"]) == {f"{n}.wav" for n in ("unlabelled", "broken", "short", "faulty")}


def test_a_stopped_run_goes_on(tmp_path, voices, monkeypatch):
    folder, output = tmp_path / "in", tmp_path / "out"
    for k in range(3):
        dialogue(folder / f"{k}.wav", voices, 2 + k)
    prepare = Preparation.prepare
    done: list[str] = []

    def stopping(work, source):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(source.name)
        return prepare(work, source)

    with monkeypatch.context() as patched:
        patched.setattr(Preparation, "prepare", stopping)
        assert made(folder, output) == 130
    assert not (output / "corpus.csv").exists()
    assert made(folder, output, "limits.min_snr_db=30") == 2  # begun with other settings
    done.clear()
    monkeypatch.setattr(Preparation, "prepare", stopping)
    assert made(folder, output) == 0
    assert done == ["2"]
    assert len(read_corpus(output)) == 2 + 3 + 4
    assert made(folder, output) == 2  # finished


def test_the_output_may_lie_among_the_recordings(tmp_path, voices, monkeypatch):
    """As of ``vocoder corpus input=. output=corpus``, stopped and begun again."""
    folder = tmp_path / "anna b. c"
    dialogue(folder / "talk.wav", voices, 3)
    monkeypatch.chdir(folder)
    with monkeypatch.context() as patched:
        patched.setattr(make, "write_corpus", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made(".", "corpus")
    assert list((folder / "corpus").rglob("*.flac"))
    assert made(".", "corpus") == 0
    utterances = read_corpus(folder / "corpus")
    assert len(utterances) == 3 and {one.speaker for one in utterances} == {"anna b. c"}


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ([], "speaker.missing"),
        (["speaker=ana"], "speaker.unknown"),
        (["speaker=anna"], "corpus.short"),
        (["audio_channel=left"], "audio_channel.unknown"),
        (["audio_channel=split"], "audio_channel.range"),
        (["speaker=anna", "cut.margin_s=1"], "cut.margin_s.range"),
        (["speaker=anna", "limits.max_clipped=2"], "limits.max_clipped.range"),
        (["speaker=anna", "captions=nowhere.srt"], "captions.missing"),
    ],
)
def test_mistakes_are_told(tmp_path, voices, words, key):
    turns = dialogue(tmp_path / "in/talk.wav", voices, 4)
    (tmp_path / "in/talk.rttm").write_text(rttm(turns))
    with refused(key):
        dispatch(["corpus", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}", *words])


def test_a_channel_that_no_recording_has_is_told(tmp_path, voices, capsys):
    dialogue(tmp_path / "in/talk.wav", voices, 4)
    assert made(tmp_path / "in", tmp_path / "out", "audio_channel=3") == 2
    assert "has no channel 3, but 2; give mix or 1 to 2" in capsys.readouterr().err


def test_labels_may_lie_elsewhere(tmp_path, voices):
    turns = dialogue(tmp_path / "in/talk.wav", voices, 12)
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "talk.en.vtt").write_text(vtt(turns))
    (tmp_path / "all.rttm").write_text(rttm(turns))
    for captions in (labels, tmp_path / "all.rttm"):
        output = tmp_path / f"of {captions.name}"
        words = ("speaker=anna", f"captions={captions}")
        assert made(tmp_path / "in", output, *words) == 0
        assert owners(read_corpus(output), turns) == ["anna"] * 6


def test_loud_floating_point_and_16_bit_numbers_are_not_clipped(tmp_path, voices):
    """A peak of 3.03 and one of 20 000 are levels that people really have."""
    for name, peak in (("loud", 3.03), ("numbers", 20_000.0)):
        turns = dialogue(tmp_path / "talk.wav", voices, 4)
        sound, _ = soundfile.read(tmp_path / "talk.wav")
        path = tmp_path / name / "talk.wav"
        path.parent.mkdir()
        soundfile.write(path, sound * (peak / np.abs(sound).max()), NATIVE, subtype="FLOAT")
        assert made(path.parent, tmp_path / f"of {name}") == 0
        utterances = read_corpus(tmp_path / f"of {name}")
        assert owners(utterances, turns) == ["anna", "ben"] * 2
        assert max(one.peak_dbfs for one in utterances) == pytest.approx(
            20 * np.log10(min(peak / 32768, 0.99) if peak > 100 else 0.99), abs=0.5
        )


def test_an_empty_band_and_an_offset_are_told(tmp_path, voices, capsys):
    folder = tmp_path / "in"
    dialogue(folder / "talk.wav", voices, 4)
    sound, _ = soundfile.read(folder / "talk.wav")
    soundfile.write(folder / "telephone.wav", sound[::4], NATIVE // 4)
    soundfile.write(folder / "offset.wav", 0.5 * sound + 0.005, NATIVE)
    assert made(folder, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "note: 1 of 3 recordings have 8000 Hz: the band above 4000 Hz is empty" in said
    assert "note: offset.wav: took away a constant offset of 0." in said
    for one in read_corpus(tmp_path / "out"):
        samples, _ = soundfile.read(tmp_path / "out" / one.path)
        assert abs(samples.mean()) < 1e-3


def test_labels_of_another_cut_are_noticed(tmp_path, voices, capsys):
    turns = dialogue(tmp_path / "in/talk.wav", voices, 6)
    (tmp_path / "in/talk.rttm").write_text(rttm([(t + 1.5, name) for t, name in turns]))
    assert made(tmp_path / "in", tmp_path / "out", "speaker=anna") == 2
    assert "that talk.rttm labels; are they shifted, or of another cut?" in capsys.readouterr().err
