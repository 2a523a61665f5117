"""``vocoder doctor``: its report, its exit code and its keys."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from tests.image.doctor.looking import codes, examine, run
from tests.refusals import refused
from vocoder import load
from vocoder.errors import BadInput
from vocoder.image.codec.foreign import Foreign
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import analyse


class TestCommand:
    def test_report_and_exit_code(self, generated, tmp_path, capsys):
        report = tmp_path / "report.json"
        assert run(str(generated), output=str(report)) == 2
        printed = capsys.readouterr().out
        assert "channels" in printed
        assert "1 to change" in printed
        codes = [finding["code"] for finding in json.loads(report.read_text())["findings"]]
        assert codes == ["channels", "inconsistent"]
        with refused("output.exists"):
            run(str(generated), output=str(report))
        assert run(str(generated), label="real_B", output=str(report), overwrite=True) == 0
        assert "nothing to change" in capsys.readouterr().out
        assert json.loads(report.read_text())["findings"] == []

    @pytest.mark.parametrize("folder", [".", "/", "..", "below"])
    def test_a_folder_is_no_report(self, generated, tmp_path, monkeypatch, folder):
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(BadInput, match=f"cannot write {folder}: .*(folder|directory|busy)"):
            run(str(generated), output=folder, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["below"]

    def test_nothing_there(self, tmp_path):
        with refused("input.missing"):
            run(str(tmp_path / "nothing"))


@pytest.mark.parametrize(("spec", "words"), [("mel256", "repair=auto"), ("linear256", "train")])
def test_what_no_waveform_can_show(spec, words, speech, tmp_path):
    """And whether the repair that ships has learnt from such spectrograms."""
    made, codec = load("spec", spec), load("codec", "gray8")
    decibels = analyse(torch.from_numpy(speech)[None], made).decibels[0].numpy()
    image = Image.fromarray(codec.encode(decibels, made))
    blurred = image.resize((image.width // 6, image.height // 6)).resize(image.size)
    blurred.save(tmp_path / "a.png")
    run(str(tmp_path / "a.png"), spec=made, codec=codec, output=str(tmp_path / "r.json"))
    findings = json.loads((tmp_path / "r.json").read_text())["findings"]
    (found,) = (one for one in findings if one["code"] == "inconsistent")
    assert found["severity"] == "note" and words in found["fix"]


def test_what_invert_would_refuse_is_told(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (32, 40)).astype(np.uint8)
    clouds = Image.fromarray(levels).resize((320, 256), Image.Resampling.BICUBIC)
    clouds.save(tmp_path / "a.png")
    made = {"spec": load("spec", "mel256"), "codec": load("codec", "gray8")}
    assert run(str(tmp_path / "a.png"), output=str(tmp_path / "r.json"), **made) == 2
    findings = json.loads((tmp_path / "r.json").read_text())["findings"]
    assert "unlike" in {one["code"] for one in findings}


def test_figures_are_not_taken_for_tiles(generated, tmp_path):
    """With axes and margins; what is said of tiles means nothing there."""
    image = Image.open(next(generated.glob("**/*fake_B.png"))).convert("RGB")
    ImageOps.expand(image, 40, "white").save(tmp_path / "a.png")
    (finding,) = examine(tmp_path / "a.png")
    assert finding.code == "drawn" and "vocoder identify" in finding.fix
    law = Foreign(crop=[40, 40, -40, -40], rows="stretched")
    assert examine(tmp_path / "a.png", spec=load("spec", "mel256"), codec=law) == []
    ImageOps.expand(image, 40, "black").save(tmp_path / "a.png")
    assert "drawn" not in {one.code for one in examine(tmp_path / "a.png")}


@pytest.mark.parametrize(
    ("how", "code", "setting"),
    [
        (ImageOps.flip, "upside_down", "row_0: low"),
        (ImageOps.invert, "negative", "dark_is_loud: true"),
    ],
)
def test_what_it_says_of_a_data_set_can_be_done(copy, how, code, setting):
    def shown():
        found = ImageSource(input=copy, label="real_B").find()
        return load_utterance(found.utterances[0], found).spectrogram.decibels

    true, sidecar = shown(), copy / "spec.yaml"
    for path in copy.rglob("*_real_B.png"):
        how(Image.open(path)).save(path)
    (finding,) = (one for one in examine(copy, label="real_B") if one.code == code)
    assert all(word in finding.fix for word in ("spec.yaml", "name: foreign", setting))
    sidecar.write_text(sidecar.read_text().replace("name: gray8", f"name: foreign\n  {setting}"))
    assert examine(copy, label="real_B") == []
    torch.testing.assert_close(shown(), true, rtol=0, atol=1e-3)


def test_a_black_tile_among_generated_ones_is_named(copy):
    (tile,) = copy.rglob("nl_m__m-obdivovat__01_fake_B.png")
    assert "black" not in codes(examine(copy))
    Image.new("RGB", (256, 256)).save(tile)
    (finding,) = (one for one in examine(copy) if one.code == "black")
    assert tile.name in finding.where
