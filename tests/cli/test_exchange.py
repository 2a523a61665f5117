"""Weights come in and go out on the command line."""

import json

import numpy as np
import pytest
import soundfile
import torch

from tests.model import foreign
from tests.model.test_original_hifigan import V3, original_discriminators, original_weights
from tests.refusals import refused
from tests.train.tiny import SPEC, repair_net
from vocoder.audio import write_audio
from vocoder.cli.main import dispatch, run
from vocoder.decibels import to_decibels
from vocoder.model.checkpoint import Checkpoint, read_checkpoint, settings_of
from vocoder.model.discriminator.mpd import MultiPeriod
from vocoder.model.discriminator.msd import MultiScale
from vocoder.model.parallel_hifigan import ParallelHifiGan
from vocoder.model.weights import FOLDER, find_weights
from vocoder.spectrogram import analyse
from vocoder.train.state import load_tensors


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
    MultiPeriod(width=1 / 8, periods=[2, 3, 5, 7, 11]).load_state_dict(states["mpd"])
    MultiScale(width=1 / 8, scales=3).load_state_dict(states["msd"])
    assert run(["export", f"weights={ours}", f"output={program}"]) == 0
    assert '"first_sample": -128' in capsys.readouterr().out
    assert torch.export.load(program).module()(torch.ones(1, 80, 3)).shape == (1, 768)

    before = ours.read_bytes(), program.read_bytes()
    assert run(words) == run(["export", f"weights={ours}", f"output={program}"]) == 2
    assert (ours.read_bytes(), program.read_bytes()) == before
    assert run([*words, "overwrite=true"]) == 0
    said = capsys.readouterr().err
    assert "v3.safetensors exists" in said and "v3.pt2 exists" in said


def test_an_original_with_its_discriminators_is_fine_tuned_on_mels_of_ones_own(
    original, speech, tmp_path
):
    """What users of vocoders ask for most: teacher-forced mels as arrays, beside the recordings."""
    ours = tmp_path / "ours/v3.safetensors"
    assert run(["import", f"input={original / 'g_00000001'}", f"output={ours}"]) == 0
    spec = read_checkpoint(ours).spec
    for number in range(2):
        sound = speech[number * 30_000 :][:25_000]
        write_audio(tmp_path / f"true/a{number}.wav", sound, spec.sample_rate, overwrite=False)
        mel = analyse(torch.from_numpy(sound)[None], spec).linear[0].clamp(min=1e-5).log()
        (tmp_path / "mels").mkdir(exist_ok=True)
        np.save(tmp_path / f"mels/a{number}.npy", mel.numpy())
    words = ["data=generated", f"data.input={tmp_path / 'mels'}",
             f"data.reference={tmp_path / 'true'}", "spec=tacotron2", "spec.fmax=11025",
             "train=hifigan", "model=hifigan_v3", "model.channels=32",
             "train.task.discriminators.mpd.width=0.125",
             "train.task.discriminators.msd.width=0.125", f"train.init={ours}",
             "train.plan.steps=1", "train.plan.batch_size=1", "train.plan.workers=0",
             "train.validation_utterances=1", f"output={tmp_path / 'run'}"]  # fmt: skip
    assert run(["train", *words]) == 0
    before, after = (
        load_tensors(folder / "discriminators.pt") for folder in (ours.parent, tmp_path / "run")
    )
    for name, state in before.items():
        moved = [float((after[name][key] - tensor).abs().max()) for key, tensor in state.items()]
        assert 0 < max(moved) < 0.05, "they go on from where they were"
    assert read_checkpoint(tmp_path / "run/best.safetensors").card["init"] == str(ours)


