"""``vocoder doctor``: its report, its exit code and its keys."""

import json
from inspect import signature
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from vocoder.cli.doctor import run
from vocoder.errors import BadInput

CONF = Path(__file__).parents[3] / "conf"


class TestCommand:
    def test_report_and_exit_code(self, painted, tmp_path, capsys):
        report = tmp_path / "report.json"
        assert run(input=str(painted), output=str(report)) == 2
        printed = capsys.readouterr().out
        assert "channels" in printed
        assert "1 to change" in printed
        (finding,) = json.loads(report.read_text())["findings"]
        assert finding["code"] == "channels"
        with pytest.raises(BadInput, match="exists"):
            run(input=str(painted), output=str(report))
        assert run(input=str(painted), label="real_B", output=str(report), overwrite=True) == 0
        assert "nothing to change" in capsys.readouterr().out
        assert json.loads(report.read_text())["findings"] == []

    @pytest.mark.parametrize("folder", [".", "/", "..", "below"])
    def test_a_folder_is_no_report(self, painted, tmp_path, monkeypatch, folder):
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(BadInput, match=f"cannot write {folder}: .*(folder|directory|busy)"):
            run(input=str(painted), output=folder, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["below"]

    def test_nothing_there(self, tmp_path):
        with pytest.raises(BadInput, match="does not exist"):
            run(input=str(tmp_path / "nothing"))

    def test_the_config_names_the_same_keys(self):
        with initialize_config_dir(str(CONF), version_base=None):
            plain = compose("doctor", overrides=["input=x"])
            chosen = compose("doctor", overrides=["input=x", "spec=mel256", "spec.n_mels=80"])
        assert set(plain) == set(signature(run).parameters)
        assert plain.spec is None
        assert plain.codec is None
        assert (chosen.spec.kind, chosen.spec.n_mels) == ("mel", 80)
