"""The page without a server: no key in it, and answers that find their way home."""

import base64
import json
import re

import pytest

from tests.compare.conftest import answers_in, told
from tests.refusals import refused
from vocoder.compare.export import collect, export_page
from vocoder.compare.page import FOLDER, STUDY_SCRIPT, assets
from vocoder.compare.store import AnswerStore
from vocoder.compare.study import read_study

NOW = "2026-01-31T12:00:00.000Z"  # as browsers write it


@pytest.fixture
def exported(copy, tmp_path):
    """Export a study: itself, its folder, and what the page was told."""

    def exported(test):
        folder, output = copy(test), tmp_path / f"page-{test}"
        study = read_study(folder)
        export_page(study, folder, output, overwrite=False)
        return study, folder, told((output / STUDY_SCRIPT).read_text()), output

    return exported


def names_of(shown):
    return [name for name in (*shown["versions"], shown["x"], shown["reference"]) if name]


def saved(public, listener="0a1b2c3d4e5f", order=3, **said):
    """What a page would let its listener save, who always chose the left or A."""
    rows = [
        {
            "position": position,
            "time": NOW,
            "seconds": 2.5,
            "heard": dict.fromkeys(names_of(shown), 1),
            "choice": shown["versions"][0],
            **said,
        }
        for position, shown in enumerate(public["orders"][order])
    ]
    return {
        "study": public["id"],
        "listener": listener,
        "order": order,
        "details": {},
        "answers": rows,
    }


def save(path, values):
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize("test", ["ab", "abx", "mushra", "dcr"])
def test_a_page_is_complete_and_holds_no_key(test, exported):
    study, folder, public, output = exported(test)
    assert {path.name for path in output.iterdir()} == {STUDY_SCRIPT, "audio", *assets(FOLDER)}
    shown = [public["practice"], *(one for order in public["orders"] for one in order)]
    wanted = {name for one in shown for name in names_of(one)}
    assert {path.stem for path in (output / "audio").iterdir()} == wanted
    assert all(len(order) == len(study.trials) for order in public["orders"])
    text = "".join(path.read_text() for path in output.iterdir() if path.is_file())
    for word in (study.secret, *study.systems, *study.items):
        assert word not in text
    sound = next((output / "audio").iterdir()).read_text()
    [(name, content)] = re.findall(r'\AAUDIO\("(\w+)", "(.+)"\);\n\Z', sound)
    originals = {path.read_bytes() for path in (folder / "audio").iterdir()}
    assert name in wanted and base64.b64decode(content) in originals


def test_answers_come_back_with_the_systems_names(exported, tmp_path):
    study, folder, public, _ = exported("abx")
    file = save(tmp_path / "a.json", saved(public, comment="a click"))
    assert collect(study, folder, [file]) == (2, 0, 0)
    assert collect(study, folder, [file]) == (0, 2, 0)  # sent twice
    contrary = saved(public)
    for row, shown in zip(contrary["answers"], public["orders"][3], strict=True):
        row["choice"] = shown["versions"][1]
    assert collect(study, folder, [save(tmp_path / "c.json", contrary)]) == (0, 0, 2)
    other = save(tmp_path / "b.json", saved(public, listener="ffffffffffff", order=7))
    assert collect(study, folder, [file, other]) == (2, 2, 0)
    found = answers_in(folder)
    assert len(found) == 4
    for one, arrangement in zip(found[:2], study.session("page3", "page"), strict=True):
        assert one.trial == arrangement.trial.trial and one.item == arrangement.trial.item
        assert (one.a, one.b, one.choice, one.comment) == (*arrangement.order, "a", "a click")
        assert {"a": one.a, "b": one.b}[one.x] == arrangement.system("x")


def test_the_answers_of_a_server_and_of_pages_are_one_study(exported, tmp_path):
    study, folder, public, _ = exported("dcr")
    a = study.session("ann")[0]
    said = {"heard": dict.fromkeys(a.names.values(), 1.0), "seconds": 1.0, "score": 3}
    with AnswerStore(folder) as store:
        store.add([study.resolve("ann", a, said, NOW)])
    assert collect(study, folder, [save(tmp_path / "a.json", saved(public, score=5))]) == (2, 0, 0)
    assert [one.score for one in answers_in(folder)] == [3, 5, 5]


def test_files_that_are_no_answers(exported, tmp_path):
    study, folder, public, _ = exported("ab")
    good = saved(public)
    first = good["answers"][0]

    def broken(**changes):
        return {**good, "answers": [good["answers"][1], {**first, **changes}]}

    for values, key in (
        ("answers", "collect.invalid"),
        ({}, "collect.invalid"),
        ({**good, "answers": 3}, "collect.invalid"),
        ({**good, "listener": None}, "collect.invalid"),
        ({**good, "listener": ""}, "collect.invalid"),
        ({**good, "order": 99}, "collect.invalid"),
        ({**good, "study": "x"}, "collect.conflict"),
        ({**good, "details": {"Name": 3}}, "collect.invalid"),
        (broken(position=99), "collect.invalid"),
        (broken(choice="left hand"), "collect.invalid"),
        (broken(heard={}), "collect.invalid"),
        (broken(time="yesterday"), "collect.invalid"),
        ({**good, "order": 4}, "collect.invalid"),  # heard other sounds in other places
    ):
        with refused(key):
            collect(study, folder, [save(tmp_path / "a.json", values)])
    with refused("collect.missing"):
        collect(study, folder, [tmp_path / "gone.json"])
    for text in (b"\xff\xfe[[[", b"[" * 90_000):
        (tmp_path / "a.json").write_bytes(text)
        with refused("collect.invalid"):
            collect(study, folder, [tmp_path / "a.json"])
    assert not answers_in(folder)  # of a bad file nothing is taken


def test_a_page_is_not_overwritten_unasked_nor_written_into_a_study(exported, copy):
    study, folder, _, output = exported("ab")
    with refused("output.exists"):
        export_page(study, folder, output, overwrite=False)
    stale, mine = output / f"audio/{'0' * 20}.js", output / "audio/birdsong.wav"
    for path in (stale, mine):
        path.write_text("")
    export_page(study, folder, output, overwrite=True)
    assert mine.exists() and not stale.exists()
    other = copy("dcr")
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    for into in (folder, other):
        with refused("export.conflict"):
            export_page(study, folder, into, overwrite=True)
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == before
