"""Going on with a run, and not with another."""

import json

import pytest

from vocoder.cli.main import run

LINES = ["nl_m__m-obdivovat", "nl_v__jes-v-kamen", "nl_v__poh-v-forma"]


@pytest.fixture
def invert(generated, tmp_path):
    """``vocoder invert`` of the real tiles into one folder, quickly."""

    def call(*words, n_iter=2):
        given = [f"input={generated}", f"output={tmp_path / 'out'}", f"inverter.n_iter={n_iter}"]
        return run(["invert", *given, *words])

    return call


def test_other_settings_are_refused(invert, tmp_path, capsys):
    lost = tmp_path / "out" / f"{LINES[0]}.wav"
    assert invert() == 0
    lost.unlink()
    assert invert("resume=true", n_iter=1) == 2
    assert "was begun with inverter" in capsys.readouterr().err
    assert not lost.exists()
    assert invert("resume=true") == 0
    assert lost.exists()
    rows = json.loads((tmp_path / "out/report.json").read_text())["utterances"]
    assert sorted(row["utterance"] for row in rows) == LINES


def test_a_picture_lost_in_a_kill_is_drawn(invert, tmp_path):
    assert invert("pictures=true") == 0
    drawing = tmp_path / "out" / f"{LINES[1]}.png"
    drawing.unlink()
    assert invert("pictures=true", "resume=true") == 0
    assert drawing.stat().st_size > 10_000


def test_only_what_a_run_left_is_replaced(invert, tmp_path, capsys):
    mine = tmp_path / "out" / f"{LINES[1]}.wav"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    assert invert("pictures=true", "resume=true") == 2
    assert "out holds no report.json of an earlier run" in capsys.readouterr().err
    assert [path.name for path in mine.parent.iterdir()] == [mine.name]
    assert invert("resume=true") == 0  # without its picture it seems done, and is kept
    assert mine.read_bytes() == b"mine"
