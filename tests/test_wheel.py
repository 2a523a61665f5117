"""The built wheel works where the repository is not."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.processes import program, python

ROOT = Path(__file__).parents[1]


def elsewhere(folder: Path) -> dict[str, Any]:
    """For Python in another folder, with the unpacked wheel before anything else."""
    environment = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PATH": ""}
    return {"cwd": folder.parent, "env": environment}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT).check_returncode()
    (wheel,) = folder.glob("vocoder-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_all_of_the_configuration_is_inside(unpacked):
    package = unpacked / "vocoder"
    inside = {path.relative_to(package) for path in (package / "conf").rglob("*.yaml")}
    assert inside == {path.relative_to(ROOT) for path in (ROOT / "conf").rglob("*.yaml")}
    assert (package / "compare/page/de.yaml").is_file()
    modules = {path.relative_to(unpacked) for path in unpacked.rglob("*.py")}
    assert modules == {path.relative_to(ROOT) for path in (ROOT / "vocoder").rglob("*.py")}


def test_weights_are_inside_with_their_cards_and_small(unpacked):
    (wheel,) = unpacked.parent.glob("vocoder-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {
            Path(one.filename).name: one.compress_size
            for one in archive.infolist()
            if one.filename.startswith("vocoder/model/shipped/")
        }
    names = {Path(name).stem for name in sizes if name.endswith(".safetensors")}
    assert names >= {"generated", "jpeg", "mels", "pitch", "wavenet"}
    of_each = {f"{name}{end}" for name in names for end in (".safetensors", ".md")}
    assert set(sizes) == {*of_each, "LICENSE"}
    assert sum(sizes.values()) < 15_000_000


def test_license_and_program_are_named(unpacked):
    (info,) = unpacked.glob("vocoder-*.dist-info")
    metadata = (info / "METADATA").read_text(encoding="utf-8")
    assert "License-Expression: Apache-2.0 AND GPL-2.0-only" in metadata
    weights = info / "licenses/vocoder/model/shipped/LICENSE"
    assert "GNU GENERAL PUBLIC LICENSE" in weights.read_text(encoding="utf-8")
    assert (info / "licenses/LICENSE").is_file()
    assert "vocoder = vocoder.cli.main:main" in (info / "entry_points.txt").read_text()


def test_the_help_is_printed_from_the_wheels_own_configuration(unpacked):
    code = "import vocoder.config as c; print(c.conf_dir())"
    assert python("-c", code, **elsewhere(unpacked)).stdout == f"{unpacked / 'vocoder/conf'}\n"
    here, there = program(cwd=ROOT), program(**elsewhere(unpacked))
    assert (there.returncode, there.stderr) == (0, "")
    assert there.stdout == here.stdout and "vocoder invert" in there.stdout


def test_pictures_become_sound_and_hydra_finds_its_files(unpacked, generated, tmp_path):
    picture = tmp_path / "picture.png"
    tiles = generated / "results/tel/test_latest/images"
    shutil.copy(tiles / "nl_v__jes-v-kamen__00_fake_B.png", picture)
    words = ["invert", f"input={picture}", f"output={tmp_path / 'out'}", "spec=mel256"]
    words += ["codec=gray8", "inverter=admm", "inverter.n_iter=1", "inverter.init=zero"]
    done = program(*words, **elsewhere(unpacked))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/picture.wav").stat().st_size > 100_000
