"""Recordings to encode, and pictures to spoil."""

import shutil
import sys

import numpy as np
import pytest
import soundfile

from tests.cli.encoding import save


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """Hydra's own program reads and sets what belongs to the process."""
    monkeypatch.setattr(sys, "argv", ["vocoder"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "")


@pytest.fixture
def folder(tmp_path, speech):
    """Three recordings of different lengths, one in a sub-folder."""
    for k, name in enumerate(("a.wav", "b.wav", "sub/c.wav")):
        save(tmp_path / "in" / name, np.roll(speech, 1000 * k)[: len(speech) - 5000 * k])
    return tmp_path / "in"


@pytest.fixture
def pairs(tmp_path, folder):
    """Given sounds (A) for `folder`: the same at half the level."""
    for path in folder.rglob("*.wav"):
        samples, _ = soundfile.read(path, dtype="float32")
        save(tmp_path / "given" / path.relative_to(folder), samples / 2)
    return tmp_path / "given"


@pytest.fixture
def tiles(generated, tmp_path):
    """The two tiles of a line, as the program wrote them, beside their manifest and settings."""
    folder = tmp_path / "set"
    folder.mkdir()
    rows = (generated / "manifest.csv").read_text().splitlines(keepends=True)
    kept = [row for row in rows if row.startswith(("stem", "nl_v__jes"))]
    (folder / "manifest.csv").write_text("".join(kept))
    for path in (generated / "spec.yaml", *generated.rglob("nl_v__jes*_fake_B.png")):
        shutil.copy(path, folder)
    return folder
