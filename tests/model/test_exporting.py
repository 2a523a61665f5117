"""Exported models sound as ours do, for any number of frames, without this package."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch

from tests.inverter.wavenet.networks import small
from tests.model import foreign
from tests.model.shapes import MEL, ODD, hifigan
from tests.refusals import refused
from vocoder import read_spectrogram
from vocoder.config import load
from vocoder.decibels import to_decibels
from vocoder.inverter.mels import MelNet
from vocoder.inverter.phase_network import PhaseNet
from vocoder.inverter.wavenet.inverter import sample_subbands
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.interchange.export import METADATA, export, metadata
from vocoder.model.weights import find_weights
from vocoder.repair.network import RepairNet
from vocoder.repair.pitch_network import PitchNet
from vocoder.spectrogram import analyse

HIDDEN = """
import sys
from importlib.abc import MetaPathFinder

class Nobody(MetaPathFinder):
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "vocoder"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nobody())
"""
SMALL = {"channels": 16, "kernels": [3, 5], "dilations": [[1, 3], [1, 2]]}
SIZES = [(1, 1), (1, 2), (3, 40), (2, 16)]


def models():
    torch.manual_seed(0)
    return {
        "hifigan_v2": hifigan("hifigan_v2", **SMALL),
        "hifigan_v3": hifigan("hifigan_v3", ODD, **SMALL),
        "bigvgan": foreign.bigvgan().ours,
        "vocos": foreign.vocos().ours,
    }


@pytest.mark.parametrize("name", models())
def test_onnxruntime_agrees(name, tmp_path):
    model, path = models()[name], tmp_path / "model.onnx"
    export(model, path, overwrite=False)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]  # weights inside
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(path)
    for batch, frames in SIZES:
        decibels = torch.rand(batch, model.spec.bins, frames) * 80 - 90
        with torch.inference_mode():
            wanted = model(decibels)
        (found,) = session.run(["samples"], {"decibels": decibels.numpy()})
        assert found.shape == wanted.shape
        assert abs(found - wanted.numpy()).max() < 1e-5 * float(wanted.abs().max())
    noted = session.get_modelmeta().custom_metadata_map
    assert json.loads(noted["vocoder.spec"]) == model.spec.to_dict()
    assert int(noted["vocoder.first_sample"]) == model.first_sample


@pytest.mark.parametrize("name", ["generated", "jpeg", "mels", "phases", "pitch"])
def test_the_shipped_networks_of_images_run_without_torch(name, tmp_path):
    path = tmp_path / "repair.onnx"
    model = read_checkpoint(find_weights(name)).build()
    assert isinstance(model, RepairNet | MelNet | PhaseNet | PitchNet)
    export(model, path, overwrite=False)
    session = onnxruntime.InferenceSession(path)
    for batch, strides in [(1, 1), (2, 3)]:
        shape = batch, model.spec.bins, strides * model.stride_frames
        given = {name: torch.rand(shape) * 120 - 110 for name in model.inputs}
        with torch.inference_mode():
            wanted = model(*given.values())
        images = {name: image.numpy() for name, image in given.items()}
        (found,) = session.run(list(model.outputs), images)
        assert abs(found - wanted.numpy()).max() < 1e-2


def test_a_wavenet_says_the_same_of_every_step_without_this_package(tmp_path):
    """Of what it drew here, for any length; and makes the same waveform of it."""
    model, path = small().eval(), tmp_path / "wavenet.onnx"
    export(model, path, overwrite=False)
    session = onnxruntime.InferenceSession(path)
    for frames in (12, 33):
        decibels = torch.rand(1, model.spec.bins, frames) * 60 - 80
        estimate, drawn = model.estimate(decibels), sample_subbands(model, decibels, 0, 1.0)
        given = {"decibels": decibels, "estimate": estimate, "subbands": drawn}
        with torch.inference_mode():
            wanted = model(**given)
        found = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
        for one, other in zip(found, wanted, strict=True):
            assert one.shape == other.shape
            assert abs(one - other.numpy()).max() < 1e-3 * float(other.std())


def page_program(index, folder):
    """Run a program of the page, word for word, where neither torch nor this package is."""
    page = (Path(__file__).parents[2] / "recipes/hifigan.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    subprocess.run([sys.executable, "-c", HIDDEN + programs[index]], cwd=folder, check=True)


def test_the_page_for_strangers_repairs(tmp_path):
    """What it makes audible is what `repair=network` makes of the same image."""
    images = Path(__file__).parents[1] / "data/pix2pix/results/tel/test_latest/images"
    picture = next(images.glob("nl_m__m-obdivovat*_fake_B.png"))
    (tmp_path / "generated.png").write_bytes(picture.read_bytes())
    model = read_checkpoint(find_weights("generated")).build()
    assert isinstance(model, RepairNet)
    export(model, tmp_path / "repair.onnx", overwrite=False)
    page_program(1, tmp_path)
    samples, rate = soundfile.read(tmp_path / "repaired.wav", dtype="float32")
    codec = load("codec", "gray8", db_min=-92.04, db_max=-12.04)
    shown = read_spectrogram(picture, spec="mel256", codec=codec)
    repair = load("repair", "network", n_shifts=1, postfilter=0.0)
    assert rate == model.spec.sample_rate
    made = analyse(torch.from_numpy(samples)[None], model.spec).decibels[0]

    def off_db(wanted):
        heard = wanted > -60
        return float((made[:, : wanted.shape[1]] - wanted)[heard].abs().mean())

    assert off_db(repair(shown).decibels[0]) < 0.6 * off_db(shown.decibels[0])


def test_the_page_for_strangers_speaks(speech, tmp_path):
    """A HiFi-GAN, of a log mel."""
    model = hifigan("hifigan_v2", **SMALL)
    export(model, tmp_path / "mine.onnx", overwrite=False)
    spectrogram = analyse(torch.from_numpy(speech[:20_000])[None], model.spec)
    np.save(tmp_path / "mel.npy", spectrogram.linear[0].clamp(min=1e-5).log().numpy())
    page_program(0, tmp_path)
    spoken, rate = soundfile.read(tmp_path / "spoken.wav", dtype="float32")
    with torch.inference_mode():
        wanted = model(spectrogram.decibels)[0, -model.first_sample :].numpy()
    assert rate == model.spec.sample_rate and len(spoken) == len(wanted)
    assert abs(spoken - wanted).max() < 1e-3


def test_a_program_runs_where_this_package_is_not(tmp_path):
    torch.manual_seed(0)
    model, path = hifigan("hifigan_v2", **SMALL), tmp_path / "model.pt2"
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export(model, path, overwrite=False)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    values = torch.rand(3, MEL.bins, 21)
    torch.save(values, tmp_path / "values.pt")
    script = f"""
