"""What a corpus table may say, and what it may not."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vocoder.corpus import Clip, data_digest, read_corpus, write_corpus
from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import COLUMNS
from vocoder.errors import BadInput


def edited(folder: Path, old: str, new: str) -> None:
    table = folder / "corpus.csv"
    table.write_text(table.read_text().replace(old, new))


@pytest.fixture
def clips(tmp_path: Path, make_clip) -> list[Clip]:
    made = [make_clip("a/one.flac"), make_clip("a/two.wav", split="val"), make_clip("b.flac")]
    write_corpus(tmp_path, made, overwrite=False)
    return made


def test_what_was_written_is_read(tmp_path, clips):
    assert read_corpus(tmp_path) == sorted(clips, key=lambda clip: clip.path)
    assert read_corpus(tmp_path / "corpus.csv") == read_corpus(tmp_path)
    assert clips[0].seconds == 1.0


def test_other_columns_and_a_byte_order_mark_do_no_harm(tmp_path, clips):
    table = tmp_path / "corpus.csv"
    lines = [f"{line},{n}" for n, line in enumerate(table.read_text().splitlines())]
    table.write_text("\n".join(lines), encoding="utf-8-sig")
    assert read_corpus(tmp_path) == sorted(clips, key=lambda clip: clip.path)


def test_the_digest_follows_what_a_model_would_learn(clips):
    digest = data_digest(clips)
    assert data_digest(clips[::-1]) == digest
    assert data_digest([replace(clips[0], peak_dbfs=-1.0), *clips[1:]]) == digest
    for change in ({"split": "test"}, {"start_sample": 1}, {"sha256": "0" * 64}, {"speaker": "b"}):
        assert data_digest([replace(clips[0], **change), *clips[1:]]) != digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "../one.flac"}, "below the corpus folder"),
        ({"path": "/etc/one.flac"}, "below the corpus folder"),
        ({"path": "C:/one.flac"}, "below the corpus folder"),
        ({"path": "a\\one.flac"}, "below the corpus folder"),
        ({"path": "a//one.flac"}, "below the corpus folder"),
        ({"path": ""}, "below the corpus folder"),
        ({"path": "notes.txt"}, r"expected a sound file, \.flac or \.wav"),
        ({"speaker": " "}, "expected a name"),
        ({"split": "dev"}, "split is 'dev'; expected one of train, val, test"),
        ({"start_sample": -1}, "start_sample is -1"),
        ({"samples": 0}, "samples is 0; expected 1 or more"),
        ({"peak_dbfs": float("nan")}, "peak_dbfs is nan"),
        ({"rms_dbfs": -96.3}, "is silence"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
    ],
)
def test_impossible_clips_are_refused(clips, change: dict[str, Any], message: str):
    with pytest.raises(BadInput, match=message):
        replace(clips[0], **change)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("path,", "file,", "lacks the columns path; its first line must name"),
        (",22050,22050,", ",many,22050,", "line [234]: samples is 'many'; expected a whole number"),
        ("\na/one.flac,", "\n../one.flac,", "line 2: path is '../one.flac'"),
        ("anna,val", "anna", "line 3: the number of fields differs"),
        ("b.flac", "a/one.flac", "sha256 of a/one.flac differs from that in"),
        ("val,0,22050,22050", "val,0,22050,44100", r"22050 Hz \(2 clips\), 44100 Hz \(1 clips\)"),
    ],
)
def test_faulty_tables_are_refused_with_the_place(tmp_path, clips, old, new, message):
    edited(tmp_path, old, new)
    with pytest.raises(BadInput, match=message):
        read_corpus(tmp_path)


def test_no_table_an_empty_one_and_another_encoding(tmp_path):
    with pytest.raises(BadInput, match=r"corpus.csv does not exist; give a folder that recipes"):
        read_corpus(tmp_path)
    table = tmp_path / "corpus.csv"
    table.write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(BadInput, match="has no rows"):
        read_corpus(tmp_path)
    table.write_bytes((",".join(COLUMNS) + "\nl\xe4rm.flac").encode("latin-1"))
    with pytest.raises(BadInput, match="not UTF-8"):
        read_corpus(tmp_path)
    with pytest.raises(BadInput, match="at least one clip"):
        write_corpus(tmp_path, [], overwrite=True)


def test_doubled_sound_and_overlapping_clips_are_refused(tmp_path, make_clip, speech):
    twice = [make_clip(name, sound=speech) for name in ("one.flac", "two.flac")]
    with pytest.raises(BadInput, match=r"two.flac is the same file as one.flac"):
        write_corpus(tmp_path, twice, overwrite=False)
    halves = [replace(twice[0], samples=20_000), replace(twice[0], start_sample=19_999, samples=9)]
    with pytest.raises(BadInput, match=r"overlaps another of one.flac"):
        write_corpus(tmp_path, halves, overwrite=False)
    write_corpus(tmp_path, [halves[0], replace(halves[1], start_sample=20_000)], overwrite=False)


def test_files_that_are_gone_are_counted_and_named(tmp_path, clips):
    (tmp_path / "a/one.flac").unlink()
    with pytest.raises(BadInput, match=r"lacks 1 of 3 sound files of its corpus.csv: a/one.flac;"):
        read_corpus(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path, clips):
    outside = tmp_path.with_name(tmp_path.name + "-outside.flac")
    (tmp_path / "b.flac").rename(outside)
    (tmp_path / "b.flac").symlink_to(outside)
    with pytest.raises(BadInput, match=r"b.flac is a link out of"):
        read_corpus(tmp_path)


def test_an_existing_table_stays(tmp_path, clips):
    with pytest.raises(BadInput, match=re.escape(f"{tmp_path / 'corpus.csv'} exists")):
        write_corpus(tmp_path, clips, overwrite=False)


def test_levels_of_a_sine_and_of_nothing():
    sine = np.sin(np.arange(22_050) * 0.1)
    assert levels(sine).peak_dbfs == pytest.approx(0, abs=0.02)
    assert levels(sine / 2).rms_dbfs == pytest.approx(-9.03, abs=0.02)
    assert levels(np.zeros(10)).rms_dbfs == levels(np.zeros(0)).rms_dbfs < -96
