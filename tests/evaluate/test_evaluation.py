"""Pairing, inference and summaries of evaluations, without measuring anything."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import soundfile

from tests.refusals import refused
from vocoder.evaluate.drawing import rank
from vocoder.evaluate.inference import holm, mean_interval, paired_p
from vocoder.evaluate.metrics import METRICS
from vocoder.evaluate.pairing import find_systems, plan
from vocoder.evaluate.summary import notes, records, summarise, table, to_json
from vocoder.evaluate.work import Measured


def folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, np.full(100, 0.1), 16_000)
    return root


def measured(system: str, **values: list[float]) -> list[Measured]:
    """A file for each value, called ``u0``, ``u1``, …"""
    rows = zip(*values.values(), strict=True)
    return [
        Measured(f"u{k}", system, f"{system}/u{k}.wav", 1.0, dict(zip(values, row, strict=True)))
        for k, row in enumerate(rows)
    ]


def test_interval_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    found = mean_interval(list(values))
    half = 1.96 * values.std(ddof=1) / 20
    assert found.n == 400
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(found.mean - half, abs=0.02)
    assert found.high == pytest.approx(found.mean + half, abs=0.02)


def test_several_files_of_an_utterance_are_one_witness() -> None:
    values = list(np.random.default_rng(2).normal(size=20))
    once = mean_interval(values)
    names = [f"u{k}" for k in range(20)]
    many = mean_interval(values * 5, names * 5)
    assert many.n == 20
    assert many.low == pytest.approx(once.low, abs=0.02)
    assert many.high == pytest.approx(once.high, abs=0.02)
    naive = mean_interval(values * 5)
    assert naive.high - naive.low < 0.6 * (many.high - many.low)


def test_intervals_cover_the_truth() -> None:
    draw = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        speaker = draw.normal(size=40)  # an utterance's own, shared by its three files
        values = (speaker[:, None] + 0.5 * draw.normal(size=(40, 3))).ravel()
        found = mean_interval(list(values), [f"u{k}" for k in np.repeat(np.arange(40), 3)])
        covered += found.low <= 0 <= found.high
    assert 0.90 < covered / 300 < 0.98


def test_one_utterance_has_no_interval() -> None:
    found = mean_interval([0.5])
    assert math.isnan(found.low)
    assert found.text(2) == "0.50"


def test_permutation_test_is_exact_for_few() -> None:
    apart = [0.5, 1.0, -0.2, 2.0, 1.5, 0.7]
    means = [np.mean(np.multiply(apart, signs)) for signs in product((1, -1), repeat=6)]
    expected = np.mean(np.abs(means) >= abs(np.mean(apart)) - 1e-12)
    assert paired_p(apart) == pytest.approx(expected)
    assert paired_p([1.0] * 6) == pytest.approx(2 / 64)
    assert paired_p([0.0] * 6) == 1
    assert paired_p([1.0]) == 1


def test_permutation_test_agrees_with_t_and_keeps_its_level() -> None:
    draw = np.random.default_rng(4)
    apart = draw.normal(0.3, 1, 60)
    assert paired_p(list(apart)) == pytest.approx(
        scipy.stats.ttest_1samp(apart, 0).pvalue, abs=0.01
    )
    alarms = sum(paired_p(list(draw.normal(size=12))) < 0.05 for _ in range(100))
    assert alarms < 13  # 5 are expected


def test_systems_are_folders_or_a_sweeps_sub_folders(tmp_path: Path) -> None:
    folder(
        tmp_path, "sweep/inverter=a/x.wav", "sweep/inverter=b/x.wav", "one/x.wav", "two/one/x.wav"
    )
    (tmp_path / "sweep/no_sound").mkdir()
    assert list(find_systems(str(tmp_path / "sweep"))) == ["inverter=a", "inverter=b"]
    assert find_systems(str(tmp_path / "one")) == {"one": tmp_path / "one"}
    pair = [str(tmp_path / "one"), str(tmp_path / "two/one")]
    assert list(find_systems(pair)) == pair  # the same name twice
    # Hydra's grammar has no list of names with an equal sign: it comes as it was typed.
    names = [f"{tmp_path}/sweep/inverter={letter}" for letter in "ba"]
    assert list(find_systems(f"[{','.join(names)}]")) == ["inverter=b", "inverter=a"]


@pytest.mark.parametrize(
    ("systems", "key"),
    [
        ("gone", "systems.missing"),
        (["gone"], "systems.missing"),
        ("[a=1,b=2]", "systems.missing"),
        ([], "systems.empty"),
        ([".", "."], "systems.twice"),
    ],
)
def test_systems_that_are_none(systems: str | list[str], key: str) -> None:
    with refused(key):
        find_systems(systems)


def test_partners_are_found_by_name_and_missing_ones_listed(tmp_path: Path) -> None:
    true = folder(tmp_path / "true", "x.flac", "y.flac", "sub/z.flac", "unused.flac")
    systems = {
        "a": folder(tmp_path / "a", "x.wav", "y.wav", "sub__z.wav", "w.wav", "y.flac"),
        "b": folder(tmp_path / "b", "x.wav", "sub/z.wav"),
    }
    found = plan(systems, true, None)
    assert {job.utterance: (list(job.files), job.reference) for job in found.jobs} == {
        "x": (["a", "b"], true / "x.flac"),
        "y": (["a"], true / "y.flac"),
        "sub__z": (["a", "b"], true / "sub/z.flac"),
    }
    assert found.problems == {
        "a: y.wav": "has the same name as y.flac; not used",
        "b: w": "missing; another system has it",
        "b: y": "missing; another system has it",
        "reference: w": "missing; a cannot be compared",
    }
    (note,) = found.notes
    assert note.startswith("1 of the 4 utterances in reference=") and "unused" in note
    # Without references nothing needs one.
    assert [job.utterance for job in plan(systems, None, None).jobs] == ["sub__z", "w", "x", "y"]


def test_nothing_in_common_is_refused(tmp_path: Path) -> None:
    systems = {"a": folder(tmp_path / "a", "x.wav")}
    with refused("systems.names"):
        plan(systems, folder(tmp_path / "true", "y.wav"), None)


def test_means_and_comparisons_take_what_both_have() -> None:
    base = measured("base", estoi=[0.5, 0.6, 0.7, 0.8, 0.9, 0.4, 0.3])
    good = measured("good", estoi=[0.6, 0.7, 0.8, 0.9, 1.0, 0.5, 0.4])
    del good[-1]
    found = summarise([*base, *good], ["base", "good"], "base", seed=0)
    assert found.means["base"]["estoi"].n == 7
    compared = found.comparisons["good"]["estoi"]
    assert compared.difference.mean == pytest.approx(0.1)
    assert compared.difference.n == 6
    assert compared.p == pytest.approx(2 / 64)
    assert "base" not in found.comparisons


def test_holm_keeps_the_order_and_never_exceeds_one() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_holm_corrects_over_systems_within_a_measure() -> None:
    draw = np.random.default_rng(0)
    level = list(draw.normal(size=6))
    files = measured("base", estoi=level, visqol=level)
    files += measured("a", estoi=[x + 1 for x in level], visqol=level)
    files += measured("b", estoi=[x + 2 for x in level], visqol=[x - 1 for x in level])
    found = summarise(files, ["base", "a", "b"], "base", seed=0).comparisons
    # 2/64 twice, of which the smaller counts double; and 1 and 2/64 in the other measure.
    assert [found[s]["estoi"].p_holm for s in "ab"] == [pytest.approx(4 / 64)] * 2
    assert [found[s]["visqol"].p_holm for s in "ab"] == [1, pytest.approx(4 / 64)]


def test_of_signed_measures_the_distance_from_zero_is_compared() -> None:
    files = measured("base", loudness_difference_lu=[-6.0, -5.0, -4.0])
    files += measured("near", loudness_difference_lu=[1.0, 1.0, 1.0])
    found = summarise(files, ["base", "near"], "base", seed=0)
    assert found.means["near"]["loudness_difference_lu"].mean == 1
    assert found.comparisons["near"]["loudness_difference_lu"].difference.mean == -4
    assert "| absolute loudness LU ↓ |" in table(found)


def test_table_json_and_csv_say_the_same() -> None:
    files = measured("base", estoi=[0.5, 0.6], visqol=[3.0, 4.0])
    files += measured("a|b", estoi=[0.7, 0.7], visqol=[3.5, 3.5])
    del files[1].values["visqol"]
    files[1].problems["visqol"] = "too short"
    files[0].length_difference_s, files[0].delay_s, files[0].inverted = -0.75, 0.001, True
    found = summarise(files, ["base", "a|b"], "base", seed=0)
    text = table(found)
    assert "| system | files | ESTOI ↑ | ViSQOL ↑ |" in text
    assert "| `base` | 2 | 0.550 (0.500 to 0.600) | 3.00 |" in text
    assert r"| `a\|b` | 0.1500 (0.1000 to 0.2000), p 0.5 | 0.500, p 1 |" in text
    report = to_json(found)
    assert report["systems"]["base"]["visqol"] == {"mean": 3.0, "low": None, "high": None, "n": 1}
    assert report["comparisons"]["a|b"]["estoi"]["mean"] == pytest.approx(0.15)
    first, second, *_ = records(files, found.metrics)
    assert (first["system"], first["utterance"], first["visqol"]) == ("base", "u0", 3.0)
    assert (first["delay_ms"], first["polarity_inverted"]) == (1.0, "true")
    assert (second["visqol"], second["problem"]) == (None, "visqol: too short")
    told = notes(files)
    assert "base/u0 (-0.75 s)" in told[0] and "base/u0" in told[1]


def test_late_files_and_constant_offsets_are_named() -> None:
    files = measured("a", estoi=[0.5, 0.6, 0.7])
    files[0].delay_s, files[1].delay_s = 0.3, 0.049
    files[1].offset, files[2].reference_offset = 0.005, -0.01
    delays, offsets, of_reference = notes(files)
    assert "1 of 3" in delays and "a/u0 (+300 ms)" in delays
    assert "a/u1 (+0.50 %)" in offsets
    assert "u2 (-1.00 %)" in of_reference
    assert notes(measured("a", estoi=[0.5])) == []


def test_files_are_ranked_by_the_first_metric_there_is() -> None:
    metrics = [METRICS[name] for name in ("estoi", "mel_distance_db", "loudness_difference_lu")]
    files = measured("a", estoi=[0.1, 0.9, 0.5], mel_distance_db=[1, 2, 3])
    metric, ranked = rank(files, metrics)
    assert metric.column == "estoi"
    assert [file.values["estoi"] for file in ranked] == [0.9, 0.5, 0.1]
    assert [one.utterance for one in rank(files, metrics[1:])[1]] == ["u0", "u1", "u2"]
    signed = measured("a", loudness_difference_lu=[-3, 1, 2])
    assert [one.utterance for one in rank(signed, metrics)[1]] == ["u1", "u2", "u0"]
