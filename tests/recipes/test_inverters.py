"""The table of all inversions: what is compared, and means in their places."""

import numpy as np

from recipes import inverters
from vocoder import load
from vocoder.image.utterances import load_utterance

RESULTS = {
    "clean | none+admm": {
        "a": {"estoi": 0.9, "pesq_wb": 4.0, "visqol": 4.5},
        "b": {"estoi": 0.8, "pesq_wb": 3.0},
    },
    "clean | auto+wavenet": {"a": {"estoi": 0.7}},
    "80 mels | none+admm": {"a": {"estoi": 0.6, "pesq_wb": 2.0, "visqol": 3.0}},
}


def test_the_overview_has_every_inversion_and_condition():
    text = inverters.overview(RESULTS, ["clean", "80 mels"], ["none+admm", "auto+wavenet"])
    assert text.splitlines() == [
        "| ESTOI / PESQ-WB / ViSQOL | clean | 80 mels |",
        "| --- | --- | --- |",
        "| `none+admm` | 0.850 / 3.50 / 4.50 | 0.600 / 2.00 / 3.00 |",
        "| `auto+wavenet` | 0.700 / - / - |  |",
    ]


def test_networks_are_measured_where_weights_come_with_the_package():
    names = ["none+admm", "auto+wavenet:temperature=0.5", "jpeg:strength=0.5+admm", "auto+admm"]
    assert inverters.fitting("80 mels", names) == ["none+admm", "auto+admm"]
    assert inverters.fitting("clean", names) == names
    tables = list(inverters.tables(RESULTS, ["clean", "80 mels"], ["none+admm", "auto+wavenet"]))
    assert "`auto+wavenet`" in tables[0] and "`auto+wavenet`" not in tables[1]
    assert not list(inverters.tables({}, ["80 mels"], ["auto+wavenet"]))


def test_every_inverter_is_compared_with_and_without_repair():
    pairs = [word.split("+") for word in inverters.INVERSIONS if inverters.PLAIN not in word]
    assert {inverter.partition(":")[0] for _, inverter in pairs} >= {"griffin_lim", "admm"}
    for _, inverter in pairs:
        assert ["none", inverter] in pairs and ["auto", inverter] in pairs


def test_each_measured_pair_is_the_inverters_of_the_repairs(generated, monkeypatch):
    """One line, so cheaply that it takes no time; repair=none is the plain inversion."""
    cheap = "griffin_lim:n_iter=0,init=zero"
    heard = []

    def hear(true, sound, *_, **__):
        heard.append(sound)
        return {}

    monkeypatch.setattr(inverters, "measure", hear)
    line = "nl_v__jes-v-kamen"
    for repair in ("none", "auto"):
        inverters.measure_generated(generated, f"generated | {repair}+{cheap}", line)
    plain, repaired = heard
    found = inverters.generated(generated)
    utterance = next(one for one in found.utterances if one.name == line)
    spectrogram = load_utterance(utterance, found).spectrogram
    np.testing.assert_array_equal(plain, load("inverter", cheap)(spectrogram)[0])
    assert plain.shape == repaired.shape and np.abs(plain - repaired).max() > 1e-3
