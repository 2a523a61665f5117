"""Images in a border, and those in which time runs down, are read band by band."""

import librosa
import numpy as np
import pytest

from tests.image.laws import grey, save
from vocoder import load
from vocoder.identify.identify import identify


@pytest.fixture(scope="module")
def pixels(speech):
    mel = librosa.feature.melspectrogram(y=speech, sr=22050)
    return grey(librosa.power_to_db(mel, ref=np.max) / 80 + 1)


def first(path):
    return identify(path)[0]


@pytest.mark.parametrize("page", [240, 128])
def test_an_image_in_a_border_has_its_rows(page, pixels, tmp_path):
    bordered = np.pad(pixels, ((30, 20), (40, 25)), constant_values=page)
    found = first(save(tmp_path / "a.png", bordered))
    assert found.spec == load("spec", "librosa_mel")
    assert found.codec.crop == [40, 30, 40 + pixels.shape[1], 158]
    assert found.codec.rows == "bins" and found.codec.keeps_columns


@pytest.mark.parametrize("border", [0, 20])
def test_time_may_run_down(border, pixels, tmp_path):
    bordered = np.pad(pixels.T, ((border // 2, border), (border, border)), constant_values=240)
    found = first(save(tmp_path / "a.png", np.ascontiguousarray(bordered)))
    assert found.spec == load("spec", "librosa_mel")
    assert found.codec.transposed and found.codec.row_0 is None and found.codec.rows == "bins"
    crop = [20, 10, 148, 10 + pixels.shape[1]] if border else None
    assert found.codec.crop == crop
    assert found.seconds == pytest.approx(pixels.shape[1] * 512 / 22050)
