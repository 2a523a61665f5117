"""The whole way from a session's folder to its report."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from recipes.simulated_listeners import (
    WORLD,
    simulate_abx,
    simulate_degradation,
    simulate_mushra,
    simulate_preferences,
)
from vocoder.compare.answers import append_answers
from vocoder.compare.listening.study import Study, Trial
from vocoder.compare.report import write_report
from vocoder.compare.report.results import systems_of
from vocoder.errors import BadInput

CLEAR = replace(
    WORLD,
    strengths={"griffin_lim": -1.5, "admm": 0.0, "hifigan": 1.5},
    hearing=3.0,
    listener_deviation=0.2,
    item_deviation=0.1,
)
SIMULATED = {
    "ab": simulate_preferences,
    "abx": simulate_abx,
    "mushra": simulate_mushra,
    "dcr": simulate_degradation,
}


def session(folder, test, answers, systems=tuple(WORLD.strengths)):
    """A folder as the server leaves it."""
    folder.mkdir()
    trials = {one.trial: Trial(one.trial, one.item, systems_of(one)) for one in answers}
    items = tuple(sorted({one.item for one in answers}))
    Study(
        test=test,
        seed=5,
        secret="the-secret",
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
        stimuli=[],
    ).write(folder)
    append_answers(folder / "results.jsonl", answers)
    return folder


def simulated(test, n_listeners=10, world=CLEAR):
    return SIMULATED[test](world, n_listeners, 6, np.random.default_rng(1))


def report_of(folder, **changes):
    said: list[str] = []
    settings: dict[str, Any] = {
        "overwrite": False,
        "seed": 0,
        "n_bootstrap": 100,
        "tell": said.append,
    } | changes
    code = write_report(folder, folder / "report", **settings)
    page = (folder / "report/report.html").read_text(encoding="utf-8")
    numbers = json.loads((folder / "report/report.json").read_text(encoding="utf-8"))
    with (folder / "report/report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return code, said, page, numbers, rows


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
    world = replace(CLEAR, scores={"griffin_lim": 30.0, "admm": 50.0, "hifigan": 75.0})
    folder = session(tmp_path / test, test, simulated(test, world=world))
    code, said, page, numbers, rows = report_of(folder)
    assert code == 0
    assert said[0].startswith(outcome)
    assert numbers["headline"] == said[0]
    assert said[0] in page
    findings = numbers["findings"]["all"]
    assert len(rows) == len(findings)
    for row, finding in zip(rows, findings, strict=True):
        assert row["subject"] == finding["subject"]
        assert row["p"] == ("" if finding["p"] is None else str(finding["p"]))
    names = {path.name for path in (folder / "report").iterdir()}
    assert names == {"report.html", "report.csv", "report.json", *([table] if table else [])}
    assert "the-secret" not in page + json.dumps(numbers)


class Elements(HTMLParser):
    """Tags that are open, and ids."""

    VOID = frozenset({"meta", "br", "path", "use", "rect"})

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.addresses += [
            value for name, value in attrs if name in ("src", "href", "xlink:href", "action")
        ]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(tmp_path):
    _, _, page, _, _ = report_of(session(tmp_path / "ab", "ab", simulated("ab")))
    elements = Elements()
    elements.feed(page)
    assert not elements.open
    assert len(elements.ids) == len(set(elements.ids))
    assert all(address.startswith("#") for address in elements.addresses)
    assert {address[1:] for address in elements.addresses} <= set(elements.ids)
    assert "default-src 'none'" in page
    assert "Vocoders &lt;b&gt;&amp; more&lt;/b&gt;" in page
    assert "url(http" not in page
    assert "prefers-color-scheme: dark" in page
    # Colours of the plots follow the page.
    assert "var(--accent)" in page
    assert "#0102" not in page


def test_names_from_outside_are_text_in_plots_too(tmp_path):
    names = {"griffin_lim": "$\\frac$ <script>", "admm": "音声 & co", "hifigan": "x" * 90}
    answers = [
        replace(one, left=names[one.left], right=names[one.right]) for one in simulated("ab")
    ]
    folder = session(tmp_path / "ab", "ab", answers, tuple(names.values()))
    code, _, page, _, _ = report_of(folder)
    assert code == 0
    assert "<script" not in page
    assert "$\\frac$ &lt;script&gt;" in page
    assert "音声 &amp; co" in page


def test_screening_is_reported_with_and_without(tmp_path):
    answers = [
        replace(one, scores={**one.scores, "reference": 60.0, "hifigan": 0.0})
        if one.listener in ("listener001", "listener004")
        else one
        for one in simulated("mushra")
    ]
    _, _, page, numbers, rows = report_of(session(tmp_path / "mushra", "mushra", answers))
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
    assert "Hollow: all listeners" in page
    assert any("Screening changes the outcome" in note for note in numbers["notes"])


def test_a_cut_line_is_told_in_the_report_and_by_the_exit_code(tmp_path):
    folder = session(tmp_path / "ab", "ab", simulated("ab"))
    path = folder / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    code, said, page, numbers, _ = report_of(folder)
    assert code == 2
    assert numbers["answers"]["counted"] == 179
    assert "results.jsonl, line 180 was cut" in page
    assert any("line 180 was cut" in line for line in said)
    assert any("1 listener of 10 did not answer all 18" in note for note in numbers["notes"])


def test_downloads_of_several_listeners_are_read_together(tmp_path):
    answers = simulated("ab")
    folder = session(tmp_path / "ab", "ab", answers)
    (folder / "results.jsonl").unlink()
    for listener in {one.listener for one in answers}:
        mine = [one for one in answers if one.listener == listener]
        append_answers(folder / f"{listener}.jsonl", mine)
    _, _, _, numbers, _ = report_of(folder)
    assert numbers["answers"]["counted"] == len(answers)


def test_how_many_more_trials_it_takes(tmp_path):
    weak = replace(CLEAR, strengths=dict.fromkeys(CLEAR.strengths, 0.0))
    answers = [one for one in simulated("ab", 4, weak) if "hifigan" not in (one.left, one.right)]
    _, said, page, numbers, rows = report_of(session(tmp_path / "ab", "ab", answers))
    assert said[0] == (
        "No preference was found. That is no proof that there is none: too few answers were given."
    )
    (row,) = [row for row in rows if row["measure"] == "preference"]
    needed = int(row["needed_answers"])
    assert needed >= 210
    assert int(row["more_answers"]) == needed - 24
    found: Any = re.search(
        r"(\d+) trials more would be needed: about (\d+) listeners", numbers["power"]
    )
    assert int(found[1]) == needed - 24
    assert int(found[2]) * 6 >= needed - 24
    assert numbers["power"] in page


def test_one_listener_is_enough_and_said_to_be_one(tmp_path):
    for test in ("ab", "abx", "mushra", "dcr"):
        folder = session(tmp_path / test, test, simulated(test, 1))
        code, _, _, numbers, _ = report_of(folder)
        assert code == 0
        assert any("There is one listener" in note for note in numbers["notes"])


def test_of_one_system_the_headline_tells_its_own_score(tmp_path):
    others = ("griffin_lim", "hifigan")
    answers = [
        replace(one, scores={name: x for name, x in one.scores.items() if name not in others})
        for one in simulated("mushra")
    ]
    assert "reference" in answers[0].scores
    _, said, _, _, rows = report_of(session(tmp_path / "mushra", "mushra", answers, ("admm",)))
    scores = {row["subject"]: float(row["value"]) for row in rows if row["measure"] == "score"}
    assert scores["reference"] > scores["admm"]
    assert said[0] == f"admm scored {scores['admm']:.1f} on average."


def test_one_answer_is_enough(tmp_path):
    for test in ("ab", "abx", "mushra", "dcr"):
        folder = session(tmp_path / test, test, simulated(test, 1)[:1])
        assert report_of(folder)[0] == 0


def test_what_cannot_be_reported(tmp_path):
    with pytest.raises(BadInput, match="holds no study"):
        report_of(tmp_path)
    answers = simulated("ab", 2)
    folder = session(tmp_path / "ab", "ab", answers)
    assert report_of(folder)[0] == 0
    with pytest.raises(BadInput, match=r"report\.html exists"):
        report_of(folder)
    assert report_of(folder, overwrite=True)[0] == 0
    with pytest.raises(BadInput, match="n_bootstrap is 1"):
        report_of(folder, overwrite=True, n_bootstrap=1)
    append_answers(folder / "results.jsonl", [replace(answers[0], item="another")])
    with pytest.raises(BadInput, match=r"about another by .* asks about item00 by"):
        report_of(folder, overwrite=True)
    (folder / "results.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match="no answers yet"):
        report_of(folder, overwrite=True)
    (folder / "results.jsonl").unlink()
    with pytest.raises(BadInput, match="has anybody listened"):
        report_of(folder, overwrite=True)
    append_answers(folder / "results.jsonl", [replace(answers[0], trial=99)])
    with pytest.raises(BadInput, match=r"to trial 99 .* no trial of the study"):
        report_of(folder, overwrite=True)
