"""Random access: the right samples, at once, and bad files passed over."""

import hashlib
import pickle
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.refusals import refused
from vocoder.corpus import Corpus, data_digest, store, write_corpus

RATE = 22_050


def opened(folder: Path, split: str = "train", **arguments) -> Corpus:
    return Corpus(folder, split, **arguments)


@pytest.fixture
def folder(tmp_path: Path, make_utterance) -> Path:
    """Twelve utterances to train on, one to validate on that has a start, one to test on."""
    utterances = [
        make_utterance(f"t{k}.flac", speaker="anna" if k % 2 else "ben") for k in range(12)
    ]
    utterances += [
        make_utterance("v.flac", split="val", start=2_000),
        make_utterance("w.wav", split="test"),
    ]
    write_corpus(tmp_path, utterances, overwrite=False)
    return tmp_path


def test_reads_what_the_files_hold(folder):
    for split, count in (("train", 12), ("val", 1), ("test", 1)):
        corpus = opened(folder, split)
        assert len(corpus) == len(corpus.utterances) == count
        for index, one in enumerate(corpus.utterances):
            whole, _ = soundfile.read(folder / one.path, dtype="float32")
            there = whole[one.start_sample :]
            np.testing.assert_array_equal(corpus.read(index), there)
            piece = corpus.read(index, 1_234, 4_321)
            assert piece.dtype == np.float32
            np.testing.assert_array_equal(piece, there[1_234 : 1_234 + 4_321])
    assert corpus.seconds == pytest.approx(1.0)
    assert corpus.sample_rate == RATE


def test_stretches_outside_the_clip_are_an_error(folder):
    corpus = opened(folder, "val")
    for start, samples in ((-1, 5), (0, corpus.utterances[0].samples + 1), (30_000, None)):
        with pytest.raises(IndexError):
            corpus.read(0, start, samples)


def test_speakers_and_digests(folder):
    ben = opened(folder, speakers=["ben"])
    assert {one.speaker for one in ben.utterances} == {"ben"}
    assert len(ben) == 6
    assert ben.data_digest == data_digest(ben.utterances) != opened(folder).data_digest
    with refused("data.speakers.unknown"):
        opened(folder, speakers=["anne"])
    with refused("split.missing"):
        opened(folder, "val", speakers=["ben"])
    with refused("split.unknown"):
        opened(folder, "dev")
    with refused("corpus.sample_rate"):
        opened(folder, sample_rate=44_100)


def test_decoded_once_for_all_splits_and_anew_for_new_contents(folder, make_utterance, monkeypatch):
    opened(folder)
    made = sorted(path.name for path in (folder / ".decoded").iterdir())
    assert len(made) == 2

    def fail(*_):
        raise AssertionError("decoded again")

    with monkeypatch.context() as patched:
        patched.setattr(store, "_decode", fail)
        opened(folder, "val")
        (folder / ".decoded" / made[0]).write_bytes(b"\0\0")  # cut off
        with pytest.raises(AssertionError):
            opened(folder)
    corpus = opened(folder)
    sound, _ = soundfile.read(folder / corpus.utterances[3].path, dtype="float32")
    np.testing.assert_array_equal(corpus.read(3), sound)

    (folder / ".decoded" / made[1]).write_text("{")
    opened(folder)
    utterances = [
        *corpus.utterances[:-1],
        make_utterance(corpus.utterances[-1].path, sound=sound[::-1]),
    ]
    write_corpus(folder, utterances, overwrite=True)
    np.testing.assert_array_equal(opened(folder).read(len(utterances) - 1), sound[::-1])


def test_the_cache_may_be_elsewhere_and_must_be_writable(folder, tmp_path):
    elsewhere = tmp_path / "cache"
    opened(folder, cache=elsewhere)
    assert not (folder / ".decoded").exists()
    assert len(list(elsewhere.iterdir())) == 2
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    with refused("data.cache.unwritable"):
        opened(folder, cache=blocked)


def test_one_bad_file_is_named_and_passed_over(folder):
    damaged = folder / "t3.flac"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:4_000])
    corpus = opened(folder)
    assert len(corpus) == 11
    assert "t3.flac" not in [one.path for one in corpus.utterances]
    assert "1 of 12 utterances passed over" in corpus.describe_skipped()
    assert "t3.flac is not the file that the table was made for" in corpus.describe_skipped()
    assert opened(folder, "val").describe_skipped() == ""
    for index, one in enumerate(corpus.utterances):
        sound, _ = soundfile.read(folder / one.path, dtype="float32")
        np.testing.assert_array_equal(corpus.read(index), sound)
    again = opened(folder)  # from the cache
    assert again.skipped == corpus.skipped
    damaged.write_bytes(whole)  # a copy that was still going on, say
    assert len(opened(folder)) == 12 and not opened(folder).skipped


def rehashed(folder: Path, corpus: Corpus, name: str) -> list:
    """The table as if made after the file had become what it is."""
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return [replace(one, sha256=digest) if one.path == name else one for one in corpus.utterances]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("text", "t3.flac cannot be read as audio"),
        ("stereo", "t3.flac has 2 channels; expected one"),
        ("rate", "t3.flac has 16000 Hz; the table says 22050"),
        ("short", "t3.flac has 500 samples, but the utterance reaches to 22050"),
        ("silent", "t3.flac is silent from sample 0"),
    ],
)
def test_every_kind_of_bad_file_has_its_reason(folder, content: str, reason: str):
    corpus = opened(folder)
    sound = corpus.read(3)
    path = folder / "t3.flac"
    if content == "text":
        path.write_text("this is no sound")
    else:
        soundfile.write(
            path,
            {"stereo": np.stack([sound, sound], 1), "short": sound[:500], "silent": 0 * sound}.get(
                content, sound
            ),
            16_000 if content == "rate" else RATE,
        )
    write_corpus(folder, rehashed(folder, corpus, "t3.flac"), overwrite=True)
    assert reason in opened(folder).describe_skipped()


def test_many_bad_files_stop_the_training(folder):
    for k in (3, 4):
        (folder / f"t{k}.flac").write_text("no sound")
    with refused("corpus.damaged"):
        opened(folder)


def test_clips_shorter_than_a_segment_are_left_out(folder):
    corpus = opened(folder, "train", min_samples=RATE)
    assert (len(corpus), corpus.n_short) == (12, 0)
    with refused("corpus.short"):
        opened(folder, min_samples=RATE + 1)


def test_another_process_maps_the_same_file(folder):
    corpus = opened(folder)
    corpus.read(0)
    packed = pickle.dumps(corpus)
    assert len(packed) < 10_000
    np.testing.assert_array_equal(pickle.loads(packed).read(5, 10, 99), corpus.read(5, 10, 99))


def test_a_batch_costs_next_to_nothing(folder):
    corpus = opened(folder)
    corpus.read(0)
    started = time.perf_counter()
    for k in range(1_600):
        corpus.read(k % 12, k, 8_192)
    per_batch_s = (time.perf_counter() - started) / 100
    assert per_batch_s < 5e-3  # 16 segments; a training step takes a hundred milliseconds
