"""Readings in words: all that they say, and nothing that is not in them."""

import pytest

from vocoder import load
from vocoder.identify.identify import Reading
from vocoder.identify.words import in_words
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.law import UNITS


@pytest.mark.parametrize(
    ("codec", "said"),
    [
        (Foreign(cmap="magma", row_0="low", reference="max"), {"magma", "low", "loudest", "dB"}),
        (
            Foreign(crop=[1, 2, 3, 4], dark_is_loud=True, rows="log", hz_min=50),
            {"figure", "dark", "log"},
        ),
        (load("codec", "hue", db_min=-70), {"hue", "-70"}),
        (None, {"magnitude"}),
    ],
)
def test_what_is_said_of_codecs(codec, said):
    spec = load("spec", "mel256")
    reading = Reading(spec=spec, codec=codec, seconds=3.14)
    text = in_words(reading, is_array=codec is None)
    assert all(word in text for word in {*said, "256", "22050", "3.1 s"})


@pytest.mark.parametrize("is_array", [False, True])
def test_every_unit_has_words_of_its_own(is_array):
    spec = load("spec", "linear512")
    others = [Foreign(unit=unit, min=0.0, max=1.0) for unit in UNITS if unit != "db"]
    codecs = [Foreign(), *others]
    said = {in_words(Reading(spec=spec, codec=one), is_array=is_array) for one in codecs}
    assert len(said) == len(UNITS)
