"""A model is exported from wherever its weights lie."""

import pytest
import torch

from recipes import export_model
from tests.train.tiny import SPEC, repair_net
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.weights import FOLDER, find_weights

SHIPPED = "jpeg"


@pytest.mark.parametrize("form", ["file", "folder", "name"])
def test_weights_are_a_file_a_folder_or_a_name(form, tmp_path, capsys):
    net = repair_net()
    run = tmp_path / "run"
    checkpoint = Checkpoint(settings_of(net), SPEC, net.state_dict(), {})
    checkpoint.write(run / "best.safetensors", overwrite=False)
    source = {"file": str(run / "best.safetensors"), "folder": str(run), "name": SHIPPED}[form]
    assert export_model.main([source, str(tmp_path / "a.pt2")]) == 0
    assert '"model": "RepairNet"' in capsys.readouterr().out
    assert (find_weights(source).parent == FOLDER) == (form == "name")
    assert len(torch.export.load(tmp_path / "a.pt2").graph_signature.parameters) > 0


def test_weights_that_are_nowhere_are_told(tmp_path, capsys):
    assert export_model.main(["nowhere", str(tmp_path / "a.pt2")]) == 2
    assert "nowhere is unknown" in capsys.readouterr().err
