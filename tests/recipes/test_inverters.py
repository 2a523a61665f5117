"""The table of all inverters: what is compared, and means in their places."""

from recipes import inverters

RESULTS = {
    "clean | admm": {
        "a": {"estoi": 0.9, "pesq_wb": 4.0, "visqol": 4.5},
        "b": {"estoi": 0.8, "pesq_wb": 3.0},
    },
    "clean | istft": {"a": {"estoi": 0.7}},
    "80 mels | admm": {"a": {"estoi": 0.6, "pesq_wb": 2.0, "visqol": 3.0}},
}


def test_the_overview_has_every_inverter_and_condition():
    text = inverters.overview(RESULTS, ["clean", "80 mels"], ["admm", "istft"])
    assert text.splitlines() == [
        "| ESTOI / PESQ-WB / ViSQOL | clean | 80 mels |",
        "| --- | --- | --- |",
        "| `admm` | 0.850 / 3.50 / 4.50 | 0.600 / 2.00 / 3.00 |",
        "| `istft` | 0.700 / - / - |  |",
    ]


def test_networks_are_measured_where_weights_come_with_the_package():
    names = ["admm", "istft", "wavenet:temperature=0.5", "hybrid"]
    assert inverters.fitting("80 mels", names) == ["admm", "hybrid"]
    assert inverters.fitting("clean", names) == names
    tables = list(inverters.tables(RESULTS, ["clean", "80 mels"], ["admm", "istft"]))
    assert "`istft`" in tables[0] and "`istft`" not in tables[1]
