"""Images and arrays by foreign laws sound as good as those that need no settings."""

import librosa
import numpy as np
import pytest
import torch
from PIL import Image

from tests.image.test_cases import RANGE, SPEC, grey, level, save
from vocoder import invert, load, read_spectrogram
from vocoder.evaluate.metrics import estoi
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.maps import map_colours
from vocoder.spectrogram import analyse

PALETTE = [value for shade in range(256) for value in (shade, shade, shade)]


def palette(pixels):
    image = Image.fromarray(pixels, "P")
    image.putpalette(PALETTE)
    return image


def opaque(pixels):
    return Image.fromarray(pixels).convert("RGBA")


def log_rows(truth):
    """480 rows from 50 Hz to Nyquist."""
    places = np.geomspace(50, 11025, 480) / 11025 * 512
    below = np.minimum(places.astype(int), 511)
    share = (places - below)[:, None]
    rows = np.clip(level(truth), 0, 1)
    return (1 - share) * rows[below] + share * rows[below + 1]


@pytest.fixture(scope="module")
def truth(speech):
    return analyse(torch.from_numpy(speech)[None], SPEC).decibels[0].numpy()


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
    ("name", "draw", "codec", "loss"),
    [
        (
            "ref1.png",
            lambda x: Image.fromarray(grey((x + 48.16 + 60) / 100)),
            Foreign(reference="one", db_min=-60.0, db_max=40.0),
            0.004,
        ),
        (
            "up.png",
            lambda x: Image.fromarray(grey(level(x))[::-1]),
            Foreign(row_0="low", **RANGE),
            0.002,
        ),
        (
            "power.png",
            lambda x: Image.fromarray(grey(10 ** ((x - x.max()) / 80))),
            Foreign(unit="linear", exponent=0.25, reference="max"),
            0.0,
        ),
        (
            "rgba.png",
            lambda x: opaque(map_colours("viridis")[grey(level(x))]),
            Foreign(cmap="viridis", **RANGE),
            0.006,
        ),
        ("palette.png", lambda x: palette(grey(level(x))), Foreign(**RANGE), 0.002),
        (
            "dark.png",
            lambda x: Image.fromarray(255 - grey(level(x))),
            Foreign(dark_is_loud=True, **RANGE),
            0.002,
        ),
        (
            "log.png",
            lambda x: Image.fromarray(grey(log_rows(x))),
            Foreign(rows="log", hz_min=50.0, **RANGE),
            0.02,
        ),
        (
            "map.png",
            lambda x: Image.fromarray(map_colours("viridis")[grey(level(x))]),
            load("codec", "colormap", cmap="viridis", **RANGE),
            0.006,
        ),
        (
            "no_dc.png",
            lambda x: Image.fromarray(grey(level(x[1:]))),
            Foreign(first_bin=1, **RANGE),
            0.002,
        ),
        (
            "a.bmp",
            lambda x: Image.fromarray(grey(level(x))),
            load("codec", "gray8", **RANGE),
            0.002,
        ),
        (
            "normalised.npy",
            lambda x: np.clip(level(x), 0, 1),
            Foreign(at_min=0.0, at_max=1.0, **RANGE),
            0.002,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_as_good_as_the_control(name, draw, codec, loss, truth, control, speech, tmp_path):
    path = tmp_path / name
    drawn = draw(truth)
    if isinstance(drawn, Image.Image):
        drawn.save(path)
    else:
        np.save(path, drawn.astype(np.float32))
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
