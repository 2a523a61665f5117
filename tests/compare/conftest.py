"""Short versions of real utterances, studies of them, and what drives these."""

import json
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.serving import served
from vocoder.compare.plan import Settings, make_study
from vocoder.compare.server import make_app
from vocoder.compare.sessions import Sessions
from vocoder.compare.sources import find_sources
from vocoder.compare.store import AnswerStore
from vocoder.compare.study import Texts, read_study

RATE = 22_050
ITEMS = ("gate", "river", "stone")
CLIP_S = 0.3
# Of the studies that are listened to: a version takes its time.
N_ITEMS = {"ab": 3, "abx": 2, "mushra": 1, "dcr": 1}


def write_lines(folder: Path, lines: dict[str, np.ndarray], suffix=".wav", rate=RATE):
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in lines.items():
        soundfile.write(folder / f"{name}{suffix}", samples, rate, subtype="PCM_16")


def noisy(samples: np.ndarray, level: float) -> np.ndarray:
    noise = np.random.default_rng(3).standard_normal(len(samples))
    return np.asarray(samples + level * np.sqrt(np.mean(samples**2)) * noise)


def told(script: str) -> Any:
    """What ``study.js`` tells the page."""
    return json.loads(script.split("const STUDY = ")[1].rstrip(";\n"))


def answers_in(folder: Path) -> list[Any]:
    """The answers of a study, whatever the test."""
    with AnswerStore(folder) as store:
        return store.answers()


@pytest.fixture(scope="session")
def lines(speech) -> dict[str, np.ndarray]:
    """Three stretches of a real utterance, each ``CLIP_S`` long, peak 0.5 or less."""
    n = int(CLIP_S * RATE)
    return {name: speech[n * k : n * (k + 1)].astype(np.float64) for k, name in enumerate(ITEMS)}


@pytest.fixture(scope="session")
def folders(lines, tmp_path_factory):
    """``ref/``, and a sweep: ``sweep/plainrender`` and ``sweep/hissyrender``, as good and worse."""
    root = tmp_path_factory.mktemp("sounds")
    write_lines(root / "ref", lines, ".flac")
    late = {name: np.pad(-0.5 * samples, (17, 0)) for name, samples in lines.items()}
    write_lines(root / "sweep/plainrender", late)
    write_lines(root / "sweep/hissyrender", {name: noisy(x, 0.2) for name, x in lines.items()})
    return root


@pytest.fixture(scope="session")
def make(folders):
    """Make a study of these folders in a new one; changes are of its settings or its texts."""

    def make(output: Path, test: str = "ab", **changes):
        reference = str(folders / "ref") if test in ("mushra", "dcr") else None
        systems = changes.pop("systems", str(folders / "sweep"))
        sources = find_sources(systems, changes.pop("reference", reference))
        said = {key: changes.pop(key) for key in Texts.model_fields if key in changes}
        settings = Settings(**{"test": test, "items": None, "seed": 5, **changes})
        return make_study(output, sources, settings, {"title": "Which vocoder?"} | said)

    return make


@pytest.fixture(scope="session")
def made(make, tmp_path_factory):
    """The folder of one study a test; not to be changed."""
    root = tmp_path_factory.mktemp("studies")
    folders: dict[str, Path] = {}

    def made(test: str) -> Path:
        if test not in folders:
            folders[test] = root / test
            make(root / test, test, items=N_ITEMS[test])
        return folders[test]

    return made


@pytest.fixture
def copy(made, tmp_path):
    """A copy of such a folder."""
    return lambda test: Path(shutil.copytree(made(test), tmp_path / f"study-{test}"))


@contextmanager
def _served(folder, key):
    sessions = Sessions(read_study(folder), folder)
    with sessions.store, served(make_app(sessions, folder, key)) as address:
        yield address


@pytest.fixture
def serving():
    """Serve a study until the test ends; returns the address."""
    with ExitStack() as stack:
        yield lambda folder, key="": stack.enter_context(_served(folder, key))
