"""Subtitles and diarisation as they are found in the wild."""

import time
from pathlib import Path

import pytest

from tests.refusals import refused
from vocoder.corpus.captions import MAX_BYTES
from vocoder.corpus.labels import Labels, choose_speaker, find_labels, read_labels
from vocoder.corpus.spans import Span


def read(folder: Path, name: str, content: str | bytes) -> Labels:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels(path, folder / "talk.wav")


def cues_of(labels: Labels) -> list[tuple[float, float, str | None]]:
    return [(*cue.span, cue.speaker) for cue in labels.cues]


SRT = """1
00:00:01,500 --> 00:00:03,000
ANNA: Good morning.

2
00:00:03.200 --> 00:00:05.000 X1:10 X2:20
<i>BEN: And to</i>
you.

3
00:00:05,5 --> 00:00:06,25
{\\an8}- ANNA: Well: I never!

4
01:02:03,004 --> 01:02:04,000
BEN: Good bye.
"""
SRT_TOLD = [
    (1.5, 3.0, "ANNA"),
    (3.2, 5.0, "BEN"),
    (5.5, 6.25, "ANNA"),
    (3723.004, 3724.0, "BEN"),
]


def test_srt(tmp_path):
    assert cues_of(read(tmp_path, "talk.srt", SRT)) == SRT_TOLD


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + SRT,
        SRT.replace("\n", "\r\n"),
        SRT.replace("\n", "\r"),
        SRT.encode("utf-16"),
        "\n\n" + SRT.rstrip(),
        SRT.replace("\n\n", "\n"),  # cues without an empty line between
        SRT.replace("\n\n", "\n \n\n"),
    ],
    ids=["bom", "crlf", "cr", "utf-16", "blank lines", "no gaps", "wide gaps"],
)
def test_srt_of_many_editors(tmp_path, content):
    assert cues_of(read(tmp_path, "talk.srt", content)) == SRT_TOLD


def cue(*text: str, n: int = 2) -> str:
    """A cue of these lines, after others that introduce two names."""
    names = [f"{k}\n00:00:0{k},0 --> 00:00:0{k},9\n{who}: yes\n\n" for k in (1, 2) for who in "AB"]
    return "".join(names) + "9\n00:00:09,0 --> 00:00:10,0\n" + "\n".join(text)


@pytest.mark.parametrize(
    ("text", "speaker"),
    [
        (["A: hello"], "A"),
        (["A: hello", "and more"], "A"),
        (["A: hello", "B: hello"], None),
        (["... and so on", "B: hello"], None),
        (["- hello", "- hello"], None),
        (["A: - hello", "- hello"], "A"),
        (["- A: hello", "- hello"], None),
        (["Well: I never"], None),
        (["at 10:30 precisely"], None),
        (["hello"], None),
        ([], None),
    ],
)
def test_who_speaks_a_cue(tmp_path, text, speaker):
    assert read(tmp_path, "talk.srt", cue(*text)).cues[-1].speaker == speaker


def srt(*cues: str) -> str:
    """Cues of these lines, a second each."""
    return "\n\n".join(
        f"{n}\n00:00:{n:02d},0 --> 00:00:{n:02d},9\n{text}" for n, text in enumerate(cues, start=1)
    )


def names(folder: Path, *cues: str) -> list[str | None]:
    return [cue.speaker for cue in read(folder, "talk.srt", srt(*cues)).cues]


def test_names_in_brackets_before_a_colon(tmp_path):
    """As WhisperX writes them, even of a speaker who says one thing only."""
    assert names(
        tmp_path,
        "[SPEAKER_00]: Hallo: hier bin ich.",
        "[SPEAKER_01]: Ja?\n[SPEAKER_00]: Ja!",
        "- [Anna Lee (off)]: Guten Tag.",
        "(BEN): once only",
        "[10]:30 precisely",
    ) == ["SPEAKER_00", None, "Anna Lee", None, None]


