"""Images and arrays by foreign laws sound as good as those that need no settings.

Where a law changes what is read; those that only turn, cut or name it are tested in decibels.
"""

import librosa
import numpy as np
import pytest

from tests.image.laws import RANGE, SPEC, grey, level, log_rows, save
from vocoder import invert, load, read_spectrogram
from vocoder.evaluate.metrics import estoi
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.maps import map_colours


def heard(path, codec, speech):
    """ESTOI of what an image or array becomes."""
    samples = invert(read_spectrogram(path, SPEC, codec), repair="none")[0].numpy()
    length = min(len(samples), len(speech))
    return estoi(speech[:length], samples[:length], SPEC.sample_rate)


@pytest.fixture(scope="module")
def control(truth, speech, tmp_path_factory):
    """ESTOI of the image that every version could read."""
    path = save(tmp_path_factory.mktemp("control") / "a.png", grey(level(truth)))
    found = heard(path, load("codec", "gray8", **RANGE), speech)
    assert found > 0.95
    return found


@pytest.mark.parametrize(
    ("draw", "codec", "loss"),
    [
        (
            lambda x: grey(10 ** ((x - x.max()) / 80)),
            Foreign(unit="linear", exponent=0.25, reference="max"),
            0.0,
        ),
        (
            lambda x: map_colours("viridis")[grey(level(x))],
            Foreign(cmap="viridis", **RANGE),
            0.006,
        ),
        (
            lambda x: grey(log_rows(np.clip(level(x), 0, 1))),
            Foreign(rows="log", hz_min=50.0, **RANGE),
            0.02,
        ),
    ],
    ids=["root", "map", "log_rows"],
)
def test_as_good_as_the_control(draw, codec, loss, truth, control, speech, tmp_path):
    path = save(tmp_path / "a.png", draw(truth))
    assert heard(path, codec, speech) > control - loss - 0.001


def test_figures_of_specshow(speech, tmp_path):
    """Axes, colour bar, and librosa's own mel axis, which is no row a band."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mel = librosa.feature.melspectrogram(y=speech, sr=22050)
    log = librosa.power_to_db(mel, ref=np.max)
    figure = Figure(figsize=(10, 4))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    librosa.display.specshow(log, sr=22050, x_axis="time", y_axis="mel", ax=axes)
    box = axes.get_window_extent()
    figure.savefig(tmp_path / "a.png")
    crop = [round(box.x0) + 1, round(400 - box.y1) + 1, round(box.x1) - 1, round(400 - box.y0) - 1]
    codec = load(
        "codec",
        "librosa",
        cmap="magma",
        rows="specshow",
        max_db=0.0,
        crop=crop,
        hop_length=float(512 * mel.shape[1] / (box.x1 - box.x0)),
    )
    found = read_spectrogram(tmp_path / "a.png", load("spec", "librosa_mel"), codec)
    shown = np.maximum(found.decibels[0].numpy(), -80)
    frames = min(shown.shape[1], mel.shape[1]) - 1
    assert np.abs(shown - log[:, : shown.shape[1]])[:, :frames].mean() < 0.3