@pytest.mark.parametrize("kind", ["bigvgan", "parallel_wavegan", "vocos"])
def test_a_generator_of_another_program_speaks(kind, tmp_path):
    """From its checkpoint to audio, on arrays as its own program makes them."""
    made: foreign.Foreign = getattr(foreign, kind)()
    spec, ours = made.ours.spec, tmp_path / "x.safetensors"
    torch.save(made.state, tmp_path / "g_1")
    torch.save({"mpd": {}, "mrd": {}}, tmp_path / "do_1")  # BigVGAN's lie there
    (tmp_path / "settings.json").write_text(json.dumps(made.config))
    if isinstance(made.ours, ParallelHifiGan):
        statistics = made.ours.mean.numpy(), made.ours.scale.numpy()
        np.save(tmp_path / "stats.npy", np.stack(statistics))
    words = [f"input={tmp_path / 'g_1'}", f"config={tmp_path / 'settings.json'}"]
    assert run(["import", *words, f"output={ours}"]) == 0
    logarithms = np.random.default_rng(0).normal(-4, 1, (spec.bins, 20)).astype(np.float32)
    (tmp_path / "mels").mkdir()
    np.save(tmp_path / "mels/a.npy", logarithms)
    words = [f"spec={ {'bigvgan': 'tacotron2'}.get(kind, kind) }", f"spec.n_mels={spec.n_mels}",
             f"spec.hop_length={spec.hop_length}", "inverter=hifigan", "repair=none",
             f"inverter.weights={ours}", "subtype=FLOAT"]  # fmt: skip
    magnitudes = np.exp(logarithms)
    if kind == "parallel_wavegan":  # (frames, bands), decimal
        np.save(tmp_path / "mels/a.npy", logarithms.T)
        words.append("codec=parallel_wavegan")
        magnitudes = 10**logarithms
    output = tmp_path / "out"
    assert run(["invert", f"input={tmp_path / 'mels'}", f"output={output}", *words]) == 0
    found, rate = soundfile.read(output / "a.wav", dtype="float32")
    assert (rate, len(found)) == (spec.sample_rate, 19 * spec.hop_length)
    decibels = to_decibels(torch.from_numpy(magnitudes)[None], spec)
    with torch.inference_mode():
        wanted = made.ours(decibels)[0].numpy()[-made.ours.first_sample :]
    np.testing.assert_allclose(found, wanted[: len(found)], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["input=config.json", "output=a.safetensors"], "weights.unsafe"),
        (["input=g_00000001", "output=a.pt"], "output.format"),
        (["input=g_00000001", "output=a.safetensors", "config=b.json"], "config.unreadable"),
        (
            ["input=g_00000001", "output=a.safetensors", "discriminators=g_00000001"],
            "discriminators.format",
        ),
    ],
)
def test_nothing_is_left_of_what_cannot_be_imported(original, monkeypatch, words, key):
    monkeypatch.chdir(original)
    there = sorted(original.iterdir())
    with refused(key):
        dispatch(["import", *words])
    assert sorted(original.iterdir()) == there


@pytest.mark.parametrize("form", ["file", "folder", "name"])
def test_weights_to_export_are_a_file_a_folder_or_a_name(form, tmp_path, capsys):
    net = repair_net()
    folder = tmp_path / "run"
    checkpoint = Checkpoint(settings_of(net), SPEC, net.state_dict(), {})
    checkpoint.write(folder / "best.safetensors", overwrite=False)
    sources = {"file": folder / "best.safetensors", "folder": folder, "name": "jpeg"}
    source = str(sources[form])
    assert run(["export", f"weights={source}", f"output={tmp_path / 'a.pt2'}"]) == 0
    assert '"model": "RepairNet"' in capsys.readouterr().out
    assert (find_weights(source).parent == FOLDER) == (form == "name")
    assert len(torch.export.load(tmp_path / "a.pt2").graph_signature.parameters) > 0


def test_weights_that_are_not_there_are_told(tmp_path):
    with refused("weights.unknown"):
        dispatch(["export", "weights=nowhere", f"output={tmp_path / 'a.onnx'}"])
    assert list(tmp_path.iterdir()) == []