@pytest.mark.parametrize(
    "begin", ["ANNA (off):", "ANNA [on the phone]:", "&gt;&gt; ANNA:", "[ANNA] (off):", "(ANNA):"]
)
def test_remarks_and_marks_are_no_part_of_a_name(tmp_path, begin):
    assert names(tmp_path, f"{begin} hello", f"{begin} hello", "hello") == ["ANNA", "ANNA", None]


def test_numbered_people_are_not_made_one(tmp_path):
    for one, other in (("1", "2"), ("#1", "#2"), ("no. 1", "no. 2"), ("older", "younger")):
        told = names(tmp_path, *[f"MAN ({one}): hello", f"MAN ({other}): hello"] * 2)
        assert told == [None] * 4
    anna = ["ANNA: hello", "ANNA (off): hello", "ANNA (on the phone): hello"]
    assert names(tmp_path, *anna) == ["ANNA"] * 3


def test_brackets_without_a_colon_are_names_where_most_cues_have_them(tmp_path):
    most = ["[ANNA] hello", "(BEN) hello", "[ANNA] well", "(BEN) well"]
    told = ["ANNA", "BEN", "ANNA", "BEN"]
    assert names(tmp_path, *most, "[music]", "[laughs] I see", "so be it") == [*told, *[None] * 3]
    # As many without: nobody can tell [ANNA] from [APPLAUSE].
    assert names(tmp_path, *most, *["so be it"] * 4) == [None] * 8


@pytest.mark.parametrize("sound", ["[laughs] hello", "(door slams) hello", "[MUSIC]", "[Music]\n"])
def test_sounds_are_nobody(tmp_path, sound):
    assert names(tmp_path, *[sound] * 5) == [None] * 5
    assert names(tmp_path, *[sound] * 5, "ANNA: hi", "ANNA: hi") == [None] * 5 + ["ANNA"] * 2


def test_capitals_make_no_other_speaker(tmp_path):
    cues = ["ANNA: hi", "Anna: hi", "Anna: hi\nANNA: hi", "BEN: hi", "Ben: hi"]
    labels = read(tmp_path, "talk.srt", srt(*cues))
    assert {name: round(length_s, 3) for name, length_s in labels.speakers.items()} == {
        "Anna": 2.7,
        "BEN": 1.8,
    }
    assert labels.of("anna") == labels.of("ANNA") == [cue.span for cue in labels.cues[:3]]
    assert labels.not_of("aNNa") == labels.of("ben") == [cue.span for cue in labels.cues[3:]]
    other = read(tmp_path, "talk.vtt", "WEBVTT\n\n00:01.000 --> 00:09.000\n<v BEN>a <v Ben>b\n")
    assert choose_speaker([labels, other], "ben") == "BEN"
    assert choose_speaker([other], None) == "BEN"
    with refused("speaker.missing"):
        choose_speaker([other, labels], None)


def test_nobody_can_be_chosen_where_nobody_is_named(tmp_path):
    labels = read(tmp_path, "talk.srt", srt("hello", "[music]"))
    assert choose_speaker([labels], None) is None
    with refused("labels.names"):
        choose_speaker([labels], "anna")


def test_few_cues_after_the_end_are_left_out(tmp_path):
    ten = read(tmp_path, "talk.srt", srt(*["ANNA: hi"] * 9, "Subtitles by Cleo"))
    assert ten.within(Path("talk.wav"), 9.95).cues == ten.cues[:9]
    with refused("labels.late") as caught:
        ten.within(Path("talk.wav"), 8.95)
    assert "talk.srt, line 34" in str(caught.value)
    many = read(
        tmp_path,
        "talk.rttm",
        "".join(f"SPEAKER t 1 {k} 0.5 <NA> <NA> a <NA> <NA>\n" for k in range(100)),
    )
    assert many.within(Path("talk.wav"), 97).cues == many.cues[:97]
    with refused("labels.late"):
        many.within(Path("talk.wav"), 96)
    alone = read(tmp_path, "talk.srt", srt("hello"))
    with refused("labels.late"):
        alone.within(Path("talk.wav"), 1)


