"""``vocoder compare``: from folders to a study, a page, collected answers and a report."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from vocoder.cli import main
from vocoder.cli.compare import run
from vocoder.compare.listening.server import open_browser

CONF = Path(__file__).parents[2] / "conf/compare.yaml"
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


def test_the_keys_of_the_file_are_those_of_the_command():
    keys = yaml.safe_load(CONF.read_text(encoding="utf-8"))
    assert set(keys) == set(inspect.signature(run).parameters)


def test_from_a_sweep_to_a_page_to_a_report(sweep, tmp_path, capsys):
    study, page = tmp_path / "study", tmp_path / "page"
    assert compare(f"systems={sweep}", f"output={study}", f"export={page}") == 0
    said = capsys.readouterr().out
    assert "ab test of inverter=admm, inverter=griffin_lim: 2 items, 2 trials a listener" in said
    assert "not tamper-proof" in said
    script = (page / "study.js").read_text()
    public = json.loads(script.split("const STUDY = ")[1].rstrip(";\n"))
    rows = [
        {
            "trial": one["trial"],
            "shown": {"sounds": one["sounds"], "x": None},
            "time": "2026-01-31T12:00:00Z",
            "seconds": 3,
            "heard": dict.fromkeys(one["sounds"], 1),
            "choice": "none",
        }
        for one in public["trials"][1:]
    ]
    sent = {"study": public["id"], "listener": "ann", "answers": rows}
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
    assert "abx test of inverter=admm, inverter=griffin_lim" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["output=nowhere"], "nowhere holds no study (study.json: No such file"),
        (["systems=gone", "output=a"], "gone is not a folder"),
        (["systems={sweep}", "output={root}/a", "test=mushra"], "give their folder, reference="),
        (["systems={sweep}", "output={root}/a", "test=mos"], "expected one of ab, abx, mushra"),
        (["systems={sweep}", "output={root}/a", "items=0"], "items is 0; expected at least 1"),
        (["systems={sweep}", "output={root}/a", "export={root}/a"], "which holds the key"),
        (["systems={sweep}", "output={root}/a", "port=99999"], "port is 99999; expected 0 to"),
        (["systems={sweep}", "output={root}/a", "collect={root}"], "holds no .json files"),
        (["systems={sweep}", "output={root}/a", "itms=3"], "did you mean items?"),
        (["report={root}", "output={root}/b"], "holds no study"),
    ],
)
def test_bad_values_are_refused(words, message, sweep, tmp_path, capsys):
    filled = [word.format(sweep=sweep, root=tmp_path) for word in words]
    assert compare(*filled) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("vocoder: ")
    assert error.count("\n") == 1


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
