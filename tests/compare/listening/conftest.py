"""Studies of short versions of real lines, and what drives them."""

import shutil
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import uvicorn

from tests.compare.conftest import noisy, write_lines
from tests.compare.listening.browser import CHROMIUM, LACKING, open_page
from vocoder.compare.answers import RESULTS_NAME, read_answers
from vocoder.compare.listening.plan import make_study
from vocoder.compare.listening.server import _bound, make_app
from vocoder.compare.listening.session import Sessions
from vocoder.compare.listening.sources import find_sources
from vocoder.compare.listening.study import read_study

# Of the studies that are listened to: a version takes its time.
ITEMS = {"ab": 3, "abx": 2, "mushra": 1, "dcr": 1}
SETTINGS = {
    "test": "ab",
    "items": None,
    "repeats": 1,
    "longest_s": 10.0,
    "seed": 5,
    "title": "Which vocoder?",
    "question": None,
    "skip": False,
    "allow_clipped": False,
}


def results(folder: Path) -> list[Any]:
    """The answers in a study's results, whatever the test."""
    return list(read_answers(folder / RESULTS_NAME).answers)


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
    """Make a study of these folders in a new one."""

    def make(output: Path, test: str = "ab", **changes):
        reference = str(folders / "ref") if test in ("mushra", "dcr") else None
        systems = changes.pop("systems", str(folders / "sweep"))
        sources = find_sources(systems, changes.pop("reference", reference))
        return make_study(output, sources=sources, **{**SETTINGS, "test": test, **changes})

    return make


@pytest.fixture(scope="session")
def made(make, tmp_path_factory):
    """The folder of one study a test; not to be changed."""
    root = tmp_path_factory.mktemp("studies")
    folders: dict[str, Path] = {}

    def made(test: str) -> Path:
        if test not in folders:
            folders[test] = root / test
            make(root / test, test, items=ITEMS[test])
        return folders[test]

    return made


@pytest.fixture
def copy(made, tmp_path):
    """A copy of such a folder."""
    return lambda test: Path(shutil.copytree(made(test), tmp_path / f"study-{test}"))


@contextmanager
def _served(folder):
    app = make_app(Sessions(read_study(folder), folder), folder)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with _bound(0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def serving():
    """Serve a study until the test ends; returns the address."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(_served(folder))


@pytest.fixture(scope="session")
def chromium():
    if LACKING:
        pytest.skip(LACKING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium):
    """Open a page as a listener of its own; at the end, nothing went wrong or elsewhere."""
    opened = []
    requests, problems = [], []

    def browse(url, **options):
        context = chromium.new_context(viewport={"width": 900, "height": 800}, **options)
        opened.append(context)
        page = context.new_page()
        context.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        open_page(page, url)
        return page

    yield browse
    for context in opened:
        context.close()
    hosts = {
        urlsplit(url).hostname for url in requests if urlsplit(url).scheme not in ("data", "blob")
    }
    assert hosts <= {"127.0.0.1", None}
    assert not problems
