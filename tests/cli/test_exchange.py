"""Weights come in and go out on the command line."""

import json

import pytest
import torch

from tests.model.test_original_hifigan import V3, original_discriminators, original_weights
from tests.train.tiny import SPEC, repair_net
from vocoder.cli.main import run
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.discriminator.mpd import MultiPeriod
from vocoder.model.discriminator.msd import MultiScale
from vocoder.model.weights import FOLDER, find_weights
from vocoder.train.state import load_tensors

SHIPPED = "jpeg"


@pytest.fixture
def original(tmp_path):
    """A folder as the authors of HiFi-GAN hand it out."""
    (tmp_path / "config.json").write_text(json.dumps(V3))
    torch.save({"generator": original_weights(V3)}, tmp_path / "g_00000001")
    torch.save(original_discriminators()[0], tmp_path / "do_00000001")
    return tmp_path


def test_from_the_original_to_a_program(original, capsys):
    ours, program = original / "ours/v3.safetensors", original / "v3.pt2"
    words = ["import", f"input={original / 'g_00000001'}", f"output={ours}"]
    assert run(words) == 0
    assert "80 mel bands, 0-11025 Hz" in capsys.readouterr().out
    # The discriminators of the same number come along, as train.init= reads them.
    states = load_tensors(ours.with_name("discriminators.pt"))
    for network in (
        MultiPeriod(width=1 / 8, periods=[2, 3, 5, 7, 11]),
        MultiScale(width=1 / 8, scales=3),
    ):
        network.load_state_dict(states["mpd" if isinstance(network, MultiPeriod) else "msd"])
    assert run(["export", f"weights={ours}", f"output={program}"]) == 0
    assert '"first_sample": -128' in capsys.readouterr().out
    assert torch.export.load(program).module()(torch.ones(1, 80, 3)).shape == (1, 768)

    before = ours.read_bytes(), program.read_bytes()
    assert run(words) == run(["export", f"weights={ours}", f"output={program}"]) == 2
    assert (ours.read_bytes(), program.read_bytes()) == before
    assert run([*words, "overwrite=true"]) == 0
    said = capsys.readouterr().err
    assert "v3.safetensors exists" in said and "v3.pt2 exists" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["input=config.json", "output=a.safetensors"], "holds other things than weights"),
        (["input=g_00000001", "output=a.pt"], "has another suffix than .safetensors"),
        (["input=g_00000001", "output=a.safetensors", "config=b.json"], "cannot be read as JSON"),
        (["input=g_00000001", "output=a.safetensors", "discriminators=g_00000001"], "under mpd"),
    ],
)
def test_nothing_is_left_of_what_cannot_be_imported(original, monkeypatch, capsys, words, message):
    monkeypatch.chdir(original)
    there = sorted(original.iterdir())
    assert run(["import", *words]) == 2
    assert message in capsys.readouterr().err
    assert sorted(original.iterdir()) == there


@pytest.mark.parametrize("form", ["file", "folder", "name"])
def test_weights_to_export_are_a_file_a_folder_or_a_name(form, tmp_path, capsys):
    net = repair_net()
    folder = tmp_path / "run"
    checkpoint = Checkpoint(settings_of(net), SPEC, net.state_dict(), {})
    checkpoint.write(folder / "best.safetensors", overwrite=False)
    source = {"file": str(folder / "best.safetensors"), "folder": str(folder), "name": SHIPPED}[
        form
    ]
    assert run(["export", f"weights={source}", f"output={tmp_path / 'a.pt2'}"]) == 0
    assert '"model": "RepairNet"' in capsys.readouterr().out
    assert (find_weights(source).parent == FOLDER) == (form == "name")
    assert len(torch.export.load(tmp_path / "a.pt2").graph_signature.parameters) > 0


@pytest.mark.parametrize(
    ("weights", "message"),
    [("nowhere", "unknown weights 'nowhere'"), ("wavenet", "holds a WaveNet")],
)
def test_what_cannot_be_exported_is_told(weights, message, tmp_path, capsys):
    assert run(["export", f"weights={weights}", f"output={tmp_path / 'a.onnx'}"]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
