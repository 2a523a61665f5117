"""A webMUSHRA test as a study of ours."""

import shutil

import pytest
import yaml

from tests.compare.conftest import noisy, write_lines
from vocoder.cli.main import run
from vocoder.compare.answers import ANCHORS, REFERENCE
from vocoder.compare.listening.study import read_study
from vocoder.compare.webmushra.study import planned_study
from vocoder.errors import BadInput


def page(kind, item, *conditions, **more):
    stimuli = {name: f"sounds/{item}/{name}.wav" for name in conditions}
    reference = f"sounds/{item}/reference.wav"
    return {
        "type": kind,
        "id": item,
        "name": item,
        "content": "",
        "reference": reference,
        "stimuli": stimuli,
        **more,
    }


@pytest.fixture
def laboratory(tmp_path, lines):
    """webMUSHRA's root folder, and a function that writes a configuration there."""
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
    path = laboratory(intro, ["random", *pages])
    export = tmp_path / "page"
    command = ["compare", f"webmushra={path}", f"output={tmp_path / 'study'}", f"export={export}"]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert "its own pages before the test instead of intro" in said
    assert "both anchors are made" in said
    study = read_study(tmp_path / "study")
    assert (study.test, study.title, study.items) == ("mushra", "Which?", ("gate", "river"))
    assert {trial.systems for trial in study.trials} == {("plain", "hissy", REFERENCE, *ANCHORS)}
    plain = next(s for s in study.stimuli if (s["system"], s["item"]) == ("plain", "river"))
    assert plain["source"].endswith("sounds/river/plain.wav")
    assert (export / "index.html").exists()


def test_paired_comparisons_become_abx_with_the_reference(laboratory):
    pages = [page("paired_comparison", item, "plain", unforced="?") for item in ("gate", "stone")]
    planned = planned_study(laboratory(*pages))
    assert planned.test == "abx"
    assert planned.sources.items == ("gate", "stone")
    assert planned.sources.references["gate"].name == "reference.wav"
    assert "there is no third choice" in planned.notes[0]


def test_a_page_without_a_condition_is_a_problem_to_name(laboratory):
    path = laboratory(page("mushra", "gate", "plain", "hissy"), page("mushra", "river", "plain"))
    sources = planned_study(path).sources
    assert sources.items == ("gate",)
    assert sources.problems == {"river": "hissy lacks it"}


LIKERT = {
    "type": "likert_single_stimulus",
    "id": "grade",
    "name": "",
    "content": "",
    "stimuli": {"plain": "sounds/gate/plain.wav"},
    "response": [{"value": 1, "label": "bad"}, {"value": 2, "label": "good"}],
}


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        ([LIKERT], "grade is a Likert page, which no test here corresponds to; test=dcr"),
        ([], "has no page that compares sounds"),
        (
            [page("mushra", "gate", "plain"), page("paired_comparison", "river", "plain")],
            "has both MUSHRA and paired-comparison pages; a study asks one kind",
        ),
        (
            [page("mushra", "gate", "plain"), page("mushra", "river", "hissy")],
            "no page has all of the conditions plain, hissy",
        ),
        ([page("mushra", "lake", "plain")], "names sounds/lake/reference.wav, which is neither in"),
        ([page("mushra", "gate", "nicer")], "names sounds/gate/nicer.wav, which is not in"),
    ],
)
def test_refusals(laboratory, pages, says):
    with pytest.raises(BadInput, match=says):
        planned_study(laboratory(*pages))


def test_it_says_what_sounds_there_are(laboratory, tmp_path, capsys):
    path = laboratory(page("mushra", "gate", "plain"))
    command = ["compare", f"webmushra={path}", f"output={tmp_path / 'study'}"]
    assert run([*command, f"systems={tmp_path}"]) == 2
    assert "leave systems, reference out" in capsys.readouterr().err


def test_sounds_beside_the_configuration_are_found(laboratory, tmp_path):
    path = laboratory(page("mushra", "gate", "plain"))
    shutil.move(path, tmp_path / "test.yaml")
    assert planned_study(tmp_path / "test.yaml").sources.items == ("gate",)
