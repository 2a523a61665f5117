"""Foreign images of a real utterance, and the page over them."""

from contextlib import ExitStack
from threading import Event

import librosa
import numpy as np
import pytest

from tests.compare.browser import PATIENCE_MS
from tests.image.laws import grey, level, save
from tests.serving import served
from vocoder.cli.open import _invert
from vocoder.identify.identify import identify
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


class Looking:
    """Files that were asked about, each identified when the gate is open."""

    def __init__(self):
        self.paths, self.gate = [], Event()

    def identify(self, path):
        self.paths.append(path.stem)
        assert self.gate.wait(PATIENCE_MS / 1000)
        return identify(path)


@pytest.fixture
def looking(monkeypatch):
    """Nothing is identified until its gate is set."""
    looking = Looking()
    monkeypatch.setattr("vocoder.window.workbench.identify", looking.identify)
    yield looking
    looking.gate.set()


@pytest.fixture
def serving(tmp_path):
    """Serve the page over an input, or over nothing, until the test ends; returns its address."""
    with ExitStack() as stack:

        def serve(path=None):
            bench = Workbench(None if path is None else ImageSource(input=path))
            app = make_app(bench, tmp_path / "opened", _invert)
            return stack.enter_context(served(app)) + "/"

        yield serve
