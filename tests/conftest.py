"""Real speech and real pix2pix output for the tests, in small pieces."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
import torch

from tests.compare.browser import CHROMIUM, LACKING, open_page

DATA = Path(__file__).parent / "data"

# numba's caches get mixed up, and then crash, when processes fill one at the same time.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    caches = Path(__file__).parents[1] / ".pytest_cache/numba"
    os.environ.setdefault("NUMBA_CACHE_DIR", str(caches / worker))


@pytest.fixture(scope="session")
def generated() -> Path:
    """A folder with ``manifest.csv``, ``reference/`` and ``results/`` as pix2pix wrote it."""
    return DATA / "pix2pix"


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """2.5 s of a real line at 22 050 Hz: float32, ``(samples,)``, peak 0.5."""
    samples, _ = soundfile.read(DATA / "pix2pix/reference/nl_m__m-obdivovat.flac", dtype="float32")
    return np.asarray(samples[8_000:63_125])


@pytest.fixture
def copy(generated: Path, tmp_path: Path) -> Path:
    """The generated folder, to spoil."""
    return Path(shutil.copytree(generated, tmp_path / "copy"))


@pytest.fixture
def training(copy: Path) -> Path:
    """The generated folder as if it were training material."""
    manifest = copy / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",test\n", ",train\n"))
    return copy


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
        context = chromium.new_context(**{"viewport": {"width": 900, "height": 800}, **options})
        opened.append(context)
        context.on("request", lambda request: requests.append(request.url))
        context.on("weberror", lambda error: problems.append(str(error.error)))
        page = context.new_page()
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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One loud line where no browser could be driven."""
    skipped = terminalreporter.stats.get("skipped", [])
    if LACKING and any(LACKING in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(LACKING, red=True, bold=True)
