"""Results on disk: nothing is lost, whatever is cut, and nothing wrong gets in."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vocoder.compare.answers import (
    AbxAnswer,
    DegradationAnswer,
    MushraAnswer,
    PreferenceAnswer,
    answer_from_dict,
    append_answer,
    read_answers,
)
from vocoder.errors import BadInput

COMMON: dict[str, Any] = {
    "listener": "ann",
    "trial": 0,
    "item": "line1",
    "time": "2026-01-31T12:00:00+00:00",
    "seconds": 4.5,
}


def preference(**changes):
    values = COMMON | {"left": "admm", "right": "hifigan", "choice": "left"} | changes
    return PreferenceAnswer(**values)


ONE_OF_EACH: list[Any] = [
    preference(),
    AbxAnswer(**COMMON | {"trial": 1}, a="admm", b="hifigan", x="b", choice="b"),
    MushraAnswer(**COMMON | {"trial": 2}, scores={"reference": 100, "admm": 41.5}),
    DegradationAnswer(**COMMON | {"trial": 3}, system="admm", score=4),
]


def test_every_kind_comes_back_as_it_was(tmp_path):
    path = tmp_path / "results.jsonl"
    for answer in ONE_OF_EACH:
        append_answer(path, answer)
    assert list(read_answers(path).answers) == ONE_OF_EACH
    assert json.loads(path.read_text().splitlines()[1])["question"] == "abx"
    assert ONE_OF_EACH[1].is_correct


def test_the_last_answer_of_a_listener_to_a_trial_counts(tmp_path):
    path = tmp_path / "results.jsonl"
    for choice, listener in (("left", "ann"), ("left", "bob"), ("none", "ann")):
        append_answer(path, preference(choice=choice, listener=listener))
    found: Any = read_answers(path)
    assert [(one.listener, one.choice) for one in found.answers] == [
        ("bob", "left"),
        ("ann", "none"),
    ]
    assert found.n_replaced == 1


def test_a_cut_line_is_told_and_the_rest_kept(tmp_path):
    path = tmp_path / "results.jsonl"
    append_answer(path, preference(item="žluť"))
    whole = path.read_bytes()
    append_answer(path, preference(trial=1, item="žluť"))
    second = path.read_bytes()[len(whole) :]
    # Anywhere, also within a character; without its newline alone the answer is all there.
    for end in (1, second.index("ž".encode()) + 1, len(second) - 2):
        path.write_bytes(whole + second[:end])
        found = read_answers(path)
        assert [one.trial for one in found.answers] == [0]
        assert found.cut_lines == ("results.jsonl, line 2",)
        append_answer(path, preference(trial=2))
        append_answer(path, preference(trial=3))
        found = read_answers(path)
        assert [one.trial for one in found.answers] == [0, 2, 3]
        assert found.cut_lines == ("results.jsonl, line 2",)
    path.write_bytes(whole + second[:-1])
    append_answer(path, preference(trial=2))
    assert [one.trial for one in read_answers(path).answers] == [0, 1, 2]


def test_a_damaged_line_in_the_middle_is_an_error_with_its_number(tmp_path):
    path = tmp_path / "results.jsonl"
    append_answer(path, preference())
    path.write_bytes(path.read_bytes() + b"{not json}\n")
    append_answer(path, preference(trial=1))
    with pytest.raises(BadInput, match=r"results\.jsonl, line 2 is no JSON"):
        read_answers(path)


def test_threads_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "results.jsonl"
    answers = [preference(trial=k % 20, listener=f"l{k // 20}") for k in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda answer: append_answer(path, answer), answers))
    found = read_answers(path)
    assert len(found.answers) == 60
    assert not found.cut_lines


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "results.jsonl"
    append_answer(path, preference())
    before = path.read_bytes()
    write = os.write

    def full(descriptor, data):
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:60])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(BadInput, match=r"could not be saved.*No space left"):
        append_answer(path, preference(trial=1))
    assert path.read_bytes() == before


def test_nothing_to_write_to(tmp_path):
    with pytest.raises(BadInput, match="could not be saved"):
        append_answer(tmp_path / "missing" / "results.jsonl", preference())
    with pytest.raises(BadInput, match="cannot read"):
        read_answers(tmp_path / "results.jsonl")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"choice": "middle"}, "choice is 'middle'; expected one of left, right, none"),
        ({"right": "admm"}, "expected two systems"),
        ({"trial": "3"}, "trial is '3', which is not of its type"),
        ({"trial": True}, "trial is True"),
        ({"trial": -1}, "trial is -1"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"time": "yesterday"}, "time is 'yesterday'; expected ISO 8601"),
        ({"time": "2026-01-31T12:00:00"}, "with an offset"),
        ({"listener": ""}, "listener is ''"),
        ({"extra": 1}, "extra is no field of an ab answer"),
        ({"question": "abc"}, "question is 'abc'; expected one of ab, abx, mushra, dcr"),
        ({"question": ["ab"]}, "question is"),
        ({"kind": "note"}, "kind is 'note'"),
    ],
)
def test_wrong_answers_are_refused(changes, says):
    values = preference().to_dict() | changes
    with pytest.raises(BadInput, match="line 7") as caught:
        answer_from_dict(values, "line 7")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "changes", "says"),
    [
        (2, {"scores": {"reference": 101, "admm": 3}}, "score of reference is 101"),
        (2, {"scores": {"hifigan": 50, "admm": 3}}, "expected reference among them"),
        (2, {"scores": {"reference": "high", "admm": 3}}, "not of its type"),
        (3, {"score": 6}, "score is 6; expected 1 to 5"),
        (3, {"score": 4.5}, "score is 4.5"),
        (1, {"x": "c"}, "x is 'c'; expected one of a, b"),
    ],
)
def test_scores_out_of_range_are_refused(answer, changes, says):
    with pytest.raises(BadInput) as caught:
        answer_from_dict(ONE_OF_EACH[answer].to_dict() | changes, "line 1")
    assert says in str(caught.value)


def test_a_missing_field_is_named():
    values = preference().to_dict()
    del values["item"]
    with pytest.raises(BadInput, match="item is missing; expected listener, trial, item"):
        answer_from_dict(values, "line 1")
    with pytest.raises(BadInput, match="expected an object"):
        answer_from_dict([1], "line 1")
