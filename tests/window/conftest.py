"""Foreign images of a real utterance, and the page over them."""

import threading
import time
from contextlib import ExitStack, contextmanager

import librosa
import numpy as np
import pytest
import uvicorn

from tests.image.test_cases import grey, level, save
from vocoder.cli.open import _invert
from vocoder.compare.server import bound
from vocoder.image.source import ImageSource
from vocoder.window.server import make_app
from vocoder.window.workbench import Workbench


@pytest.fixture(scope="session")
def images(speech, tmp_path_factory):
    """One utterance by three laws that no file says: grey, upside down, dark."""
    folder = tmp_path_factory.mktemp("images")
    magnitude = np.abs(librosa.stft(speech, n_fft=1024, hop_length=256))
    pixels = grey(np.clip(level(librosa.amplitude_to_db(magnitude / 256, top_db=None)), 0, 1))
    save(folder / "dark.png", 255 - pixels)
    save(folder / "grey.png", pixels)
    save(folder / "upside_down.png", np.ascontiguousarray(pixels[::-1]))
    return folder


@contextmanager
def _served(bench, output):
    app = make_app(bench, output, _invert)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with bound(0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


@pytest.fixture
def serving(tmp_path):
    """Serve the page over an input, or over nothing, until the test ends; returns its address."""
    with ExitStack() as stack:

        def serve(path=None):
            bench = Workbench(None if path is None else ImageSource(input=path))
            return stack.enter_context(_served(bench, tmp_path / "opened"))

        yield serve
