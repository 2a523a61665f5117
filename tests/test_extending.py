"""One Python file and one file in conf/ add an inverter or a repair; the contracts find it."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.processes import python

ROOT = Path(__file__).parents[1]
INVERTER = '''
"""Integrated phases alone, without an iteration."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vocoder.inverter.base import Inverter
from vocoder.inverter.magnitude import mel_to_linear
from vocoder.inverter.phase import initial_phase
from vocoder.spectrogram import Spectrogram, istft


@dataclass(frozen=True, kw_only=True)
class Quick(Inverter):
    """Integrates phases, and leaves it at that.

    Parameters
    ----------
    seed : int
        Of the phases where it is too quiet to integrate any.
    """

    seed: int

    def stream(self, spectrogram: Spectrogram) -> Iterator[Tensor]:
        spec = spectrogram.spec
        magnitude = mel_to_linear(spectrogram.linear, spec)
        generator = torch.Generator().manual_seed(self.seed)
        transform = initial_phase(magnitude, spec, "phase_gradient", generator, None)
        yield istft(transform, spec, spectrogram.length)
'''
REPAIR = '''
"""A moving mean over time."""

from dataclasses import dataclass, replace

from torch.nn.functional import avg_pool1d

from vocoder.repair.base import Repair
from vocoder.spectrogram import Spectrogram


@dataclass(frozen=True, kw_only=True)
class Smooth(Repair):
    """Takes the mean of a few frames.

    Parameters
    ----------
    n_frames : int
        An odd number of them.
    """

    n_frames: int

    def __call__(self, spectrogram: Spectrogram) -> Spectrogram:
        smooth = avg_pool1d(
            spectrogram.decibels, self.n_frames, 1, self.n_frames // 2, count_include_pad=False
        )
        return replace(spectrogram, decibels=smooth, estimated=1.0)
'''


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the package with two files more for each."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("vocoder", "conf", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "vocoder/inverter/quick.py").write_text(INVERTER)
    (folder / "conf/inverter/quick.yaml").write_text(
        "# Integrated phases\n"
        "_target_: vocoder.inverter.quick.Quick\n"
        "seed: 0  # of the quiet bins\n"
    )
    (folder / "vocoder/repair/smooth.py").write_text(REPAIR)
    (folder / "conf/repair/smooth.yaml").write_text(
        "# A mean of frames\n_target_: vocoder.repair.smooth.Smooth\nn_frames: 3  # odd\n"
    )
    return folder


def run(folder, *words):
    """A module of that copy: the program, or pytest."""
    environment = {"PYTHONPATH": str(folder), "PATH": str(Path(sys.executable).parent)}
    done = python("-m", *words, cwd=folder, env=environment)
    return done.returncode, done.stdout + done.stderr


def test_the_contracts_find_them(checkout):
    code, said = run(
        checkout, "pytest", "-q", "-p", "no:cacheprovider", "-n", "0",
        "tests/inverter/test_contract.py", "tests/repair/test_repair.py",
        "-k", "quick or smooth",
    )  # fmt: skip
    assert code == 0, said
    assert " passed" in said and int(said.split(" passed")[0].split()[-1]) >= 8, said


def test_the_command_line_knows_them(checkout, generated):
    invert = ("vocoder.cli.main", "invert", "inverter=quick")
    words = (*invert, f"input={generated}", "output=out")
    code, said = run(checkout, *words, "repair=smooth")
    assert code == 0, said
    assert len(list((checkout / "out").glob("*.wav"))) == 3
    code, said = run(checkout, *words, "inverter.sede=2", "overwrite=true")
    assert code == 2 and "inverter.seed" in said
    code, said = run(checkout, *invert, "--help")
    assert code == 0 and "quick" in said and "smooth" in said and "of the quiet bins" in said
