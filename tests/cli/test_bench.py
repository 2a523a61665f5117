"""``vocoder bench``: the figures follow from the times, and compare like with like."""

import json
from collections import Counter
from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from tests.cli.encoding import defaults
from tests.refusals import refused
from vocoder.bench.inversion import griffin_lim, inverters, mel_to_stft
from vocoder.bench.machine import memory_mb
from vocoder.bench.race import Contestant, race
from vocoder.bench.result import Settings
from vocoder.bench.road import road, run_command
from vocoder.bench.waveform import synthetic_speech, waveform
from vocoder.bench.worker import measure
from vocoder.cli.bench import run

TINY = Settings(
    input=None,
    seconds=0.5,
    seed=0,
    repetitions=2,
    inverters=["admm"],
    generated=None,
    tiles=3,
    minutes=0.02,
)


def bench(output, **changes):
    tiny = {"output": str(output), "seconds": 0.5, "repetitions": 2, "minutes": 0.02}
    return run(**(defaults("bench") | tiny | changes))


def test_report_and_table_follow_from_the_times(tmp_path, capsys):
    assert bench(tmp_path, cases=["griffin_lim", "memory"]) == 0
    report = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert [(case["case"], case["threads"]) for case in report["cases"]] == [
        ("griffin_lim", 1),
        ("griffin_lim", 2),
        ("memory", 1),
    ]
    table = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert table in capsys.readouterr().out
    for text in (report["machine"]["cpu"], f"torch {report['machine']['versions']['torch']}"):
        assert text in table
    for case in report["cases"][:2]:
        ours, *others = case["rows"]
        assert ours["ratio"] is None
        assert len(others) == case["threads"]
        for row in case["rows"]:
            assert len(row["times_s"]) == 2
            assert row["median_s"] == median(row["times_s"])
            assert row["times_real_time"] == pytest.approx(0.5 / row["median_s"])
        for row in others:
            assert row["ratio"] == pytest.approx(row["median_s"] / ours["median_s"])
            assert f"{row['ratio']:.1f}x" in table
    rows = {row["name"]: row for row in report["cases"][2]["rows"]}
    assert list(rows) == [f"invert of {x}" for x in ("an array", "PNG tiles", "JPEG tiles")]
    for row in rows.values():
        assert row["times_real_time"] == pytest.approx(1.2 / row["median_s"], rel=0.02)
        measures = row["measures"]
        assert measures["spectrogram itself in MB"] == pytest.approx(256 * 104 * 4 / 1e6)
        assert 0.1 < measures["peak above imports in MB"] < 300

    with refused("output.exists"):
        bench(tmp_path, cases=["memory"])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"cases": ["grifin_lim"]}, "cases.unknown"),
        ({"cases": "grifin_lim"}, "cases.unknown"),
        ({"cases": []}, "cases.range"),
        ({"repetitions": 0}, "repetitions.range"),
        ({"seconds": 1e308}, "seconds.range"),
        ({"minutes": 1e9}, "minutes.range"),
        ({"inverters": ["adm:n_iter=1"]}, "inverter.unknown"),
        ({"inverters": "adm"}, "inverter.unknown"),
        ({"input": "nowhere.wav", "cases": ["memory"]}, "case.failed"),
    ],
)
def test_bad_values_are_refused(tmp_path, changes, key):
    with refused(key):
        bench(tmp_path, **changes)
    assert not any(tmp_path.iterdir())


def test_a_case_that_breaks_says_why(capfd):
    with pytest.raises(RuntimeError, match="nonsense"):
        measure("nonsense", 1, TINY)
    assert "KeyError: 'nonsense'" in capfd.readouterr().err


def test_a_command_that_is_refused_says_why(tmp_path):
    with refused("input.missing"):
        run_command(["invert", f"input={tmp_path / 'nowhere'}", f"output={tmp_path}"])


