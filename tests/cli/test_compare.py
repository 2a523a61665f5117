"""``vocoder compare``: from folders to a study, a page, collected answers and a report."""

import importlib.util
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

import vocoder.compare.server as server_module
import vocoder.compare.sessions as sessions_module
from tests.compare.conftest import told
from tests.refusals import refused
from vocoder.cli import main
from vocoder.compare.page import FOLDER, TRANSLATION
from vocoder.compare.plan import QUESTIONS
from vocoder.compare.server import open_browser

RATE = 22_050


@pytest.fixture
def sweep(speech, tmp_path):
    """Two systems with two lines each, in folders as a sweep names them."""
    noise = np.random.default_rng(0).standard_normal(8000) * 0.01
    for system, more in (("inverter=admm", 0), ("inverter=griffin_lim", noise)):
        for name, start in (("one", 0), ("two", 9000)):
            path = tmp_path / "sweep" / system / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, speech[start : start + 8000] + more, RATE)
    return tmp_path / "sweep"


def compare(*words):
    return main.run(["compare", *map(str, words), "browser=false"])


def test_from_a_sweep_to_a_page_to_a_report(sweep, tmp_path, capsys):
    study, page = tmp_path / "study", tmp_path / "page"
    assert compare(f"systems={sweep}", f"output={study}", f"export={page}") == 0
    said = capsys.readouterr().out
    assert "ab test of admm, griffin_lim: 2 items, 2 trials a listener" in said
    assert "not tamper-proof" in said
    public = told((page / "study.js").read_text())
    rows = [
        {
            "position": position,
            "time": "2026-01-31T12:00:00Z",
            "seconds": 3,
            "heard": dict.fromkeys(one["versions"], 1),
            "choice": "none",
        }
        for position, one in enumerate(public["orders"][0])
    ]
    sent = {"study": public["id"], "listener": "ann", "order": 0, "answers": rows}
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent/answers-ann.json").write_text(json.dumps(sent))
    assert compare(f"output={study}", f"collect={tmp_path / 'sent'}") == 0
    assert "2 answers added" in capsys.readouterr().out
    assert compare(f"report={study}", f"output={tmp_path / 'report'}") == 0
    assert (tmp_path / "report/report.html").exists()


def test_folders_can_be_listed_with_names_that_hydra_does_not_know(sweep, tmp_path, capsys):
    both = ",".join(str(folder) for folder in sorted(sweep.iterdir()))
    words = [f"systems=[{both}]", f"output={tmp_path / 'study'}", f"export={tmp_path / 'page'}"]
    assert compare(*words, "test=abx", "repeats=3") == 0
    assert "abx test of admm, griffin_lim" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("output=nowhere", "study.missing"),
        ("systems=gone output=a", "systems.missing"),
        ("systems={sweep} output={root}/a test=mushra", "reference.missing"),
        ("systems={sweep} output={root}/a items=0", "items.range"),
        ("systems={sweep} output={root}/a export={root}/a", "export.conflict"),
        ("systems={sweep} output={root}/a port=99999", "port.range"),
        ("systems={sweep} output={root}/a collect={root}", "collect.missing"),
        ("systems={sweep} output={root}/a language=klingon", "language.format"),
        ("systems={sweep} output={root}/a itms=3", "itms.unknown"),
        ("report={root} output={root}/b", "study.missing"),
    ],
)
def test_bad_values_are_told(words, key, sweep, tmp_path):
    with refused(key):
        main.dispatch(["compare", *words.format(sweep=sweep, root=tmp_path).split()])


def test_the_page_speaks_another_language(sweep, tmp_path):
    words = tmp_path / "words.yaml"
    (tmp_path / "consent.txt").write_text("Žluť?\n")
    asked = ["questions=[Name,Age]", "comments=true", f"consent={tmp_path / 'consent.txt'}"]
    command = [f"systems={sweep}", f"language={words}", *asked, f"export={tmp_path / 'page'}"]
    for text in ("Begin: Začít\n", "Unknown: words\n", "[]", "Begin: 3", "{"):
        words.write_text(text)
        done = compare(*command, f"output={tmp_path / 'study'}", "overwrite=true")
        assert done == (0 if text.startswith("Begin: Z") else 2)
    study = told((tmp_path / "page/study.js").read_text())
    assert study["words"] == {"Begin": "Začít"} and study["comments"] is True
    assert (study["questions"], study["consent"]) == (["Name", "Age"], "Žluť?")


def test_every_word_of_the_page_can_be_translated():
    """Those in its scripts, and those that this program sends it."""
    scripts = "".join(path.read_text() for path in FOLDER.glob("*.js"))
    strings = re.findall(r'"((?:[^"\\\n]|\\.)*)"', scripts)
    called = re.findall(r'\bt\(\s*"([^"]*)"', scripts) + re.findall(
        r'failure\(\s*"([^"]*)"', scripts
    )
    known = yaml.safe_load(TRANSLATION.read_text(encoding="utf-8"))
    assert len(called) > 60 and set(called) <= set(known)
    assert set(QUESTIONS.values()) <= set(known)
    server = "".join(
        Path(inspect.getfile(module)).read_text() for module in (sessions_module, server_module)
    )
    joined = re.sub(r'"\s+"', "", server)
    for word in known:
        assert word == "lang" or word in strings or word in joined or word in QUESTIONS.values()
        assert known[word].count("{}") == word.count("{}")


def test_a_browser_is_opened_where_there_is_a_desktop(monkeypatch):
    opened = []

    def note(url):
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", note)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not open_browser("http://127.0.0.1:1/")
    monkeypatch.setenv("DISPLAY", ":0")
    assert open_browser("http://127.0.0.1:1/")
    assert opened == ["http://127.0.0.1:1/"]


@pytest.mark.parametrize("missing", ["uvicorn", "pyloudnorm"])
def test_a_missing_package_is_said_before_any_work(missing, sweep, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "vocoder.cli.compare.find_spec", lambda name: None if name == missing else found(name)
    )
    words = [f"systems={sweep}", f"output={tmp_path / 'study'}"]
    if missing == "pyloudnorm":  # which a page needs too
        words.append(f"export={tmp_path / 'page'}")
    with refused("compare.extra") as caught:
        main.dispatch(["compare", *words])
    assert missing in str(caught.value)
    assert not (tmp_path / "study").exists()
