"""webMUSHRA's tests as studies of ours, and its tables against files written by hand."""

import csv
import io
import shutil
from typing import Any

import numpy as np
import pytest
import yaml

from tests.compare.conftest import noisy, write_lines
from tests.compare.listeners import NOW
from tests.conftest import DATA
from tests.refusals import refused
from vocoder.cli.main import run
from vocoder.compare.answers import ANCHORS, REFERENCE, AbxAnswer, MushraAnswer, PreferenceAnswer
from vocoder.compare.study import read_study
from vocoder.compare.webmushra import read_webmushra, table

EXPECTED = DATA / "webmushra"


def page(kind, item, *conditions, **more):
    stimuli = {name: f"sounds/{item}/{name}.wav" for name in conditions}
    reference = f"sounds/{item}/reference.wav"
    return {"type": kind, "id": item, "reference": reference, "stimuli": stimuli, **more}


@pytest.fixture
def laboratory(tmp_path, lines):
    """webMUSHRA's root folder, and a function that writes a test there."""
    for item, samples in lines.items():
        versions = {"reference": samples, "plain": samples * 0.5, "hissy": noisy(samples, 0.2)}
        write_lines(tmp_path / "sounds" / item, versions)

    def write(*pages, finish=None):
        (tmp_path / "configs").mkdir(exist_ok=True)
        path = tmp_path / "configs/test.yaml"
        last = {"type": "finish", "name": "Thanks", "content": "", **(finish or {})}
        values = {"testname": "Which?", "testId": "which", "pages": [*pages, last]}
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        return path

    return write


def test_mushra_pages_become_a_mushra_study(laboratory, tmp_path, capsys):
    pages = [page("mushra", item, "plain", "hissy") for item in ("gate", "river")]
    intro = {"type": "generic", "id": "intro", "name": "Hello", "content": "<p>…</p>"}
    consent = {"type": "consent", "id": "c", "content": "<p>We keep<br>your answers &amp; age.</p>"}
    finish = {"questionnaire": [{"type": "number", "name": "age", "label": "Your age"}]}
    path = laboratory(intro, consent, ["random", *pages], finish=finish)
    export = tmp_path / "page"
    command = ["compare", f"webmushra={path}", f"output={tmp_path / 'study'}", f"export={export}"]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert "instead of intro" in said and "both anchors are made" in said
    study = read_study(tmp_path / "study")
    assert (study.test, study.title, study.items) == ("mushra", "Which?", ("gate", "river"))
    assert {trial.systems for trial in study.trials} == {("plain", "hissy", REFERENCE, *ANCHORS)}
    assert study.consent == "We keep\nyour answers & age."
    assert study.questions == ("Your age",)


def test_paired_comparisons_become_an_abx_study(laboratory):
    """Which of two is the reference; with MUSHRA pages beside them, those are left out."""
    pages = [page("paired_comparison", item, "plain", unforced="?") for item in ("gate", "river")]
    found = read_webmushra(laboratory(["random", pages[0]], [["random", pages[1]]]))
    assert (found.test, found.sources.items) == ("abx", ("gate", "river"))
    assert any("no third choice" in note for note in found.notes)
    found = read_webmushra(laboratory(*pages, page("mushra", "stone", "plain")))
    assert (found.test, found.sources.items) == ("mushra", ("stone",))
    assert any("left out: gate, river" in note for note in found.notes)


