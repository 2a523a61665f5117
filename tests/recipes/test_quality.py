"""The measuring recipes, with an inverter that needs no time."""

import argparse
import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from recipes import colours, quality, results, systems
from tests.refusals import refused
from vocoder import load
from vocoder.image.codec.palette import Colormap
from vocoder.inverter.admm import Admm
from vocoder.repair.base import NoRepair
from vocoder.repair.neural import NetworkRepair

ZERO_PHASE = "none+griffin_lim:n_iter=0,init=zero"  # sounds like it, too
GRAY8 = f"linear512/gray8/lossless/{ZERO_PHASE}"


@pytest.fixture
def corpus(tmp_path: Path, speech: np.ndarray) -> Path:
    folder = tmp_path / "corpus"
    with_split = {"cs_m/a": "test", "cs_m/b": "train", "nl_v/c": "test"}
    for line in with_split:
        path = folder / f"{line}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech, 22_050)
    with (folder / "lines.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "split"])
        writer.writerows(with_split.items())
    return folder


def test_a_lossless_picture_is_wrong_by_a_rounding_and_noise_adds_to_it(tmp_path: Path) -> None:
    # Broadband, so that hardly a pixel is at the floor, where there is no error.
    sound = 0.1 * np.random.default_rng(0).standard_normal(30_000).astype(np.float32)
    lossless = systems.render(GRAY8, sound, 22_050, tmp_path)
    assert lossless.samples.shape == sound.shape
    # A uniform error of one step has a deviation of its width over the root of 12.
    step_db = 100 / 255
    assert lossless.picture_rms_db == pytest.approx(step_db / np.sqrt(12), rel=0.05)
    # Three noisy channels averaged, each rounded again.
    noisy = systems.render(GRAY8.replace("lossless", "noise2"), sound, 22_050, tmp_path)
    expected = step_db * np.sqrt(1 / 12 + (2**2 + 1 / 12) / 3)
    assert noisy.picture_rms_db == pytest.approx(expected, rel=0.05)
    jpeg75, jpeg95 = (
        systems.render(GRAY8.replace("lossless", name), sound, 22_050, tmp_path)
        for name in ("jpg75", "jpg95")
    )
    assert jpeg75.picture_bytes < jpeg95.picture_bytes < lossless.picture_bytes
    assert (jpeg75.picture_rms_db or 0) > (jpeg95.picture_rms_db or 0) > 0.3


def test_overrides_reach_the_objects(tmp_path: Path, speech: np.ndarray) -> None:
    plain = systems.render(GRAY8, speech, 22_050, tmp_path)
    fine = systems.render(GRAY8.replace("gray8", "gray8:db_min=-50.0"), speech, 22_050, tmp_path)
    assert (fine.picture_rms_db or 0) < (plain.picture_rms_db or 0)
    spec, codec, degradation, (repair, inverter) = systems.parts(
        "tacotron2:fmax=7600/colormap:cmap=magma,db_min=-70/noise6/"
        "generated:postfilter=0.1+admm:init=random,rho=0.5"
    )
    assert isinstance(codec, Colormap)
    assert (spec.fmax, codec.cmap, codec.db_min, degradation.noise) == (7600, "magma", -70, 6)
    assert isinstance(repair, NetworkRepair) and repair.postfilter == 0.1
    assert isinstance(inverter, Admm)
    assert (inverter.init, inverter.rho, inverter.n_iter) == ("random", 0.5, 32)


def test_an_inversion_without_a_repair_has_the_command_lines_default() -> None:
    repair, inverter = systems.inversion("admm:rho=2.0e+0")
    assert repair == systems.inversion("auto+griffin_lim")[0] == load("repair", "auto")
    assert isinstance(inverter, Admm) and inverter.rho == 2
    assert isinstance(systems.inversion("none+admm")[0], NoRepair)


def test_the_seeds_roads_are_librosas(tmp_path: Path, speech: np.ndarray) -> None:
    tiff = systems.render("seed_tiff", speech, 22_050, tmp_path)
    jpeg = systems.render("seed_jpeg", speech, 22_050, tmp_path)
    assert tiff.samples.std() == pytest.approx(speech.std(), rel=0.05)
    # Zero dB is the median, not full scale: the level is gone.
    assert jpeg.samples.std() > 10 * speech.std()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gray8", "system.format"),
        (GRAY8.replace("lossless", "fax"), "degradation.unknown"),
        (GRAY8.replace("gray8", "grey"), "codec.unknown"),
        (GRAY8.replace("none", "nothing"), "repair.unknown"),
        (f"{GRAY8},volume=2", "inverter.volume.unknown"),
        (f"{GRAY8},seed=-1", "inverter.seed.range"),
        (GRAY8.replace("gray8/lossless", "rgb24/jpg75"), "image.suffix"),
        (GRAY8.replace("gray8/lossless", "float32/noise2"), "degradation.conflict"),
    ],
)
def test_roads_that_cannot_be_are_refused(
    tmp_path: Path, speech: np.ndarray, name: str, key: str
) -> None:
    with refused(key):
        systems.render(name, speech, 22_050, tmp_path)