def test_vtt(tmp_path):
    labels = read(
        tmp_path,
        "talk.vtt",
        "WEBVTT - a title\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000\n\n"
        "NOTE\nwho speaks: see below\n\n"
        "STYLE\n::cue { color: red }\n\n"
        "00:01.500 --> 00:03.000 align:start\n<v.loud Anna Lee>Good <b>morning</b></v>\n\n"
        "intro\n00:00:03.000 --> 00:00:05.000\n<v Ben>you</v> <v Anna Lee>and you</v>\n\n"
        "NOTE Ben: from here on\n\n"
        "6\n00:00:05.000 --> 00:00:05.000\n<v Ben>no time at all\n\n"
        "7\n00:00:06.000 --> 00:00:07.000\nand <v Ben>after words\n\n"
        "8\n00:00:07.000 --> 00:00:08.000\nnobody\n",
    )
    assert cues_of(labels) == [
        (1.5, 3.0, "Anna Lee"),
        (3.0, 5.0, None),
        (6.0, 7.0, None),
        (7.0, 8.0, None),
    ]


RTTM = (
    ";; a comment\n"
    "SPKR-INFO talk 1 <NA> <NA> <NA> unknown anna <NA>\n"
    "SPEAKER talk 1 4.5 1.5 <NA> <NA> ben <NA> <NA>\n"
    "SPEAKER talk 1 1.0 2,25 <NA> <NA> anna <NA> <NA>\r\n"
    "\n"
    "SPEAKER talk 1 5.0 0.000 <NA> <NA> anna <NA> <NA>\n"
)


def test_rttm(tmp_path):
    assert cues_of(read(tmp_path, "talk.rttm", RTTM)) == [(1.0, 3.25, "anna"), (4.5, 6.0, "ben")]
    both = RTTM + "SPEAKER other 1 0.0 9.0 <NA> <NA> cleo <NA> <NA>\n"
    assert set(read(tmp_path, "talk.rttm", both).speakers) == {"anna", "ben"}
    with refused("labels.recording"):
        read(tmp_path, "talk.rttm", both.replace("talk", "third"))


