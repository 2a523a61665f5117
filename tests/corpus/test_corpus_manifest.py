"""What a corpus table may say, and what it may not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.refusals import refused
from vocoder.corpus import Utterance, data_digest, read_corpus, write_corpus
from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import COLUMNS


def edited(folder: Path, old: str, new: str) -> None:
    table = folder / "corpus.csv"
    table.write_text(table.read_text().replace(old, new))


@pytest.fixture
def utterances(tmp_path: Path, make_utterance) -> list[Utterance]:
    made = [
        make_utterance("a/one.flac"),
        make_utterance("a/two.wav", split="val"),
        make_utterance("b.flac"),
    ]
    write_corpus(tmp_path, made, overwrite=False)
    return made


def test_what_was_written_is_read(tmp_path, utterances):
    assert read_corpus(tmp_path) == sorted(utterances, key=lambda one: one.path)
    assert utterances[0].seconds == 1.0


def test_other_columns_and_a_byte_order_mark_do_no_harm(tmp_path, utterances):
    table = tmp_path / "corpus.csv"
    lines = [f"{line},{n}" for n, line in enumerate(table.read_text().splitlines())]
    table.write_text("\n".join(lines), encoding="utf-8-sig")
    assert read_corpus(tmp_path) == sorted(utterances, key=lambda one: one.path)


def test_the_digest_follows_what_a_model_would_learn(utterances):
    digest = data_digest(utterances)
    assert data_digest(utterances[::-1]) == digest
    assert data_digest([replace(utterances[0], peak_dbfs=-1.0), *utterances[1:]]) == digest
    for change in ({"split": "test"}, {"start_sample": 1}, {"sha256": "0" * 64}, {"speaker": "b"}):
        assert data_digest([replace(utterances[0], **change), *utterances[1:]]) != digest


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"path": path}
            for path in (
                *("../one.flac", "/etc/one.flac", "C:/one.flac", "a\\one.flac", "a//one.flac"),
                *("", ".", "notes.txt"),
            )
        ),
        *({"speaker": " "}, {"speaker": ""}, {"split": "dev"}, {"start_sample": -1}),
        *({"samples": 0}, {"samples": 10**30}, {"sample_rate": 0}, {"sha256": "abc"}),
        *({"peak_dbfs": float("nan")}, {"rms_dbfs": float("nan")}, {"rms_dbfs": -96.3}),
    ],
    ids=str,
)
def test_impossible_utterances_are_refused(utterances, change: dict[str, Any]):
    with refused(f"{next(iter(change))}.invalid"):
        replace(utterances[0], **change)


@pytest.mark.parametrize(
    ("old", "new", "key", "place"),
    [
        ("path,", "file,", "corpus.columns", "corpus.csv"),
        ("val,0,22050,22050,", "val,0,many,22050,", "samples.type", "corpus.csv, line 3: "),
        ("\na/one.flac,", "\n../one.flac,", "path.invalid", "corpus.csv, line 2: "),
        ("anna,val", "anna", "corpus.format", "corpus.csv, line 3: "),
        ("b.flac", "a/one.flac", "sha256.conflict", "corpus.csv, line 2"),
        ("val,0,22050,22050", "val,0,22050,44100", "corpus.sample_rate", "44100 Hz (1 utterances)"),
    ],
)
def test_faulty_tables_are_refused_with_the_place(tmp_path, utterances, old, new, key, place):
    edited(tmp_path, old, new)
    with refused(key) as caught:
        read_corpus(tmp_path)
    assert place in str(caught.value)


def test_no_table_an_empty_one_and_another_encoding(tmp_path):
    with refused("corpus.missing"):
        read_corpus(tmp_path)
    table = tmp_path / "corpus.csv"
    table.write_text(",".join(COLUMNS) + "\n")
    with refused("corpus.empty"):
        read_corpus(tmp_path)
    table.write_bytes((",".join(COLUMNS) + "\nl\xe4rm.flac").encode("latin-1"))
    with refused("corpus.format"):
        read_corpus(tmp_path)
    with refused("corpus.empty"):
        write_corpus(tmp_path, [], overwrite=True)


def test_doubled_sound_and_overlapping_utterances_are_refused(tmp_path, make_utterance, speech):
    twice = [make_utterance(name, sound=speech) for name in ("one.flac", "two.flac")]
    with refused("corpus.doubled"):
        write_corpus(tmp_path, twice, overwrite=False)
    halves = [replace(twice[0], samples=20_000), replace(twice[0], start_sample=19_999, samples=9)]
    with refused("corpus.overlap"):
        write_corpus(tmp_path, halves, overwrite=False)
    write_corpus(tmp_path, [halves[0], replace(halves[1], start_sample=20_000)], overwrite=False)


def test_files_that_are_gone_are_counted_and_named(tmp_path, utterances):
    (tmp_path / "a/one.flac").unlink()
    with refused("corpus.files") as caught:
        read_corpus(tmp_path)
    assert "lacks 1 of 3" in str(caught.value) and "a/one.flac" in str(caught.value)


def test_a_link_out_of_the_folder_is_refused(tmp_path, utterances):
    outside = tmp_path.with_name(tmp_path.name + "-outside.flac")
    (tmp_path / "b.flac").rename(outside)
    (tmp_path / "b.flac").symlink_to(outside)
    with refused("path.link"):
        read_corpus(tmp_path)


def test_an_existing_table_stays(tmp_path, utterances):
    with refused("output.exists"):
        write_corpus(tmp_path, utterances, overwrite=False)


def test_levels_of_a_sine_and_of_nothing():
    sine = np.sin(np.arange(22_050) * 0.1)
    assert levels(sine).peak_dbfs == pytest.approx(0, abs=0.02)
    assert levels(sine / 2).rms_dbfs == pytest.approx(-9.03, abs=0.02)
    assert levels(np.zeros(10)).rms_dbfs == levels(np.zeros(0)).rms_dbfs < -96
