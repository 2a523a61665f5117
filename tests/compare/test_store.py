"""Answers on disk: the first of each trial stays, all or none are kept, nothing wrong gets in."""

import sqlite3
from contextlib import closing
from typing import Any

from tests.compare.listeners import NOW
from tests.refusals import refused
from vocoder.compare.answers import (
    ANSWER,
    AbxAnswer,
    DegradationAnswer,
    MushraAnswer,
    PreferenceAnswer,
    checked,
)
from vocoder.compare.store import AnswerStore

COMMON: dict[str, Any] = {
    "listener": "ann",
    "trial": 0,
    "item": "žluť",
    "time": NOW,
    "seconds": 4.5,
}


def preference(**changes):
    return PreferenceAnswer(**{**COMMON, "left": "a", "right": "b", "choice": "left", **changes})


ONE_OF_EACH: list[Any] = [
    preference(comment="a hiss"),
    AbxAnswer(**COMMON | {"trial": 1}, a="a", b="b", x="b", choice="b"),
    MushraAnswer(**COMMON | {"trial": 2}, scores={"reference": 100, "a": 41.5}),
    DegradationAnswer(**COMMON | {"trial": 3}, system="a", score=4),
]


def test_every_kind_comes_back_as_it_was_and_in_order(tmp_path):
    with AnswerStore(tmp_path) as store:
        assert store.answers() == [] and store.trials_of("ann") == set()
        assert not list(tmp_path.iterdir())  # nothing is made by looking
        assert store.add(ONE_OF_EACH[::-1]) == 4
        store.add_listener("ann", {"Age": "31"})
    with AnswerStore(tmp_path) as store:
        assert store.answers() == ONE_OF_EACH[::-1]
        assert store.trials_of("ann") == {0, 1, 2, 3}
        assert store.details() == {"ann": {"Age": "31"}}


def test_a_listeners_first_answer_to_a_trial_stays(tmp_path):
    with AnswerStore(tmp_path) as store:
        assert store.add([preference()]) == 1
        assert store.add([preference(choice="none"), preference(trial=1)]) == 1
        kept: Any = store.answer("ann", 0)
        assert kept == preference()
        assert kept.says_the_same(preference(seconds=9))
        assert not kept.says_the_same(preference(choice="none"))
        assert store.answer("bob", 0) is None


def test_a_full_disk_keeps_what_was_there_and_nothing_half(tmp_path):
    with AnswerStore(tmp_path) as store:
        store.add([preference()])
        connection: Any = store._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        many = [preference(trial=k, item="x" * 900) for k in range(1, 40)]
        with refused("answers.write"):
            store.add(many)
        assert store.answers() == [preference()]
        connection.execute("PRAGMA max_page_count = 1000")
        assert store.add(many) == 39


def test_what_is_no_store_or_was_changed_by_others(tmp_path):
    with refused("answers.write"), AnswerStore(tmp_path / "missing") as store:
        store.add([preference()])
    with AnswerStore(tmp_path) as store:
        store.add([preference()])
    with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as connection, connection:
        connection.execute("UPDATE answers SET answer = '[[[' ")
    with refused("answer.invalid"), AnswerStore(tmp_path) as store:
        store.answers()
    (tmp_path / "answers.sqlite").write_bytes(b"no database at all, but some text" * 99)
    with refused("answers.read"):
        AnswerStore(tmp_path).answers()


WRONG: list[list[dict[str, Any]]] = [
    [
        *({"choice": "middle"}, {"right": "a"}, {"question": ["ab"]}, {"extra": 1}),
        *({"trial": "3"}, {"trial": True}, {"trial": -1}, {"seconds": float("nan")}),
        *({"time": "yesterday"}, {"time": "2026-01-31T12:00:00"}),  # without an offset
        *({"listener": ""}, {"comment": "x" * 3000}),
    ],
    [{"x": "c"}],
    [{"scores": {"reference": 101, "a": 3}}, {"scores": {"b": 50, "a": 3}}, {"scores": [3]}],
    [{"score": 6}, {"score": 4.5}],
]


def test_wrong_answers_are_refused_with_their_place():
    for answer, wrong in zip(ONE_OF_EACH, WRONG, strict=True):
        for changes in wrong:
            with refused("answer.invalid") as caught:
                checked(ANSWER, answer.model_dump() | changes, "line 7")
            assert str(caught.value).startswith("line 7: ")


def test_what_is_no_answer_at_all():
    wrong: list[Any] = [[1], None, {}, b"[" * 90_000, b"\xff"]
    for values in wrong:
        with refused("answer.invalid"):
            checked(ANSWER, values, "line 1")
