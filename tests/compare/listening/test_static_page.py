"""The page without a server: no key in it, and answers that find their way home."""

import base64
import json
import re

import pytest

from tests.compare.listening.conftest import results
from vocoder.compare.answers import append_answers
from vocoder.compare.listening.export import collect, export_page
from vocoder.compare.listening.page import ASSETS, INDEX_NAME, STUDY_SCRIPT
from vocoder.compare.listening.study import read_study
from vocoder.errors import BadInput

NOW = "2026-01-31T12:00:00.000Z"  # as browsers write it


@pytest.fixture
def exported(copy, tmp_path):
    """Export a study: itself, its folder, and what the page was told."""

    def exported(test):
        folder, output = copy(test), tmp_path / f"page-{test}"
        study = read_study(folder)
        export_page(study, folder, output, overwrite=False)
        script = (output / STUDY_SCRIPT).read_text()
        return study, folder, json.loads(script.split("const STUDY = ")[1].rstrip(";\n")), output

    return exported


def answers(public, listener="0a1b2c3d4e5f", **said):
    """What a page would let its listener save, having always shown things in sorted order."""
    rows = []
    for one in public["trials"][1:]:
        x = one["xs"][0] if one["xs"] else None
        names = [*one["sounds"], x, one["reference"]]
        rows.append(
            {
                "trial": one["trial"],
                "shown": {"sounds": one["sounds"], "x": x},
                "time": NOW,
                "seconds": 2.5,
                "heard": {name: 1 for name in names if name},
                "choice": one["sounds"][0],
                **said,
            }
        )
    return {"study": public["id"], "listener": listener, "answers": rows}


def save(path, values):
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize("test", ["ab", "abx", "mushra", "dcr"])
def test_a_page_is_complete_and_holds_no_key(test, exported):
    study, folder, public, output = exported(test)
    names = {path.name for path in output.iterdir()}
    assert names == {INDEX_NAME, STUDY_SCRIPT, "sounds", *ASSETS}
    wanted = {
        name
        for one in public["trials"]
        for name in (*one["sounds"], *(one["xs"] or ()), one["reference"])
        if name
    }
    assert {path.stem for path in (output / "sounds").iterdir()} == wanted
    assert len(public["trials"]) == len(study.trials) + 1
    text = "".join(path.read_text() for path in output.iterdir() if path.is_file())
    for word in (study.secret, *study.systems, *study.items):
        assert word not in text
    sound = next((output / "sounds").iterdir()).read_text()
    called = re.fullmatch(r'SOUND\("(\w+)", "(.+)"\);\n', sound)
    assert called is not None
    name, data = called.groups()
    originals = {path.read_bytes() for path in (folder / "sounds").iterdir()}
    assert name in wanted and base64.b64decode(data) in originals


def test_order_on_the_page_tells_nothing(exported):
    """Sounds stand in the order of their random names, whatever the systems' order."""
    study, _, public, _ = exported("mushra")
    for one in public["trials"]:
        assert one["sounds"] == sorted(one["sounds"])
    (trial,) = study.trials
    in_order = [study.name("exported", trial.number, str(at)) for at in range(5)]
    assert set(in_order) == set(public["trials"][1]["sounds"])


def test_answers_come_back_with_the_systems_names(exported, tmp_path):
    study, folder, public, _ = exported("ab")
    file = save(tmp_path / "a.json", answers(public))
    assert collect(study, folder, [file]) == (3, 0)
    assert collect(study, folder, [file]) == (0, 3)  # sent twice
    other = save(tmp_path / "b.json", answers(public, listener="ffffffffffff"))
    assert collect(study, folder, [file, other]) == (3, 3)
    found = results(folder)
    assert len(found) == 6
    for one in found:
        names = {
            study.name("exported", one.trial, str(at)): system
            for at, system in enumerate(study.trials[one.trial].systems)
        }
        shown = next(row for row in public["trials"] if row["trial"] == one.trial)["sounds"]
        assert (one.left, one.right) == tuple(names[name] for name in shown)
        assert one.choice == "left" and one.item == study.trials[one.trial].item


