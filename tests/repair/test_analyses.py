"""A repair of several analyses of one recording together: from its examples to the waveform."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.refusals import refused
from tests.train.tiny import (
    SPEC,
    generated_data,
    griffin_lim,
    learnt_from,
    real_clips,
    repair_net,
    repairing,
    shaken,
    written,
)
from vocoder.config import load
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.model.features import FLOOR_DB
from vocoder.model.interchange.export import export
from vocoder.repair.network import RepairNet
from vocoder.spectrogram import Spectrogram, analyse
from vocoder.train.degradation import Clean
from vocoder.train.examples import Batch, Simulated

DATA = Path(__file__).parents[1] / "data"
WINDOWS = (320, 3072)
SPECS = (SPEC, *(SPEC.with_window(length) for length in WINDOWS))


def net(windows=WINDOWS):
    torch.manual_seed(0)
    return RepairNet(SPEC, channels=4, context=8, context_blocks=1, windows=windows)


def repair(network, tmp_path, **changes):
    weights = written(network, tmp_path / "weights.safetensors")
    return load("repair", "network", weights=weights, **changes)


@pytest.fixture
def spectrogram(speech):
    waveform = torch.from_numpy(speech[:30_000])[None]
    first, *others = (analyse(waveform, spec) for spec in SPECS)
    return replace(first, others=tuple(others))


def test_an_untrained_net_changes_nothing_and_every_plane_tells_of_all(spectrogram):
    given = spectrogram.stacked.clamp(min=FLOOR_DB)
    with torch.inference_mode():
        assert (net()(given) - given).abs().max() < 1e-4
        trained = shaken(net()).eval()
        before, after = trained(given), given.clone()
        after[:, SPEC.bins : 2 * SPEC.bins, 40] += 6  # of the second plane alone
        changed = (trained(after) - before).abs().amax((0, 2)).chunk(3)
    assert all(plane.max() > 1e-3 for plane in changed)


def test_the_specs_are_those_of_the_codec():
    analyses = load("codec", "windows").analyses(SPEC)
    assert net().specs == tuple(spec for spec, _ in analyses)
    with refused("model.windows.spec"):
        RepairNet(load("spec", "linear512"), 4, 8, 1, windows=WINDOWS)


@pytest.mark.parametrize("postfilter", [0.0, 0.5])
def test_chunks_are_what_the_whole_is_and_every_analysis_is_repaired(
    spectrogram, tmp_path, postfilter
):
    whole, pieces = (
        repair(shaken(net()), tmp_path, chunk_frames=frames, n_shifts=1, postfilter=postfilter)(
            spectrogram
        )
        for frames in (10_000, 32)
    )
    assert whole.specs == spectrogram.specs and whole.estimated == 1
    for ours, piece, given in zip(
        whole.analyses, pieces.analyses, spectrogram.analyses, strict=True
    ):
        torch.testing.assert_close(ours.decibels, piece.decibels, atol=2e-3, rtol=0)
        heard = given.decibels > FLOOR_DB
        assert (ours.decibels - given.decibels)[heard].abs().mean() > 0.01


def test_other_windows_than_the_network_knows_are_refused(spectrogram, tmp_path):
    known = repair(shaken(net((512, 2048))), tmp_path)
    for one in (spectrogram, replace(spectrogram, others=())):
        with refused("repair.windows.conflict"):
            known(one)
    drawn = load("repair", "generated", weights=known.weights)
    with refused("repair.windows.conflict"):
        drawn(spectrogram)


def test_nothing_is_drawn_over_several_analyses(spectrogram, tmp_path):
    one = repair(shaken(net()), tmp_path)
    drawn = load("repair", "generated", weights=one.weights)
    torch.testing.assert_close(drawn(spectrogram).stacked, one(spectrogram).stacked)


def test_pairs_hold_all_analyses_of_image_and_recording(tmp_path):
    folder = Path(shutil.copytree(DATA / "pix2pix_windows", tmp_path / "given"))
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",test\n", ",train\n"))
    reference = str(DATA / "pix2pix/reference")
    data = generated_data(folder, reference=reference, validation_share=0.3)
    sources = data.open(SPECS, Clean(), 0)
    found = ImageSource(input=folder / "results").find()
    shown = {
        one.name: load_utterance(one, found).spectrogram.stacked[0] for one in found.utterances
    }
    for generated, simulated in zip(*[iter(sources.train)] * 2, strict=True):
        for number, name in enumerate(generated.recordings):
            example = generated.piece(number, 20, 40, np.random.default_rng(0))
            wanted = shown[name.replace("/", "__")][:, 20:60].clamp(min=FLOOR_DB).numpy()
            assert np.abs(np.maximum(example.degraded, FLOOR_DB) - wanted).max() < 0.05
            clean = simulated.piece(number, 20, 40, np.random.default_rng(0))
            np.testing.assert_allclose(clean.true, example.true, atol=1e-3)
    with refused("data.input.empty"):
        grey = shutil.copytree(DATA / "pix2pix", tmp_path / "grey")
        replace(data, input=str(grey / "results")).open(SPECS, Clean(), 0)


def test_true_planes_are_those_of_the_whole_recording():
    clips = real_clips()
    source = Simulated(clips, SPECS, Clean())
    example = source.piece(0, 10, 30, np.random.default_rng(0))
    waveform = torch.from_numpy(clips.read(0, 0, clips.lengths[0]))[None]
    for plane, spec in zip(np.split(example.true, 3), SPECS, strict=True):
        whole = analyse(waveform, spec).decibels[0, :, 10:40].numpy()
        np.testing.assert_allclose(plane, whole, atol=1e-3)


def test_the_loss_is_the_mean_over_analyses_and_training_lowers_it():
    clips = Simulated(real_clips(), SPECS, Clean())
    rng = np.random.default_rng(0)
    examples = [clips.piece(number, 5, 48, rng) for number in range(2)]
    quieter = [replace(one, degraded=one.degraded - 6) for one in examples]
    batch, network = Batch.of(quieter), net()
    ours = repairing(network).losses("model", batch, 0)
    alone = []
    for k in range(3):
        degraded, true = (images.chunk(3, 1)[k] for images in (batch.degraded, batch.true))
        plane = replace(batch, degraded=degraded, true=true)
        model = repair_net()
        model.specs = (SPECS[k],)
        single = repairing(model)
        alone.append(float(single.losses("model", plane, 0)["decibels"].detach()))
    assert float(ours["decibels"].detach()) == pytest.approx(np.mean(alone), rel=1e-4)
    totals = learnt_from(repairing(network), batch, 30)
    assert totals[-1] < 0.7 * totals[0]


@torch.inference_mode()  # as validations are
def test_what_is_trained_is_heard_from_all_analyses(spectrogram):
    heard = repairing(net()).render(net(), spectrogram.stacked)
    expected = griffin_lim()(spectrogram)
    assert heard.shape[1] == Spectrogram(spectrogram.decibels, SPEC).length
    off = heard - expected[:, : heard.shape[1]]  # what lies below the floor is silenced
    assert off.abs().max() < 0.02 * expected.abs().max()


def test_an_exported_network_takes_all_analyses(spectrogram, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    trained = shaken(net()).eval()
    export(trained, tmp_path / "net.onnx", overwrite=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    given = spectrogram.stacked[:, :, :96].clamp(min=FLOOR_DB)
    (ours,) = session.run(None, {trained.inputs[0]: given.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(ours, trained(given).numpy(), atol=2e-3)