def test_another_sample_rate_is_refused(tmp_path: Path, speech: np.ndarray) -> None:
    with refused("sample_rate.conflict"):
        systems.render(GRAY8, speech, 16_000, tmp_path)


def test_what_is_measured_is_not_measured_again(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    seen = []

    def one_process(work: Any, lines: list[str], processes: int, title: str) -> Any:
        for line in lines:
            seen.append((title, line))
            yield line, work(line)

    monkeypatch.setattr(results, "in_processes", one_process)
    coarse = GRAY8.replace("gray8", "gray8:db_max=100.0")
    output = tmp_path / "out"
    arguments = [str(corpus), str(output), GRAY8]
    assert quality.main(arguments) == 0
    first = results.read_results(output / "results.json")[GRAY8]
    assert quality.main([*arguments, coarse, "--baseline", GRAY8]) == 0
    assert seen == [(name, line) for name in (GRAY8, coarse) for line in ("cs_m/a", "nl_v/c")]
    printed = capsys.readouterr().out
    assert (output / "table.md").read_text() in printed
    assert "ESTOI - baseline" in printed and "2 lines" in printed
    rows = results.read_results(output / "results.json")
    assert rows[GRAY8] == first
    for line in ("cs_m/a", "nl_v/c"):  # steps twice as wide
        ratio = rows[coarse][line]["picture_rms_db"] / rows[GRAY8][line]["picture_rms_db"]
        assert ratio == pytest.approx(2, rel=0.15)
        assert "pesq_wb" not in rows[coarse][line]


def test_lines_of_a_split_are_spread_evenly(corpus: Path) -> None:
    assert results.chosen_lines(corpus, "test", None) == ["cs_m/a", "nl_v/c"]
    assert results.chosen_lines(corpus, "test", 1) == ["cs_m/a"]
    assert results.chosen_lines(corpus, "train", 5) == ["cs_m/b"]
    with refused("lines.missing"):
        results.chosen_lines(corpus / "cs_m", "test", None)


def test_a_process_of_its_own_measures_the_same(corpus: Path) -> None:
    work = partial(quality.measure_line, corpus, quality.MEASURES, "seed_tiff")
    ((done, found),) = results.in_processes(work, ["cs_m/a"], 1, "seed_tiff")
    here = work("cs_m/a")
    assert done == "cs_m/a"
    assert found["estoi"] == pytest.approx(here["estoi"], abs=1e-3)


def test_colours_shows_every_codec_and_says_what_is_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cheap(names: list[str], given: argparse.Namespace, *, pesq: bool) -> results.Results:
        return {name: {"cs_m/a": {"picture_rms_db": 0.5, "estoi": 0.9}} for name in names}

    monkeypatch.setattr(colours, "measure_systems", cheap)
    monkeypatch.setattr(colours, "SPEC", "linear512")
    monkeypatch.setattr(colours, "CODECS", ("gray8", "rgb24", "float32"))
    output = tmp_path / "out"
    assert colours.main([str(corpus), str(output), "--inversion", ZERO_PHASE]) == 0
    table = (output / "table.md").read_text()
    assert "| `gray8` | 0.39 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 |" in table
    assert "| `rgb24` | 6e-06 | 0.500 | refused | refused | 0.500 | 0.500 |" in table
    assert "| `float32` | 7.6e-06 | 0.900 | refused | refused | refused | refused |" in table
    assert (output / "tiles.png").is_file()
