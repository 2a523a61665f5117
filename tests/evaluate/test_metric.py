"""A metric is a function with a decorator; the table, help, extras and ranking follow."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.refusals import refused
from vocoder.cli import main
from vocoder.errors import BadInput
from vocoder.evaluate.metrics import METRICS, Metric, choose_metrics, metric
from vocoder.evaluate.metrics.metric import ALONE, IMAGE, LOWER, REFERENCE
from vocoder.evaluate.pairing import Job
from vocoder.evaluate.work import measure_job
from vocoder.image.source import ImageSource

RATE = 16_000


@pytest.fixture
def own() -> Iterator[Metric]:
    """A metric from outside the package, for one test."""

    @metric("peak", title="peak error", unit="dB", better=LOWER, digits=1)
    def peak_error_db(reference: np.ndarray, degraded: np.ndarray, sample_rate: int) -> float:
        """How far the peak level is from the reference's."""
        return float(abs(20 * np.log10(np.abs(degraded).max() / np.abs(reference).max())))

    yield METRICS["peak_error_db"]
    del METRICS["peak_error_db"]


def test_a_metric_from_outside_is_in_help_and_table(
    own: Metric, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main.run(["evaluate", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "peak " in shown and own.summary in shown
    draw = np.random.default_rng(0)
    for name, gain in (("a", 0.5), ("b", 0.25), ("c", 0.9)):
        samples = 0.5 * draw.uniform(-1, 1, RATE)
        for folder, level in (("true", 1), ("system", gain)):
            (tmp_path / folder).mkdir(exist_ok=True)
            soundfile.write(tmp_path / folder / f"{name}.wav", level * samples, RATE, "FLOAT")
    words = [f"reference={tmp_path}/true", f"systems=[{tmp_path}/system]"]
    words += [f"output={tmp_path}/out", "measures=peak", "workers=1"]
    assert main.run(["evaluate", *words]) == 0
    table = capsys.readouterr().out
    assert "| system | files | peak error dB ↓ |" in table
    assert "| `system` | 3 | 6.3 (" in table  # of 6.0, 12.0 and 0.9 dB


def test_what_is_taken_follows_from_what_is_given() -> None:
    def columns(*given: str, names: list[str] | None = None) -> list[str]:
        return [one.column for one in choose_metrics(names, given)[0]]

    assert columns() == ["dnsmos"]
    assert columns(IMAGE) == ["dnsmos", "image_distance_db"]
    assert columns(IMAGE, names=[]) == ["image_distance_db"]
    assert columns(REFERENCE, names=["dnsmos", "estoi"]) == ["estoi", "dnsmos_difference"]
    default = columns(REFERENCE)
    assert {"estoi", "visqol", "f0_rmse_cents", "voicing_error", "mel_distance_db"} <= set(default)
    assert not {"dnsmos", "dnsmos_difference", "level_difference_db"} & set(default)


@pytest.mark.parametrize(
    ("names", "given", "key"),
    [
        (["visqool"], [REFERENCE], "measures.unknown"),
        (["estoi"], [IMAGE], "measures.reference"),
        (["estoi"], [], "measures.reference"),
    ],
)
def test_what_cannot_be_taken_is_refused_before_any_work(
    names: list[str], given: list[str], key: str
) -> None:
    with refused(key):
        choose_metrics(names, given)


def test_a_missing_package_leaves_out_its_metrics_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = ("visqol", "pesq")
    found = metric.__globals__["find_spec"]
    monkeypatch.setitem(
        metric.__globals__, "find_spec", lambda name: None if name in lacking else found(name)
    )
    for names in (None, ["estoi", "visqol", "pesq", "f0"]):
        metrics, (note,) = choose_metrics(names)
        left = [one.name for one in metrics]
        assert "estoi" in left and "f0" in left and not {"visqol", "pesq"} & set(left)
        assert "ViSQOL (pip install 'vocoder[evaluate]')" in note
        assert "PESQ-WB (pip install 'vocoder[pesq]')" in note
    with refused("measures.extra"):
        choose_metrics(["visqol"])
    assert choose_metrics(["estoi"])[1] == []


@pytest.mark.parametrize("needs", [REFERENCE, IMAGE, ALONE])
def test_a_metric_that_fails_stops_no_other(
    needs: str, generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whatever it is taken; its package may be there and broken."""

    def broken(*_: object) -> float:
        raise BadInput("its library cannot be loaded", key="metric.extra")

    def fine(*_: object) -> float:
        return 1.0

    metrics = [
        replace(METRICS["estoi"], name=name, function=function, needs=needs)
        for name, function in (("broken", broken), ("fine", fine))
    ]
    found = ImageSource(input=generated, label="real_B").find()
    path = generated / f"reference/{found.utterances[0].name}.flac"
    reference = path if needs == REFERENCE else None
    job = Job("u", {"system": path}, reference, (found.utterances[0], found))
    (result,) = measure_job(job, metrics)
    assert result.values == {"fine": 1.0}
    assert result.problems == {"broken": "its library cannot be loaded"}