@pytest.mark.parametrize(
    ("name", "content", "key", "line"),
    [
        ("a.srt", "", "labels.missing", 0),
        ("a.srt", SRT.replace("03,000", "03;000"), "captions.time", 2),
        ("a.srt", SRT.replace(" --> 00:00:03", "-->00:00:01"), "captions.time", 2),
        ("a.srt", SRT.replace("00:00:01,500", "00:61:01,500"), "captions.time", 2),
        ("a.srt", "[Script Info]\n" + SRT, "captions.format", 1),
        ("a.srt", "1\n00:00:01 -> 00:00:02\nA: hello", "captions.format", 2),
        ("a.srt", SRT.replace("morning", "día").encode("latin-1"), "captions.encoding", 3),
        ("a.srt", SRT.replace("morning", "mor\0ning"), "captions.encoding", 3),
        ("a.srt", SRT.encode("utf-16")[:-1], "captions.encoding", 16),
        ("a.vtt", SRT, "captions.format", 1),
        ("a.vtt", "WEBVTT\n\n1 --> 2\n", "captions.time", 3),
        ("a.rttm", "SPEAKER a 1 0.0 1.0 x\n", "labels.format", 1),
        ("a.rttm", RTTM.replace("4.5", "4:5"), "labels.format", 3),
        ("a.rttm", RTTM.replace("4.5", "-4.5"), "labels.format", 3),
        ("a.rttm", RTTM.replace("4.5", "nan"), "labels.format", 3),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, name, content, key, line):
    with refused(key) as caught:
        read(tmp_path, name, content)
    assert not line or f"{name}, line {line}: " in str(caught.value)


@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
@pytest.mark.parametrize(
    ("begin", "often"),
    [
        *(("<v", ".a"), ("<v", " "), ("", "<"), ("", "<v "), ("", "{\\"), ("A", " "), ("", "(")),
        *(("", "\n"), ("[", "A ")),
    ],
    ids=repr,
)
def test_no_text_takes_long(tmp_path, name, begin, often):
    """Forty dots after ``<v`` took 35 s, and each more twice as long."""
    header = "WEBVTT\n\n" if name == "a.vtt" else ""
    started = time.perf_counter()
    times = "00:00:01.000 --> 00:00:02.000"
    read(tmp_path, name, f"{header}{times}\n{begin}{200_000 * often}\n")
    assert time.perf_counter() - started < 2


def test_captions_beyond_all_measure_are_refused(tmp_path):
    with refused("captions.size"):
        read(tmp_path, "a.srt", b"\n" * (MAX_BYTES + 1))


def test_time_of_a_speaker_and_of_others(tmp_path):
    cues = ("0.0 2.0 a", "1.0 2.0 a", "2.5 2.0 b", "9.0 1.0 a")
    lines = ["SPEAKER t 1 {} {} <NA> <NA> {}".format(*one.split()) for one in cues]
    labels = read(tmp_path, "talk.rttm", "\n".join(lines))
    assert labels.of("a") == [Span(0, 3), Span(9, 10)]
    assert labels.not_of("a") == [Span(2.5, 4.5)]
    assert labels.of(None) == [Span(0, 4.5), Span(9, 10)]
    assert labels.not_of(None) == []
    assert labels.speakers == {"a": 4.0, "b": 2.0}
    assert labels.within(Path("talk.wav"), 9.5) == labels
    with refused("labels.late"):
        labels.within(Path("talk.wav"), 2.0)


def test_choosing_a_speaker(tmp_path):
    labels = read(tmp_path, "talk.rttm", RTTM)
    assert choose_speaker([labels], "ben") == "ben"
    with refused("speaker.missing"):
        choose_speaker([labels], None)
    with refused("speaker.unknown"):
        choose_speaker([labels], "ana")
    alone = read(tmp_path, "talk.rttm", RTTM.replace("ben", "anna"))
    assert choose_speaker([alone], None) == "anna"
    assert choose_speaker([], "anyone") is None


def test_labels_lie_beside_the_recording(tmp_path):
    recording = tmp_path / "my.talk.wav"
    assert find_labels(recording) is None
    for name in ("my.talk.txt", "other.srt", "my.talk.more.parts.srt"):
        (tmp_path / name).touch()
    assert find_labels(recording) is None
    for name in ("my.talk.en.srt", "my.talk.srt", "my.talk.vtt", "my.talk.rttm"):
        (tmp_path / name).touch()
        assert find_labels(recording) == tmp_path / name
    for name in ("my.talk.rttm", "my.talk.vtt", "my.talk.srt"):
        (tmp_path / name).unlink()
    (tmp_path / "my.talk.nl.srt").touch()
    with refused("labels.conflict"):
        find_labels(recording)


def test_capitals_and_neighbours(tmp_path):
    """Cameras write capitals; what lies beside another recording is that one's."""
    for name in ("TALK.WAV", "TALK.SRT", "talk.wav", "talk.2.wav", "talk.2.srt"):
        (tmp_path / name).touch()
    assert find_labels(tmp_path / "TALK.WAV") == tmp_path / "TALK.SRT"
    assert find_labels(tmp_path / "talk.2.wav") == tmp_path / "talk.2.srt"
    assert find_labels(tmp_path / "talk.wav") is None
    for name in ("talk.en.srt", "talk.en.txt", "talk.en.json"):  # as transcribers write them
        (tmp_path / name).touch()
    assert find_labels(tmp_path / "talk.wav") == tmp_path / "talk.en.srt"


def test_nobodys_speech_and_names_with_spaces(tmp_path):
    nobody = RTTM.replace("anna", "<NA>")
    assert cues_of(read(tmp_path, "talk.rttm", nobody))[0] == (1.0, 3.25, None)
    line = "SPEAKER talk 1 4.5 1.5 <NA> <NA> ben"
    for fields in (line, f"{line} <NA>", f"{line} 0.9", f"{line} 0.9 <NA>"):
        assert cues_of(read(tmp_path, "talk.rttm", fields)) == [(4.5, 6.0, "ben")]
        for wrong in (fields.replace("talk", "my talk"), fields.replace("ben", "ben lee")):
            with refused("labels.format"):
                read(tmp_path, "talk.rttm", wrong)
