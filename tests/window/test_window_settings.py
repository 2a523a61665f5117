"""A flat mapping of settings, the words of the command line, and YAML say the same."""

import shlex

import pytest
import yaml

from tests.refusals import refused
from vocoder.cli import main
from vocoder.config import load
from vocoder.image.codec.foreign import Foreign
from vocoder.window.settings import as_yaml, build, changed, parse, shown, words

LINE = "spec=linear512 spec.nyquist=true codec=foreign codec.crop=[1,2,0,0] repair=none force=true"


def test_words_and_back():
    values = parse(LINE)
    assert values["spec.nyquist"] is True and values["codec.crop"] == [1, 2, 0, 0]
    assert words(values) == LINE.split()
    built = build(values)
    assert built.spec == load("spec", "linear512", nyquist=True)
    assert built.codec == Foreign(crop=[1, 2, 0, 0]) and built.force


def test_a_codec_that_cannot_say_it_becomes_foreign():
    """What it said stays."""
    values = changed(parse("spec=mel256 codec=colormap codec.db_min=-80"), "codec.row_0", "low")
    assert build(values).codec == Foreign(db_min=-80, db_max=0.0, cmap="viridis", row_0="low")
    assert build(changed(values, "codec.cmap", None)).codec == Foreign(db_min=-80, row_0="low")
    assert build(changed({}, "codec.dark_is_loud", True)).codec == Foreign(dark_is_loud=True)


def test_another_option_forgets_the_settings_of_the_first():
    values = changed(parse(LINE), "codec", "gray8")
    assert words(values) == [
        *("spec=linear512", "spec.nyquist=true", "codec=gray8", "repair=none", "force=true")
    ]
    assert changed(values, "repair", None) == parse(
        "spec=linear512 spec.nyquist=true codec=gray8 force=true"
    )


def test_what_a_setting_usually_is_needs_no_word():
    values = parse("spec=mel256 codec=foreign codec.db_min=-60")
    assert "codec.db_min" not in changed(values, "codec.db_min", Foreign().db_min)
    assert changed(values, "repair.strength", 0.5)["repair.strength"] == 0.5


def test_yaml_says_what_an_option_file_would():
    (document,) = yaml.safe_load_all(as_yaml(parse("codec=foreign codec.db_min=-60")))
    assert document == {"defaults": ["foreign", "_self_"], "db_min": -60}


def test_controls_that_have_nothing_to_say():
    stands = shown(parse("spec=riffusion codec=riffusion"), is_array=False)
    assert stands["codec.db_min"] is None and stands["codec.dark_is_loud"] is True
    assert stands["codec.row_0"] == "high" and stands["repair"] == "auto"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("spec='mel256", "setting.format"),
        ("spec", "setting.format"),
        ("output=here", "output.unknown"),
        ("codec.db_min=-60", "codec.missing"),
        ("codec=gray9", "codec.unknown"),
        ("codec=foreign codec.db_mim=-60", "codec.db_mim.unknown"),
    ],
)
def test_refused(text, key):
    with refused(key):
        build(parse(text))


def test_the_command_line_takes_the_words():
    assert main.run(["invert", "input=a.png", "output=b", *shlex.split(LINE), "--cfg", "job"]) == 0