def test_x_comes_back_as_what_it_was(exported, tmp_path):
    study, folder, public, _ = exported("abx")
    collect(study, folder, [save(tmp_path / "a.json", answers(public))])
    for one in results(folder):
        shown = next(row for row in public["trials"] if row["trial"] == one.trial)
        at = [study.name("exported", one.trial, f"x{k}") for k in (0, 1)].index(shown["xs"][0])
        assert {"a": one.a, "b": one.b}[one.x] == study.trials[one.trial].systems[at]


def test_the_answers_of_a_server_and_of_pages_are_one_study(exported, tmp_path):
    study, folder, public, _ = exported("dcr")
    a = study.session("ann")[0]
    said = {"heard": dict.fromkeys(a.names.values(), 1), "seconds": 1, "score": 3}
    append_answers(folder / "results.jsonl", [study.resolve("ann", a, said, NOW)])
    assert collect(study, folder, [save(tmp_path / "a.json", answers(public, score=5))]) == (2, 0)
    scores = [one.score for one in results(folder)]
    assert scores == [3, 5, 5]


def test_files_that_are_no_answers(exported, tmp_path):
    study, folder, public, _ = exported("ab")
    good = answers(public)
    first = good["answers"][0]
    other = public["trials"][2]["sounds"]

    def broken(**changes):
        return {**good, "answers": [good["answers"][1], {**first, **changes}]}

    for values, message in (
        ("answers", "no file that an exported page"),
        ({}, "no file that an exported page"),
        ({**good, "answers": 3}, "no file that an exported page"),
        ({**good, "listener": None}, "no file that an exported page"),
        ({**good, "listener": ""}, "answer 1 cannot be used: .*listener"),
        ({**good, "study": "x"}, "holds answers to another study"),
        (broken(trial=99), "answer 2 cannot be used"),
        (broken(choice="left"), "answer 2 cannot be used: .*choice"),
        (broken(heard={}), "answer 2 cannot be used: .*heard"),
        (broken(shown={"sounds": other, "x": None}), "answer 2 cannot be used"),
        (broken(shown={"sounds": first["shown"]["sounds"][:1]}), "not those of its trial"),
        (broken(shown=None), "answer 2 cannot be used"),
        (broken(time="yesterday"), "answer 2 cannot be used: .*time"),
    ):
        with pytest.raises(BadInput, match=message):
            collect(study, folder, [save(tmp_path / "a.json", values)])
    with pytest.raises(BadInput, match=r"cannot read .*gone.json"):
        collect(study, folder, [tmp_path / "gone.json"])
    (tmp_path / "a.json").write_bytes(b"\xff\xfe[[[")
    with pytest.raises(BadInput, match="no file that an exported page"):
        collect(study, folder, [tmp_path / "a.json"])
    assert not (folder / "results.jsonl").exists()  # of a bad file nothing is taken


def test_a_page_is_not_overwritten_unasked(exported):
    study, folder, _, output = exported("ab")
    with pytest.raises(BadInput, match="exists; choose another output or add overwrite=true"):
        export_page(study, folder, output, overwrite=False)
    stale, mine = output / f"sounds/{'0' * 20}.js", output / "sounds/birdsong.wav"
    for path in (stale, mine):
        path.write_text("")
    export_page(study, folder, output, overwrite=True)
    assert mine.exists() and not stale.exists()


def test_a_page_is_not_written_into_a_study(exported, copy):
    study, folder, _, _ = exported("ab")
    other = copy("dcr")
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    for output in (folder, other):
        with pytest.raises(BadInput, match="a study's folder, which holds the key; give another"):
            export_page(study, folder, output, overwrite=True)
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == before