import sys
sys.modules["vocoder"] = None
import torch
extra = {{"{METADATA}": ""}}
program = torch.export.load("model.pt2", extra_files=extra).module()
torch.save(program(torch.load("values.pt")), "samples.pt")
print(extra["{METADATA}"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = torch.load(tmp_path / "samples.pt")
    with torch.inference_mode():
        assert (found - model(values)).abs().max() < 1e-6
    noted = json.loads(done.stdout)
    assert noted["spec"] == MEL.to_dict() and noted["first_sample"] == -128


@pytest.mark.parametrize(
    ("name", "key"), [("model.bin", "output.format"), ("there.pt2", "output.exists")]
)
def test_refuses_other_outputs(name, key, tmp_path):
    (tmp_path / "there.pt2").write_text("kept")
    with refused(key):
        export(hifigan("hifigan_v2", **SMALL), tmp_path / name, overwrite=False)
    assert (tmp_path / "there.pt2").read_text() == "kept"


def test_the_metadata_say_what_goes_in():
    """A network that was trained on logarithms takes decibels all the same, of this reference."""
    model = hifigan("hifigan_v2", **SMALL)
    noted = metadata(model)
    assert noted["spec"]["compression"] == "log" and noted["input"].startswith("decibels")
    magnitudes = torch.rand(1, 80, 7) + 1e-3
    decibels = 20 * torch.log10(magnitudes / noted["full_scale"])
    assert torch.allclose(decibels, to_decibels(magnitudes, model.spec), atol=1e-3)
