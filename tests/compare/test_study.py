"""The plan: who hears what, balanced, repeatable, behind names that tell nothing."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.compare.conftest import write_lines
from tests.compare.listeners import NOW
from tests.refusals import refused
from vocoder.compare.answers import REFERENCE
from vocoder.compare.plan import plan_trials, trial_groups
from vocoder.compare.sources import find_sources, short_names
from vocoder.compare.study import Audio, Study, Trial, read_study
from vocoder.errors import BadInput

ITEMS = tuple(f"item{k}" for k in range(10))


def study(test="ab", systems=("one", "two"), *, seed=0, has_reference=False, repeats=1):
    groups = trial_groups(test, systems, has_reference=has_reference)
    trials = plan_trials(groups, ITEMS, repeats, seed)
    names = sorted({name for trial in trials for name in trial.systems} | {REFERENCE})
    return Study(
        test=test,
        seed=seed,
        secret="a secret that nobody has",
        title="t",
        question="q",
        systems=tuple(systems),
        items=ITEMS,
        training=ITEMS[0],
        has_reference=has_reference and test != "abx",
        sample_rate=22_050,
        samples=dict.fromkeys(ITEMS, 22_050),
        trials=trials,
        settings={},
        stimuli=tuple(
            Audio(system=name, item=item, file=f"{item}-{name}.wav")
            for item in ITEMS
            for name in names
        ),
    )


def test_what_each_test_asks():
    for test, groups in (
        ("abx", {(REFERENCE, "a"), (REFERENCE, "b")}),
        ("mushra", {("a", "b", REFERENCE, "anchor35", "anchor70")}),
        ("dcr", {("a",), ("b",)}),
        ("ab", {("a", "b")}),
    ):
        asked_of = trial_groups(test, ["a", "b"], has_reference=True)
        trials = plan_trials(asked_of, ITEMS, 2, 0)
        asked = Counter((trial.item, trial.systems) for trial in trials)
        assert asked == {(item, group): 2 for item in ITEMS for group in groups}
        assert [trial.trial for trial in trials] == list(range(len(trials)))
        # Numbers go to the disk and may be seen: they do not sort by item.
        assert [trial.item for trial in trials[:10]] != list(ITEMS)
    assert trial_groups("abx", ["a", "b"], has_reference=False) == [("a", "b")]


@pytest.mark.parametrize(
    ("test", "systems", "has_reference", "key"),
    [
        ("ab", ["a"], True, "systems.few"),
        ("abx", ["a"], False, "systems.few"),
        ("mushra", ["a", "b"], False, "reference.missing"),
        ("dcr", ["a"], False, "reference.missing"),
        ("mushra", list("abcdefghij"), True, "systems.many"),
    ],
)
def test_tests_that_cannot_be(test, systems, has_reference, key):
    with refused(key):
        trial_groups(test, systems, has_reference=has_reference)


def test_sides_and_x_are_balanced_and_differ_between_listeners():
    one = study("abx", repeats=2)
    orders = set()
    firsts: Counter = Counter()
    for listener in map(str, range(50)):
        session = one.session(listener)
        assert {a.trial for a in session} == set(one.trials)
        assert Counter(a.order for a in session) == {("one", "two"): 10, ("two", "one"): 10}
        assert Counter(a.x for a in session) == {0: 10, 1: 10}
        orders.add(tuple(a.trial.trial for a in session))
        firsts[session[0].order, session[0].x] += 1
    assert len(orders) == 50
    assert len(firsts) == 4  # over listeners every arrangement comes first


def test_sessions_follow_from_seed_and_listener_alone():
    one, again, other = study(), study(), study(seed=1)
    assert one.session("ann") == again.session("ann") != one.session("bob")
    orders = [[a.order for a in each.session("ann")] for each in (one, other)]
    assert orders[0] != orders[1]
    practice = one.practice("ann")
    assert practice.trial == Trial(trial=-1, item=ITEMS[0], systems=("one", "two"))
    assert practice.shown() != one.practice("bob").shown()


def test_names_are_opaque_and_the_page_is_told_nothing_else():
    for test in ("ab", "abx", "mushra", "dcr"):
        one = study(test, has_reference=test in ("mushra", "dcr"))
        both = [[*one.session(name), one.practice(name)] for name in ("ann", "bob")]
        names = [name for session in both for a in session for name in a.names.values()]
        assert len(set(names)) == len(names)
        assert all(len(name) == 20 and set(name) <= set("0123456789abcdef") for name in names)
        other = one.model_copy(update={"secret": "other"})
        assert not {*names} & {n for a in other.session("ann") for n in a.names.values()}
        text = json.dumps([one.public(), *(a.shown() for a in both[0])])
        for word in ("one", "two", "anchor", "item", one.secret):
            assert word not in text.replace('"none"', "")


def answer(arrangement, **said):
    heard = dict.fromkeys(arrangement.names.values(), 1.5)
    return {"heard": heard, "seconds": 4.2, **said}


def test_answers_get_the_names_of_systems():
    ab, abx = study("ab"), study("abx")
    for a in ab.session("ann"):
        right = ab.resolve("ann", a, answer(a, choice=a.names["1"]), NOW)
        assert (right.left, right.right, right.choice) == (*a.order, "right")
        assert ab.resolve("ann", a, answer(a, choice="none"), NOW).choice == "none"
    for a in abx.session("ann"):
        found = abx.resolve("ann", a, answer(a, choice=a.names["0"]), NOW)
        assert (found.a, found.b, found.choice, found.is_correct) == (*a.order, "a", a.x == 0)
    mushra = study("mushra", has_reference=True)
    orders = set()
    for a in mushra.session("ann"):
        scores = {a.names[str(at)]: 10 * at for at in range(5)}
        found = mushra.resolve("ann", a, answer(a, scores=scores), NOW)
        assert found.scores == {system: 10 * at for at, system in enumerate(a.order)}
        orders.add(a.order)
    assert len(orders) > 5


def test_answers_that_are_none():
    ab, mushra = study(), study("mushra", has_reference=True)
    a = ab.session("ann")[0]
    good, names = a.names["0"], a.names.values()
    for said, key in (
        (answer(a, choice="left"), "answer.invalid"),
        (answer(a), "answer.invalid"),
        (answer(a, choice=[good]), "answer.invalid"),
        (answer(a, choice=good, seconds=-1), "answer.invalid"),
        (answer(a, choice=good, seconds="4"), "answer.invalid"),
        (answer(a, choice=good, heard={}), "answer.heard"),
        (answer(a, choice=good, heard=dict.fromkeys(names, 0.5)), "answer.heard"),
        (answer(a, choice=good, heard={good: 9}), "answer.heard"),
        (answer(a, choice=good, heard=dict.fromkeys(names, float("nan"))), "answer.heard"),
        ("left", "answer.invalid"),
    ):
        with refused(key):
            ab.resolve("ann", a, said, NOW)
    a = mushra.session("ann")[0]
    full = {a.names[str(at)]: 50 for at in range(5)}
    wrong: list[Any] = [dict(list(full.items())[1:]), [1, 2], None]
    wrong += [{**full, a.names["0"]: 101}, {**full, a.names["reference"]: 1}]
    for scores in wrong:
        with refused("answer.invalid"):
            mushra.resolve("ann", a, answer(a, scores=scores), NOW)


def test_a_study_is_read_as_it_was_written(make, tmp_path):
    made = make(tmp_path, "mushra", items=2)
    assert read_study(tmp_path) == made
    assert made.training not in made.items  # there was one to spare
    assert (tmp_path / "study.json").stat().st_mode & 0o077 == 0
    assert made.training in {one.item for one in made.stimuli}


def test_a_study_is_gone_on_with_or_refused(make, tmp_path):
    made = make(tmp_path)
    stamp = (tmp_path / "study.json").stat().st_mtime_ns
    assert make(tmp_path) == made
    assert (tmp_path / "study.json").stat().st_mtime_ns == stamp
    for changes in ({"seed": 6}, {"test": "abx"}, {"title": "Other"}, {"comments": True}):
        with refused("output.conflict"):
            make(tmp_path, **changes)


def test_other_audio_of_the_same_names_is_another_study(folders, lines, make, tmp_path):
    given = {"systems": str(folders / "sweep"), "reference": str(folders / "ref")}
    made = make(tmp_path / "study", "mushra", **given)
    for folder in ("sweep", "ref"):
        shutil.copytree(folders / folder, tmp_path / "moved" / folder)
    moved = {
        key: path.replace(str(folders), str(tmp_path / "moved")) for key, path in given.items()
    }
    assert make(tmp_path / "study", "mushra", **moved) == made
    again = tmp_path / "moved/sweep/plainrender/river.wav"
    sound, rate = soundfile.read(again)
    soundfile.write(again, 0.9 * sound, rate)  # made anew, by other settings say
    with refused("output.conflict"):
        make(tmp_path / "study", "mushra", **moved)
    again.unlink()
    with refused("output.conflict"):
        make(tmp_path / "study", "mushra", **moved)
    assert read_study(tmp_path / "study") == made


def test_audio_of_others_are_never_replaced(lines, make, tmp_path):
    write_lines(tmp_path / "audio", {"0000": lines["gate"]})
    before = (tmp_path / "audio/0000.wav").read_bytes()
    with refused("output.exists"):
        make(tmp_path)
    assert (tmp_path / "audio/0000.wav").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["audio"]


def test_audio_of_an_interrupted_run_are_made_anew(make, tmp_path, monkeypatch):
    written: list[Path] = []

    def interrupted(path, *rest, **options):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        path.parent.mkdir()
        path.write_bytes(b"of a run with other settings")

    with monkeypatch.context() as patch:
        patch.setattr("vocoder.compare.plan.write_audio", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path)
    made = make(tmp_path)
    assert soundfile.info(tmp_path / "audio/0000.wav").samplerate == made.sample_rate
    assert {path.name for path in tmp_path.iterdir()} == {"audio", "study.json"}


def test_damaged_studies(make, tmp_path):
    with refused("study.missing"):
        read_study(tmp_path)
    made = make(tmp_path)
    path = tmp_path / "study.json"
    whole = path.read_text()
    for text in (
        whole[:-20],
        "[]",
        "{}",
        "[" * 90_000,
        whole.replace('"ab"', '"mos"'),
        whole.replace('"seed": 5', '"seed": [5]'),
        json.dumps({**made.model_dump(), "trials": []}),
        json.dumps({**made.model_dump(), "samples": {"gate": -1}}),
        json.dumps({**made.model_dump(), "samples": {"gate": 9}}),
        json.dumps({**made.model_dump(), "stimuli": [{"item": "gate"}]}),
        whole.replace('"ab"', '"dcr"'),
    ):
        path.write_text(text)
        with refused("study.damaged"):
            read_study(tmp_path)


def test_items_that_a_system_lacks_or_that_are_unusable(folders, lines, make, tmp_path):
    sweep = tmp_path / "sweep"
    shutil.copytree(folders / "sweep", sweep)
    given = {"systems": str(sweep)}
    (sweep / "hissyrender/river.wav").unlink()
    with refused("items.missing"):
        make(tmp_path / "a", **given)
    made = make(tmp_path / "b", **given, skip=True)
    assert made.items == ("gate", "stone")
    assert made.left_out == {"river": "hissyrender lacks it"}
    write_lines(sweep / "hissyrender", {"river": 0 * lines["river"], "gate": lines["stone"]})
    with pytest.raises(BadInput, match="skip=true"):
        make(tmp_path / "a", **given)
    assert not (tmp_path / "a").exists()
    made = make(tmp_path / "a", **given, skip=True)
    assert made.items == ("stone",)
    assert made.training == "stone"  # there is no other
    assert set(made.left_out) == {"gate", "river"}


def test_folders_that_are_no_systems(folders, lines, tmp_path):
    sweep = str(folders / "sweep")
    write_lines(tmp_path / "other/reference", {"gate": lines["gate"]})
    write_lines(tmp_path / "others", {"elsewhere": lines["gate"]})
    (tmp_path / "empty").mkdir()
    for systems, reference, key in (
        ([sweep, str(tmp_path / "other/reference")], None, "systems.reserved"),
        ([f"{sweep}/plainrender", str(tmp_path / "others")], None, "systems.unpaired"),
        (sweep, str(tmp_path / "others"), "systems.unpaired"),
    ):
        with refused(key):
            find_sources(systems, reference)
    write_lines(tmp_path / "double", {"gate": lines["gate"]})
    write_lines(tmp_path / "double", {"gate": lines["gate"]}, ".flac")
    with refused("systems.twice"):
        find_sources(str(tmp_path / "double"), None)


def test_settings_out_of_range(make, tmp_path):
    wrong = [("items", 0), ("repeats", 0), ("seed", -1), ("seed", 2**64)]
    for key, value in (*wrong, ("longest_s", 0.1), ("longest_s", float("nan"))):
        with refused(f"{key}.range"):
            make(tmp_path / "a", **{key: value})
    with refused("test.unknown"):
        make(tmp_path / "a", "mos")
    with refused("texts.invalid"):
        make(tmp_path / "a", questions=("",))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("names", "short"),
    [
        ("inverter=admm inverter=griffin_lim", "admm griffin_lim"),
        ("inverter=admm,repair=none inverter=admm,repair=auto", "none auto"),
        ("inverter=admm,inverter.n_iter=9 inverter=admm,inverter.n_iter=32", "n_iter=9 n_iter=32"),
        ("inverter=admm,seed=1 inverter=b,seed=2", "inverter=admm,seed=1 inverter=b,seed=2"),
        ("plain inverter=b", "plain inverter=b"),
        ("inverter=admm", "admm"),
        ("a a,b", "a a,b"),
    ],
)
def test_systems_are_called_by_what_differs(names, short):
    assert short_names(names.split()) == short.split()
