"""The whole way from a session's folder to its report."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from tests.compare.browser import picture
from tests.compare.simulated import SYSTEMS, World
from tests.refusals import refused
from vocoder.compare.report.write import write_report
from vocoder.compare.store import AnswerStore
from vocoder.compare.study import Study, Trial

CLEAR = World(
    strengths=(-1.5, 0.0, 1.5),
    scores=dict(zip(SYSTEMS, (30.0, 50.0, 75.0), strict=True)),
    hearing=3.0,
    listener_deviation=0.2,
    item_deviation=0.1,
)


def session(folder, test, answers, systems=tuple(SYSTEMS), **more):
    """A folder as the server leaves it."""
    folder.mkdir()
    trials = {
        one.trial: Trial(trial=one.trial, item=one.item, systems=one.systems) for one in answers
    }
    items = tuple(sorted({one.item for one in answers}))
    Study(
        test=test,
        seed=5,
        secret="the secret of this study",
        title="Vocoders <b>& more</b>",
        question="Which one sounds better?",
        systems=tuple(systems),
        items=items,
        training=items[0],
        has_reference=test in ("mushra", "dcr"),
        sample_rate=22_050,
        samples=dict.fromkeys(items, 22_050),
        trials=tuple(trials[number] for number in sorted(trials)),
        settings={},
        stimuli=(),
        **more,
    ).write(folder)
    with AnswerStore(folder) as store:
        store.add(answers)
    return folder


def simulated(test, n_listeners=10, world=CLEAR):
    return world.answers(test, n_listeners, 6, seed=1)


def report_of(folder, **changes):
    said: list[str] = []
    write_report(folder, folder / "report", **{"overwrite": False, "tell": said.append, **changes})
    page = (folder / "report/report.html").read_text(encoding="utf-8")
    numbers = json.loads((folder / "report/report.json").read_text(encoding="utf-8"))
    with (folder / "report/report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return said, page, numbers, rows


@pytest.mark.parametrize(
    ("test", "outcome", "table"),
    [
        (
            "ab",
            "hifigan was preferred to griffin_lim and admm; admm was preferred to griffin_lim.",
            "paired_comparison.csv",
        ),
        ("abx", "Listeners could tell griffin_lim from admm.", "paired_comparison.csv"),
        (
            "mushra",
            "hifigan scored above griffin_lim and admm; admm scored above griffin_lim.",
            "mushra.csv",
        ),
        ("dcr", "hifigan scored above griffin_lim", None),
    ],
)
def test_every_question_ends_in_a_page_a_table_and_numbers(tmp_path, test, outcome, table):
    folder = session(tmp_path / test, test, simulated(test))
    said, page, numbers, rows = report_of(folder)
    assert said[0].startswith(outcome)
    assert numbers["headline"] == said[0]
    assert said[0] in page
    findings = numbers["findings"]["all"]
    assert len(rows) == len(findings)
    for row, finding in zip(rows, findings, strict=True):
        assert row["subject"] == finding["subject"]
        assert row["p"] == ("" if finding["p"] is None else str(finding["p"]))
    names = {path.name for path in (folder / "report").iterdir()}
    assert names == {
        "report.html",
        "report.csv",
        "report.json",
        "answers.csv",
        *([table] if table else []),
    }
    assert "the secret of this study" not in page + json.dumps(numbers)


class Elements(HTMLParser):
    """Tags that are open; none may load anything."""

    VOID = frozenset({"meta", "line", "rect"})

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open += [tag] * (tag not in self.VOID)
        assert not {"src", "href", "xlink:href", "action"} & dict(attrs).keys()

    def handle_endtag(self, tag):
        assert tag in self.VOID or self.open.pop() == tag


def test_the_page_is_whole_asks_for_nothing_and_names_from_outside_are_text(tmp_path):
    names = dict(zip(SYSTEMS, ("$\\frac$ <script>", "音声 & co", "x" * 90), strict=True))
    answers = [
        one.model_copy(update={"left": names[one.left], "right": names[one.right]})
        for one in simulated("ab")
    ]
    folder = session(tmp_path / "ab", "ab", answers, tuple(names.values()))
    _, page, _, _ = report_of(folder)
    elements = Elements()
    elements.feed(page)
    assert not elements.open
    assert "default-src 'none'" in page and "url(" not in page and "<script" not in page
    for text in ("Vocoders &lt;b&gt;&amp; more", "$\\frac$ &lt;script&gt;", "音声 &amp; co"):
        assert text in page


@pytest.mark.parametrize("test", ["ab", "mushra"])
def test_nothing_is_cut_on_a_phone_or_on_paper(test, tmp_path, browse):
    answers = simulated(test)
    if test == "mushra":  # with rows of all listeners, too
        scores = {"reference": 60.0, "hifigan": 0.0}
        answers[0] = answers[0].model_copy(update={"scores": {**answers[0].scores, **scores}})
    folder = session(tmp_path / test, test, answers)
    report_of(folder)
    page = browse((folder / "report/report.html").as_uri())
    for media, width in (("screen", 360), ("print", 700)):  # A4 without margins has 718
        page.emulate_media(media=media)
        page.set_viewport_size({"width": width, "height": 900})
        picture(page, f"report-{test}-{media}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if media == "print":
            edges = page.evaluate(
                """[...document.querySelectorAll("th, td, th.plot span, svg")].map((node) => {
                  const { left, right } = node.getBoundingClientRect();
                  return [left, right];
                })"""
            )
            assert all(left >= 0 and right <= width for left, right in edges)
            boxes = [name.bounding_box() for name in page.locator("tbody th").all()]
            assert min(box["width"] for box in boxes if box) > 70  # for names


def test_every_estimate_stands_where_its_number_is(tmp_path):
    """One scale for all rows of a plot, intervals within it, and "no difference" in its place."""
    _, page, _, rows = report_of(session(tmp_path / "ab", "ab", simulated("ab")))
    plots = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    preferences = [row for row in rows if row["measure"] == "preference"]
    places: list[tuple[float, float]] = []
    for plot, row in zip(plots[:3], preferences, strict=True):
        found = {
            kind: [float(x) for x in re.findall(rf'class="{kind}" x1="(.*?)" x2="(.*?)"', plot)[0]]
            for kind in ("interval", "dot", "neutral")
        }
        assert all(0 <= x <= 100 for xs in found.values() for x in xs)
        values = [float(row[name]) for name in ("low", "value", "high")]
        if float(row["value"]) < 0.5:  # the better of a pair stands first
            values = [1 - value for value in values[::-1]]
        places += zip(
            values, (found["interval"][0], found["dot"][0], found["interval"][1]), strict=True
        )
        places.append((0.5, found["neutral"][0]))
    values, drawn = np.array(places).T
    scale = np.polyfit(values, drawn, 1)
    assert np.polyval(scale, values) == pytest.approx(drawn, abs=0.02)


def test_screening_is_reported_with_and_without(tmp_path):
    answers = [
        one.model_copy(update={"scores": {**one.scores, "reference": 60.0, "hifigan": 0.0}})
        if one.listener in ("listener001", "listener004")
        else one
        for one in simulated("mushra")
    ]
    _, page, numbers, rows = report_of(session(tmp_path / "mushra", "mushra", answers))
    excluded = {one["listener"]: one["screened_out"] for one in numbers["listeners"]}
    assert excluded["listener001"] == "hidden reference below 90 in 6 of 6"
    assert excluded["listener002"] is None
    scores = {
        (row["listeners"], row["n_listeners"]): float(row["value"])
        for row in rows
        if (row["measure"], row["subject"]) == ("score", "hifigan")
    }
    assert set(scores) == {("all", "10"), ("screened", "8")}
    assert scores["screened", "8"] > scores["all", "10"] + 5
    assert page.count("all listeners") > 6
    assert page.count('class="box"') == page.count('class="median"') == 6 * 2
    assert any("Screening changes the outcome" in note for note in numbers["notes"])


def test_what_listeners_said_is_in_the_report_and_in_the_tables(tmp_path):
    answers = [
        one.model_copy(update={"comment": "a <hiss>" if one.trial == 1 else ""})
        for one in simulated("mushra", 2)
    ]
    folder = session(tmp_path / "study", "mushra", answers, questions=("Name", "Age"))
    with AnswerStore(folder) as store:
        store.add_listener("listener001", {"Name": "Ann & Bob", "Age": "31"})
    _, page, numbers, _ = report_of(folder)
    assert "Ann &amp; Bob" in page and "a &lt;hiss&gt;" in page
    assert numbers["listeners"][1]["details"] == {"Name": "Ann & Bob", "Age": "31"}
    with (folder / "report/mushra.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["Name"], row["Age"]) for row in rows} == {("", ""), ("Ann & Bob", "31")}
    assert sum(row["rating_comment"] == "a <hiss>" for row in rows) == 2 * 6
    with (folder / "report/answers.csv").open(encoding="utf-8", newline="") as file:
        assert [row["comment"] for row in csv.DictReader(file)].count("a <hiss>") == 2


def test_nothing_found_is_no_proof(tmp_path):
    weak = replace(CLEAR, strengths=(0.0, 0.0, 0.0))
    said, *_ = report_of(session(tmp_path / "ab", "ab", simulated("ab", 4, weak)))
    assert said[0].startswith("No preference was found.") and "no proof" in said[0]


@pytest.mark.parametrize("test", ["ab", "abx", "mushra", "dcr"])
def test_one_listener_is_enough_and_said_to_be_one(test, tmp_path):
    _, _, numbers, _ = report_of(session(tmp_path / test, test, simulated(test, 1)))
    assert any("There is one listener" in note for note in numbers["notes"])
    assert report_of(session(tmp_path / "one", test, simulated(test, 1)[:1]))[3]


def test_of_one_system_the_headline_tells_its_own_score(tmp_path):
    others = ("griffin_lim", "hifigan")
    answers = [
        one.model_copy(
            update={"scores": {name: x for name, x in one.scores.items() if name not in others}}
        )
        for one in simulated("mushra")
    ]
    assert "reference" in answers[0].scores
    said, _, _, rows = report_of(session(tmp_path / "mushra", "mushra", answers, ("admm",)))
    scores = {row["subject"]: float(row["value"]) for row in rows if row["measure"] == "score"}
    assert scores["reference"] > scores["admm"]
    assert said[0] == f"admm scored {scores['admm']:.1f} on average."


def test_what_cannot_be_reported(tmp_path):
    with refused("study.missing"):
        report_of(tmp_path)
    answers = simulated("ab", 2)
    folder = session(tmp_path / "ab", "ab", answers)
    report_of(folder)
    with refused("output.exists"):
        report_of(folder)
    report_of(folder, overwrite=True)
    changes: list[dict[str, Any]] = [{"item": "another"}, {"trial": 99}, {"left": "other"}]
    for k, change in enumerate(changes):
        other = session(tmp_path / f"other{k}", "ab", answers)
        with AnswerStore(other) as store:
            store.add([answers[0].model_copy(update={"listener": "bob", **change})])
        with refused("answers.conflict"):
            report_of(other)
    (folder / "answers.sqlite").unlink()
    with refused("answers.none"):
        report_of(folder, overwrite=True)
