"""Files are whole or not there, and names of files may be anything."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.refusals import refused
from vocoder.config import load
from vocoder.errors import some_of
from vocoder.files import atomic_path, parse_yaml, remove_leftovers, write_text
from vocoder.model.checkpoint import Checkpoint, settings_of


def test_text_tells_names_that_are_not_utf8(tmp_path):
    name = os.fsdecode(b"gr\xfc\xdfe \xe2\x82\xac")
    write_text(tmp_path / "report.json", json.dumps({name: 1}, ensure_ascii=False), overwrite=False)
    content = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert content == r'{"gr\udcfc\udcdfe €": 1}' and json.loads(content) == {name: 1}
    with refused("output.exists"):
        write_text(tmp_path / "report.json", "", overwrite=False)


def test_what_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), atomic_path(path, overwrite=True) as temporary:
        temporary.write_text("half")
        assert temporary.suffix == ".txt" and 1 / 0
    assert [one.read_text() for one in tmp_path.iterdir()] == ["before"]


def test_files_have_the_mode_that_all_others_have(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a.bin", overwrite=False) as temporary:
            temporary.write_bytes(b"a")
        model = load("model", "repair", spec=load("spec", "mel256"), channels=4)
        checkpoint = Checkpoint(settings_of(model), model.spec, model.state_dict(), {})
        checkpoint.write(tmp_path / "a.safetensors", overwrite=False)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


def test_many_faults_are_one_line():
    assert some_of(["a", "b"]) == "a; b" and some_of([]) == ""
    assert some_of(list("abcdefg"), ", ") == "a, b, c, d, e, and 2 more"


def test_only_what_killed_processes_left_is_removed(tmp_path):
    program = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from vocoder.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1]), overwrite=False) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    place = tmp_path / "deep/a.png"
    subprocess.run([sys.executable, "-c", program, place], check=False)
    (left,) = place.parent.iterdir()
    mine = [tmp_path / name for name in (".hidden", "a.wav", ".123-a.wav", f"{left.name}")]
    for path in mine:
        path.write_text("mine")
    with atomic_path(tmp_path / "deep/b.png", overwrite=False) as writing:
        writing.touch()
        remove_leftovers(tmp_path)
        assert writing.exists() and not left.exists()
    assert all(path.exists() for path in mine[:3])
    assert not mine[3].exists()  # a name as a user cannot have chosen it


def test_yaml_of_a_thousand_brackets_is_refused_at_once():
    started = time.process_time()
    with pytest.raises(ValueError, match="nested"):
        parse_yaml("pages:\n- " + "[" * 20_000)
    assert time.process_time() - started < 0.5
    assert parse_yaml("a: [[1, {b: 2}]]") == {"a": [[1, {"b": 2}]]}
