"""Finding, naming, pairing and splitting recordings."""

import unicodedata
from pathlib import Path

import pytest

from tests.refusals import refused
from vocoder.image.dataset.recordings import (
    Recording,
    assign_splits,
    choose_channels,
    find_recordings,
    listed,
    pair,
    read_lines,
    unique_names,
)


def recordings(*relative):
    return [Recording(Path("/x") / one, one) for one in relative]


def test_sound_is_found_in_sub_folders_by_suffix(tmp_path):
    for name in ("b.WAV", "sub/a.flac", "sub/deep/c.mp3", "d.m4a", "notes.txt", "cover.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/e.wav").touch()
    (tmp_path / "sub/.f.wav").touch()
    found, ignored = find_recordings(tmp_path)
    assert [one.relative for one in found] == ["b.WAV", "d.m4a", "sub/a.flac", "sub/deep/c.mp3"]
    assert ignored == [str(tmp_path / "cover.jpg"), str(tmp_path / "notes.txt")]


def test_folders_without_sound_are_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with refused("recordings.missing"):
        find_recordings(tmp_path)
    with refused("recordings.missing"):
        find_recordings(tmp_path / "absent")


@pytest.mark.parametrize(
    ("relative", "name"),
    [
        ("x.wav", "x"),
        ("sub/x.wav", "sub__x"),
        ("sub/dir/x.y.wav", "sub_dir__x.y"),
        ("my songs/1 & 2?.wav", "my-songs__1-2-"),
        ("žluťoučký/kůň.ogg", "žluťoučký__kůň"),
        ("-x.wav", "x"),
        ("???.wav", "untitled"),
    ],
)
def test_names_come_from_paths(relative, name):
    assert recordings(relative)[0].name == name


def test_long_names_stay_short_and_different():
    one, other = recordings("ž" * 90 + "/a" * 60 + ".wav", "ž" * 90 + "/a" * 61 + ".wav")
    assert len(one.name.encode()) <= 180
    assert one.name != other.name


def test_taken_names_get_numbers():
    names = ["x", "X", "y", "x_2", "x"]
    assert unique_names(names) == ["x", "X_2", "y", "x_2_2", "x_3"]


def test_channels_must_be_sensible():
    wrong: str | int
    for wrong in (0, -1, "left"):
        with refused("audio_channel.unknown"):
            choose_channels(recordings("x.wav"), wrong)


def test_pairs_share_the_path_whatever_the_suffix():
    given = recordings("a.ogg", "sub/b.wav", "only-a.wav", "twice.wav", "twice.flac")
    targets = recordings("a.wav", "sub/b.wav", "b.wav", "twice.wav")
    pairs, problems = pair(given, targets)
    assert [(a.relative, b.relative) for a, b in pairs] == [
        ("a.ogg", "a.wav"),
        ("sub/b.wav", "sub/b.wav"),
    ]
    assert problems == [
        "only-a.wav: in A (input_a), but not in B (input)",
        "twice.wav: several recordings of this name in A (input_a)",
        "twice.flac: several recordings of this name in A (input_a)",
        "b.wav: in B (input), but not in A (input_a)",
    ]


def test_accents_pair_and_are_listed_however_they_are_coded():
    """File systems of macOS take letters apart."""
    whole, apart = (unicodedata.normalize(form, "sub/kůň.wav") for form in ("NFC", "NFD"))
    assert whole != apart
    for one, other in ((whole, apart), (apart, whole)):
        pairs, problems = pair(recordings(one), recordings(other))
        assert [(a.relative, b.relative) for a, b in pairs] == [(one, other)] and problems == []
        for line in (one, one.removesuffix(".wav"), one.removesuffix(".wav").replace("/", "__")):
            assert assign_splits(recordings(other), 0.0, [line], 0) == {"sub/kůň": "test"}


def test_shares_are_drawn_once_for_a_seed():
    many = recordings(*(f"{k:03d}.wav" for k in range(100)))
    splits = assign_splits(many, val=0.1, test=0.25, seed=3)
    assert [list(splits.values()).count(one) for one in ("train", "val", "test")] == [65, 10, 25]
    assert assign_splits(many[::-1], val=0.1, test=0.25, seed=3) == splits
    assert assign_splits(many, val=0.1, test=0.25, seed=4) != splits


def test_small_shares_of_few_recordings_are_not_empty():
    assert sorted(assign_splits(recordings("a.wav", "b.wav"), 0, 0.01, 0).values()) == [
        "test",
        "train",
    ]
    assert assign_splits(recordings("a.wav"), 0, 0.01, 0) == {"a": "train"}
    assert assign_splits(recordings("a.wav"), 0, 1, 0) == {"a": "test"}


def test_channels_of_a_recording_stay_together():
    both = [Recording(Path("x"), f"{k}.wav", c, True) for k in range(10) for c in (1, 2)]
    assert both[1].name == "0_ch2"
    assert len(assign_splits(both, 0, 0.5, 0)) == 10


def test_lists_name_recordings(tmp_path):
    (tmp_path / "test.txt").write_text("\ufeff# held out\nsub/a\n\nb.wav\r\nsub__c\nabsent\n")
    lines = read_lines(tmp_path / "test.txt")
    many = recordings("sub/a.wav", "b.wav", "sub/c.ogg", "d.wav")
    assert listed(many, lines) == {"sub/a": "sub/a", "b.wav": "b", "sub__c": "sub/c"}
    splits = assign_splits(many, val=0.0, test=lines, seed=0)
    assert splits == {"sub/a": "test", "b": "test", "sub/c": "test", "d": "train"}
    with refused("split.conflict"):
        assign_splits(many, val=["b"], test=lines, seed=0)
    with refused("split.file"):
        read_lines(tmp_path / "absent.txt")


def test_impossible_shares_are_refused():
    for wrong in (-0.1, 1.1, True):
        with refused("split.range"):
            assign_splits(recordings("a.wav"), 0.0, wrong, 0)
    with refused("split.range"):
        assign_splits(recordings("a.wav"), 0.6, 0.6, 0)
