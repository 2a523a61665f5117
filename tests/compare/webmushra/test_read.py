"""Reading configurations: a complete one, and everything that is wrong with one."""

from typing import Any

import pytest
import yaml

from tests.conftest import DATA
from vocoder.compare.webmushra.plan import (
    ConsentPage,
    FinishPage,
    GenericPage,
    LikertPage,
    MushraPage,
    PairedComparisonPage,
    Response,
    Stimulus,
    VolumePage,
)
from vocoder.compare.webmushra.read import read_plan
from vocoder.errors import BadInput

STUDY = DATA / "webmushra/study.yaml"


def test_every_page_in_order():
    plan = read_plan(STUDY)
    assert (plan.test_name, plan.test_id, plan.language) == ("Which vocoder?", "vocoders", "en")
    assert plan.show_previous_button
    assert [(type(page), page.id) for page in plan.pages()] == [
        (GenericPage, "welcome"),
        (ConsentPage, "consent"),
        (VolumePage, "volume"),
        (GenericPage, "mushra_intro"),
        (MushraPage, "line1"),
        (PairedComparisonPage, "line2"),
        (PairedComparisonPage, "line3"),
        (LikertPage, "grade"),
        (FinishPage, ""),
    ]


def test_what_pages_say():
    pages: dict[str, Any] = {page.id: page for page in read_plan(STUDY).pages()}
    assert pages["consent"].must_consent
    assert (pages["volume"].stimulus, pages["volume"].default_volume) == ("sounds/speech.wav", 0.5)
    rated = pages["line1"]
    assert rated.reference == "sounds/line1/reference.wav"
    assert rated.stimuli == (
        Stimulus("admm", "sounds/line1/admm.wav"),
        Stimulus("1", "sounds/line1/first.wav"),
    )
    assert rated.create_anchor35
    assert rated.create_anchor70
    assert rated.randomize
    assert rated.strict
    assert not rated.show_condition_names
    assert pages["line2"].unforced == "I cannot tell"
    assert pages["line3"].unforced is None
    graded = pages["grade"]
    assert graded.response == (Response("1", "bad"), Response("5", "excellent"))
    assert (graded.one_at_a_time, graded.must_rate, graded.must_playback) == (True, True, "ended")
    last = pages[""]
    assert last.write_results
    assert not last.show_results
    assert [(one.type, one.name, one.label, one.optional) for one in last.questionnaire] == [
        ("number", "age", "Your age", True),
        ("likert", "headphones", "headphones", False),
    ]


def test_settings_without_meaning_are_listed():
    assert read_plan(STUDY).ignored == (
        "study.yaml: bufferSize",
        "study.yaml: stopOnErrors",
        "study.yaml: remoteService",
    )


def test_random_blocks_are_mixed_and_inner_ones_stay_together():
    plan = read_plan(STUDY)
    orders = {tuple(page.id for page in plan.order(seed)) for seed in range(60)}
    fixed, mixed = ("welcome", "consent", "volume"), ("mushra_intro", "line1")
    for order in orders:
        assert order[:3] == fixed
        assert order[-2:] == ("grade", "")
        assert order.index("line1") == order.index("mushra_intro") + 1
        assert abs(order.index("line2") - order.index("line3")) == 1
    assert {order[3:5] for order in orders} == {mixed, ("line2", "line3"), ("line3", "line2")}
    assert len(orders) == 4
    assert plan.order(3) == plan.order(3)


def changed(tmp_path, change):
    values = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    change(values)
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def mushra_of(values):
    return values["pages"][3][1][1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.pop("testId"), "changed.yaml: testId is missing"),
        (lambda v: v.update(pages=[]), "pages is empty"),
        (lambda v: v.update(pages="none"), "pages is 'none'; expected a list"),
        (lambda v: v["pages"].pop(), "put one page of type finish at the end"),
        (lambda v: v["pages"].insert(0, v["pages"][-1]), "2 finish pages"),
        (lambda v: v["pages"].insert(0, "random"), "in random order"),
        (lambda v: v["pages"][3].insert(2, "random"), "random mixes a list of pages where it"),
        (lambda v: v["pages"].insert(1, []), "a list of pages is empty"),
        (lambda v: v["pages"].insert(1, "generic"), "expected keys and values, found 'generic'"),
        (
            lambda v: v["pages"][0].update(type="bs1116"),
            "type is 'bs1116'; expected one of generic",
        ),
        (lambda v: v["pages"][0].pop("id"), "pages, 1: id is missing"),
        (lambda v: v["pages"][0].update(id="line1"), "two pages have the id line1"),
        (
            lambda v: v["pages"][2].update(defaultVolume=50),
            "(volume): defaultVolume is 50; expected",
        ),
        (lambda v: v["pages"][2].update(stimulus="../key.wav"), "relative to webMUSHRA's folder"),
        (lambda v: v["pages"][2].update(stimulus="http://a/b.wav"), "relative to webMUSHRA's"),
        (lambda v: mushra_of(v).update(reference="/etc/passwd"), "(line1): reference is '/etc/pa"),
        (lambda v: mushra_of(v).pop("stimuli"), "(line1): stimuli is missing"),
        (lambda v: mushra_of(v).update(stimuli=["a.wav"]), "stimuli is ['a.wav']; expected a map"),
        (lambda v: mushra_of(v).update(stimuli={}), "stimuli is empty"),
        (lambda v: mushra_of(v).update(stimuli={"a": 3}), "stimulus a is 3; expected a path"),
        (lambda v: mushra_of(v).update(stimuli={True: "a.wav"}), "stimulus True has no name"),
        (lambda v: mushra_of(v).update(stimuli={"anchor35": "a.wav"}), "hidden reference or an"),
        (lambda v: mushra_of(v).update(createAnchor35="yes"), "expected true or false"),
        (lambda v: v["pages"][4].update(response=[{"value": 1}]), "a scale of 1 points"),
        (lambda v: v["pages"][4].update(mustPlayback="twice"), "mustPlayback is 'twice'"),
        (lambda v: v["pages"][5]["questionnaire"][0].update(type="date"), "question 1: type is"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path, change, says):
    with pytest.raises(BadInput) as caught:
        read_plan(changed(tmp_path, change))
    assert says in str(caught.value)
    assert "changed.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pages: [", "is not valid YAML"),
        ("", "expected keys and values, found None"),
        ("testname: a\ntestname: b\n", "testname stands there twice"),
        ("testname: a\ntestId: b\npages: &all [*all]\n", "not valid YAML|nested more than"),
        ("testname: !!python/object/apply:os.getcwd []\n", "is not valid YAML"),
        ("pages: " + "[" * 500, "not valid YAML"),
        ("testname: a\ntestId: 2024-13-45\n", "is not valid YAML: month must be in 1..12"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path, text, says):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=says):
        read_plan(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(BadInput, match="cannot read"):
        read_plan(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"testname: \xe9t\xe9\n")
    with pytest.raises(BadInput, match="is not UTF-8"):
        read_plan(tmp_path / "latin.yaml")