def test_a_race_takes_turns_and_forgets_the_first_round():
    calls: list[tuple[str, int]] = []

    def work(name):
        def noted(repetition):
            calls.append((name, repetition))
            return repetition

        return noted

    contestants = [
        Contestant(name="a", work=work("a"), measure=lambda made: {"made": made}, audio_s=2.0),
        Contestant(name="b", work=work("b")),
    ]
    first, second = race(contestants, 3)
    assert calls == [(name, repetition) for repetition in range(4) for name in "ab"]
    assert len(first.times_s) == len(second.times_s) == 3
    assert first.measures == {"made": 2}  # the median of 1, 2, 3
    assert second.measures == {}


def test_griffin_lim_is_compared_at_the_same_result():
    """From the same random phases both implementations reach the same error."""
    case = griffin_lim(replace(TINY, repetitions=1, seconds=2.0), 1)
    errors = [row.measures["spectral convergence"] for row in case.rows]
    assert errors[0] == pytest.approx(errors[1], rel=0.01)
    assert 0.01 < errors[0] < 0.3


def test_mel_to_linear_leaves_less_unexplained_than_librosa():
    ours, librosas = mel_to_stft(replace(TINY, repetitions=1), 1).rows
    assert ours.measures["residual"] <= librosas.measures["residual"] < 0.01
    assert librosas.median_s > ours.median_s


def test_inverters_are_those_asked_for():
    phases, admm = inverters(replace(TINY, repetitions=1), 1).rows
    assert (phases.name, admm.name) == ("initial phases", "admm")
    assert admm.measures["spectral convergence"] < 0.2
    assert phases.median_s < admm.median_s


def test_memory_held_is_seen():
    before, _ = memory_mb()
    held = np.ones(50_000_000, np.uint8)
    now, most = memory_mb()
    assert now - before > 40
    assert most >= now
    del held


@pytest.mark.parametrize(
    ("real", "n_tiles", "seconds"),
    [
        (False, 2, 1.0),  # one tile an utterance of half a second
        (True, 5, 10.34),  # utterances of 3 and 2 tiles
    ],
)
def test_the_road_from_tiles_to_sound(real, n_tiles, seconds, generated):
    source = str(generated / "results") if real else None
    settings = replace(TINY, repetitions=1, generated=source, tiles=n_tiles)
    case = road(settings, 1)
    whole, reading, new, warm = case.rows
    assert case.about.startswith(f"{n_tiles} tiles ({source or 'made by encode'}")
    assert whole.audio_s == pytest.approx(seconds, abs=0.01)
    assert reading.measures["share"] == reading.median_s / whole.median_s
    assert 0 < reading.measures["share"] < 1
    start_up = new.median_s - warm.median_s
    assert new.measures["start-up in seconds"] == pytest.approx(start_up)
    assert start_up > 0


def test_the_road_needs_a_data_set(tmp_path, generated):
    tile = next(generated.rglob("*_fake_B.png"))
    (tmp_path / "bare.png").write_bytes(tile.read_bytes())
    with refused("generated.manifest"):
        road(replace(TINY, generated=str(tmp_path)), 1)


def test_made_up_speech_is_loud_and_quiet_and_repeatable():
    samples = synthetic_speech(3.0, 22_050, seed=1)
    assert samples.dtype == np.float32
    assert samples.shape == (66_150,)
    assert np.abs(samples).max() == pytest.approx(0.5)
    levels = np.sqrt(np.mean(samples[:66_000].reshape(-1, 220) ** 2, axis=1))
    assert np.quantile(levels, 0.05) < 0.01 < np.quantile(levels, 0.5)
    np.testing.assert_array_equal(samples, synthetic_speech(3.0, 22_050, seed=1))
    assert not np.array_equal(samples, synthetic_speech(3.0, 22_050, seed=2))


def test_a_recording_is_repeated_up_to_the_length(generated):
    path = next((generated / "reference").glob("*jes-v-kamen.flac"))
    short, long = (waveform(str(path), seconds, 22_050, 0) for seconds in (1.0, 6.0))
    np.testing.assert_array_equal(long[:22_050], short)
    assert Counter(map(len, (short, long))) == {22_050: 1, 132_300: 1}
    np.testing.assert_array_equal(long[81_555 : 81_555 + 22_050], short)
