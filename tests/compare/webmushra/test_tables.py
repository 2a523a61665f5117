"""Results in webMUSHRA's columns, against files written by hand."""

from typing import Any

import pytest

from tests.conftest import DATA
from vocoder.compare.answers import AbxAnswer, MushraAnswer, PreferenceAnswer
from vocoder.compare.webmushra.tables import write_mushra, write_paired_comparison
from vocoder.errors import BadInput

EXPECTED = DATA / "webmushra"
NOW = "2026-01-31T12:00:00+00:00"
SYSTEMS = ["admm", "hifigan"]


def mushra(listener, seconds, scores):
    return MushraAnswer(
        listener=listener, trial=0, item="line1", time=NOW, seconds=seconds, scores=scores
    )


def test_mushra(tmp_path):
    answers = [
        mushra("ann", 31.5, {"reference": 100, "anchor35": 12, "anchor70": 33.0, "admm": 71.5}),
        mushra("bob, the second", 8.0006, {"reference": 98, "admm": 64.0}),
    ]
    path = tmp_path / "mushra.csv"
    write_mushra(path, answers, "vocoders", overwrite=False)
    assert path.read_bytes() == (EXPECTED / "mushra.csv").read_bytes()
    with pytest.raises(BadInput, match="exists"):
        write_mushra(path, answers, "vocoders", overwrite=False)


def test_paired_comparison(tmp_path):
    common = {"listener": "ann", "time": NOW}
    abx = {"a": "admm", "b": "hifigan", "x": "b"}
    answers: list[Any] = [
        AbxAnswer(**common, **abx, trial=0, item="line1", seconds=5.0, choice="b"),
        AbxAnswer(**common, **abx | {"x": "a"}, trial=1, item="line2", seconds=6.25, choice="b"),
        *(
            PreferenceAnswer(
                **common,
                trial=number - 1,
                item=f"line{number}",
                seconds=5.0,
                left="hifigan",
                right="admm",
                choice=choice,
            )
            for number, choice in ((3, "right"), (4, "left"), (5, "none"))
        ),
    ]
    path = tmp_path / "paired_comparison.csv"
    write_paired_comparison(path, answers, "vocoders", systems=SYSTEMS, overwrite=False)
    assert path.read_bytes() == (EXPECTED / "paired_comparison.csv").read_bytes()


def test_abx_beside_the_reference(tmp_path):
    """The reference is no system of the study, and needs no place in its order."""
    answer = AbxAnswer(
        listener="ann",
        trial=0,
        item="line1",
        time=NOW,
        seconds=1.0,
        a="reference",
        b="admm",
        x="a",
        choice="a",
    )
    path = tmp_path / "paired_comparison.csv"
    write_paired_comparison(path, [answer], "t", systems=["admm"], overwrite=False)
    assert path.read_text().splitlines()[1] == "t,ann,line1,reference,admm,correct,1000,"