def test_its_own_default_test_loads(tmp_path, capsys):
    """No speech, loose YAML, one set of files for all pages, in a random list; check=false."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((3, 22_050))
    versions = dict(zip(("ref", "c1", "c2"), noise, strict=True))
    write_lines(tmp_path / "configs/resources/audio", versions)
    folder = "configs/resources/audio"
    pages = [
        {
            "type": "mushra",
            "id": f"trial{k}",
            "reference": f"{folder}/ref.wav",
            "createAnchor35": not k,
            "stimuli": {"C1": f"{folder}/c1.wav ", "C2": f"{folder}/c2.wav"},
        }
        for k in range(3)
    ]
    ends = {"type": "volume", "id": "v"}, {"type": "finish", "name": "Thank you"}
    mixed = [ends[0], pages[0], ["random", *pages[1:]], ends[1]]
    values = {"testname": "Example", "pages": mixed}
    path = tmp_path / "configs/default.yaml"
    text = "content: In a test: rate. <br/>loose: text\n" + yaml.safe_dump(values)
    path.write_text(text, encoding="utf-8")
    command = ["compare", f"webmushra={path}", f"output={tmp_path / 'study'}"]
    command.append(f"export={tmp_path / 'page'}")
    assert run(command) == 2
    assert "check=false" in capsys.readouterr().err
    assert run([*command, "check=false"]) == 0
    assert len(read_study(tmp_path / "study").trials) == 3


def test_a_page_that_lacks_a_condition_is_a_problem_to_name(laboratory):
    path = laboratory(page("mushra", "gate", "plain", "hissy"), page("mushra", "river", "plain"))
    sources = read_webmushra(path).sources
    assert sources.items == ("gate",)
    assert sources.problems == {"river": "hissy lacks it"}


def test_it_says_what_systems_there_are(laboratory, tmp_path):
    path = laboratory(page("mushra", "gate", "plain"))
    command = ["compare", f"webmushra={path}", f"output={tmp_path / 'study'}"]
    assert run([*command, f"systems={tmp_path}", "export=page"]) == 2
    shutil.move(path, tmp_path / "test.yaml")  # the files are beside it now
    assert read_webmushra(tmp_path / "test.yaml").sources.items == ("gate",)


GATE = page("mushra", "gate", "plain")


@pytest.mark.parametrize(
    ("pages", "key"),
    [
        ([{"type": "likert_single_stimulus", "id": "grade"}], "webmushra.unknown"),
        ([{"type": ["mushra"]}], "webmushra.unknown"),
        ([], "webmushra.unknown"),
        ([GATE, page("mushra", "river", "hissy")], "systems.unpaired"),
        ([GATE, page("mushra", "gate", "plain")], "webmushra.twice"),
        ([page("mushra", "lake", "plain")], "webmushra.missing"),
        ([page("mushra", "gate", "nicer")], "webmushra.missing"),
        ([{**GATE, "stimuli": {"anchor35": GATE["reference"]}}], "systems.reserved"),
        ([{**GATE, "id": None}], "webmushra.format"),
        ([{**GATE, "stimuli": ["a.wav"]}], "webmushra.format"),
        ([{**GATE, "stimuli": {}}], "webmushra.format"),
        ([{**GATE, "stimuli": {"a": 3}}], "webmushra.format"),
        ([{**GATE, "reference": "/etc/passwd"}], "webmushra.format"),
        ([{**GATE, "reference": "../key.wav"}], "webmushra.format"),
        ([{**GATE, "reference": None}], "webmushra.format"),
        (["generic"], "webmushra.format"),
        ([[3]], "webmushra.format"),
    ],
)
def test_what_is_no_test_of_ours(laboratory, pages, key):
    with refused(key):
        read_webmushra(laboratory(*pages))


def test_what_is_no_yaml_of_a_test(tmp_path):
    path = tmp_path / "study.yaml"
    for text in (
        b"pages: [",
        b"",
        b"pages: &all [*all]\n",
        b"a: &a {type: x}\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
        b"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        b"pages: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n",
        b"testname: !!python/object/apply:os.getcwd []\n",
        b"pages: " + b"[" * 500,
        b"testId: 2024-13-45\n",
        b"testname: \xe9t\xe9\n",
    ):
        path.write_bytes(text)
        with refused("webmushra.format"):
            read_webmushra(path)
    with refused("webmushra.missing"):
        read_webmushra(tmp_path / "missing.yaml")


def tabulated(*arguments):
    file = io.StringIO()
    header, rows = table(*arguments)
    csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return file.getvalue()


def test_the_table_of_mushra():
    def answer(listener, seconds, scores):
        return MushraAnswer(
            listener=listener, trial=0, item="line1", time=NOW, seconds=seconds, scores=scores
        )

    answers = [
        answer("ann", 31.5, {"reference": 100, "anchor35": 12, "anchor70": 33.0, "admm": 71.5}),
        answer("bob, the second", 8.0006, {"reference": 98, "admm": 64.0}),
    ]
    details = {one.listener: {"listener": one.listener} for one in answers}
    found = tabulated(answers, "vocoders", ["listener"], details, ["admm"])
    assert found == (EXPECTED / "mushra.csv").read_text(encoding="utf-8")


def test_the_table_of_paired_comparisons():
    about: Any = {"listener": "ann", "time": NOW, "seconds": 5.0}
    pair: Any = {"a": "admm", "b": "hifigan", "choice": "b"}
    choices: Any = "right", "left", "none"
    answers: list[Any] = [
        AbxAnswer(**about, **pair, trial=0, item="line1", x="b"),
        AbxAnswer(**about | {"seconds": 6.25}, **pair, trial=1, item="line2", x="a"),
        *(
            PreferenceAnswer(
                **about, trial=k, item=f"line{k + 1}", left="hifigan", right="admm", choice=choice
            )
            for k, choice in enumerate(choices, start=2)
        ),
    ]
    details = {"ann": {"listener": "ann"}}
    found = tabulated(answers, "vocoders", ["listener"], details, ["admm", "hifigan"])
    assert found == (EXPECTED / "paired_comparison.csv").read_text(encoding="utf-8")
