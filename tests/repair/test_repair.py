"""Repairs as a stage of their own: what every one promises, and how much an image gets of them."""

import shutil
from dataclasses import replace

import pytest
import torch

from tests.inverter.test_batch import joined
from tests.refusals import refused
from tests.train.tiny import SPEC, griffin_lim, repair_net, shaken, written
from vocoder.config import load, options
from vocoder.decibels import SILENCE_DB
from vocoder.model.features import FLOOR_DB
from vocoder.model.weights import load_network
from vocoder.repair.base import Repair
from vocoder.repair.consistency import inconsistency_db
from vocoder.repair.network import RepairNet
from vocoder.repair.postfilter import postfilter
from vocoder.spectrogram import Constraint, Spectrogram, analyse

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
REPAIRS = options("repair")
TRIAL = griffin_lim(n_iter=4, init="phase_gradient", refine_every=0)


@pytest.fixture(scope="module")
def spectrogram(speech):
    return analyse(torch.from_numpy(speech[:40_000])[None], SPEC)


@pytest.fixture(scope="module")
def wrong(spectrogram):
    """Noise in the image is something that no waveform shows."""
    noise = torch.randn(spectrogram.decibels.shape, generator=torch.Generator().manual_seed(0))
    return replace(spectrogram, decibels=spectrogram.decibels + 6 * noise)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of small networks, untrained and as after a training."""
    folder = tmp_path_factory.mktemp("weights")
    networks = {
        "identity": repair_net(),
        "trained": shaken(repair_net()),
        "other": repair_net(load("spec", "tacotron2")),
    }
    for name, network in networks.items():
        written(network, folder / f"{name}.safetensors")
    return lambda name: str(folder / f"{name}.safetensors")


def network_repair(weights, name="trained", **changes):
    plain = {"n_shifts": 1, "postfilter": 0.0}
    return load("repair", "network", weights=weights(name), **{**plain, **changes})


def auto(weights, name="trained", **changes):
    jpeg = load("repair", "jpeg", weights=weights(name), n_shifts=1, postfilter=0.5)
    plain = {"n_shifts": 1, "postfilter": 0.0, "jpeg": jpeg, "trial": TRIAL}
    return replace(load("repair", "auto"), weights=weights(name), **{**plain, **changes})


def change_db(repair, given):
    """Mean change of what can be heard."""
    after = repair(given).decibels.clamp(min=FLOOR_DB)
    return float((after - given.decibels.clamp(min=FLOOR_DB)).abs().mean())


class Band(Constraint):
    """No more than 2 dB from given decibels."""

    def __init__(self, decibels):
        self.decibels = decibels

    def project(self, decibels, first_frame):
        given = self.decibels[:, :, first_frame : first_frame + decibels.shape[2]]
        return torch.clamp(decibels, given - 2, given + 2)


@pytest.mark.parametrize("name", REPAIRS)
def test_every_repair_keeps_shape_length_and_what_it_was_given(name, wrong):
    repair = load("repair", name)
    assert isinstance(repair, Repair)
    before, state = wrong.decibels.clone(), torch.get_rng_state()
    repaired = repair(wrong)
    assert repaired.decibels.shape == before.shape and repaired.decibels.dtype == torch.float32
    assert repaired.length == wrong.length and 0 <= repaired.estimated <= 1
    assert torch.isfinite(repaired.decibels).all()
    assert torch.equal(wrong.decibels, before), "it changed what it was given"
    assert torch.equal(torch.get_rng_state(), state), "it drew from the common generator"
    assert torch.equal(repair(wrong).decibels, repaired.decibels)


@pytest.mark.parametrize("name", REPAIRS)
def test_every_repair_leaves_silence_silent(name):
    silence = analyse(torch.zeros(2, 20_000), SPEC)
    assert (load("repair", name)(silence).decibels <= SILENCE_DB).all()


@pytest.mark.parametrize("name", REPAIRS)
def test_every_repair_goes_with_every_inverter(name, wrong):
    """Two stages that know nothing of each other: only plain functions between them."""
    repaired = load("repair", name)(wrong)
    for inverter in ("griffin_lim", "admm"):
        waveform = load("inverter", inverter, n_iter=1, n_iter_estimated=1)(repaired)
        assert waveform.shape == (1, wrong.length) and torch.isfinite(waveform).all()


def test_without_a_repair_the_image_is_what_it_was(spectrogram, weights):
    assert load("repair", "none")(spectrogram) is spectrogram
    assert network_repair(weights, strength=0.0)(spectrogram) is spectrogram


@pytest.mark.parametrize("n_shifts", [1, 3])
def test_chunks_join_to_the_whole(n_shifts, weights, speech):
    """The network sees as much context around a chunk as it needs."""
    long = analyse(torch.from_numpy(speech)[None].repeat(1, 4), SPEC)
    settings = {"n_shifts": n_shifts, "postfilter": 0.2}
    network = load_network(weights("trained"), RepairNet, SPEC, CPU)
    with torch.inference_mode():
        whole = postfilter(network.averaged(long.decibels, n_shifts), 0.2, SPEC)
    audible = (whole > FLOOR_DB) & (long.decibels > FLOOR_DB)  # what is black stays black
    wanted = torch.where(audible, whole, SILENCE_DB)
    assert torch.equal(network_repair(weights, **settings)(long).decibels, wanted)
    for chunk_frames in (64, 145, 512):
        chunked = network_repair(weights, chunk_frames=chunk_frames, **settings)(long).decibels
        assert (chunked - wanted).abs().clamp(max=1).max() < 1e-3


def test_strength_is_how_much_of_the_networks_image_is_taken(weights, wrong):
    whole = change_db(network_repair(weights), wrong)
    assert whole > 0.1
    for strength in (0.25, 0.5):
        repair = network_repair(weights, strength=strength)
        assert change_db(repair, wrong) == pytest.approx(strength * whole, rel=0.05)
        assert repair(wrong).estimated == strength
    assert change_db(network_repair(weights, "identity"), wrong) < 1e-4


def test_an_image_is_repaired_as_much_as_no_waveform_can_show_it(weights, spectrogram, wrong):
    limits = {"consistent_db": 1.1, "inconsistent_db": 1.4}
    repair = auto(weights, **limits)
    assert repair(spectrogram).decibels is spectrogram.decibels
    plain = {"weights": weights("trained"), "n_shifts": 1, "postfilter": 0.0}
    assert torch.equal(repair(wrong).decibels, load("repair", "generated", **plain)(wrong).decibels)
    assert repair(wrong).estimated == 1
    found = inconsistency_db(wrong, TRIAL)
    half = auto(weights, consistent_db=found - 0.5, inconsistent_db=found + 0.5)
    assert half(wrong).estimated == pytest.approx(0.5, abs=0.01)
    weaker = replace(half, strength=0.5)
    assert weaker(wrong).estimated == pytest.approx(0.25, abs=0.01)
    never = auto(weights, consistent_db=found + 1, inconsistent_db=found + 1)
    assert never(wrong).decibels is wrong.decibels
    assert never(wrong).inconsistency_db == pytest.approx(found)


@pytest.mark.parametrize("name", REPAIRS)
def test_a_batch_is_repaired_as_its_members_alone(name, spectrogram, wrong):
    """A true image beside a generated one stays what it is."""
    repair = load("repair", name)
    together = repair(replace(wrong, decibels=torch.cat([spectrogram.decibels, wrong.decibels])))
    for row, one in enumerate((spectrogram, wrong)):
        alone = repair(one).decibels[0]
        assert (together.decibels[row] - alone).abs().clamp(max=1).max() < 1e-3


def test_a_long_utterance_is_told_from_pieces_of_it(weights, spectrogram, wrong):
    repeated = [
        replace(one, decibels=one.decibels.repeat(1, 1, 20), n_samples=None)
        for one in (spectrogram, wrong)
    ]
    repair = auto(weights, consistent_db=1.1, inconsistent_db=1.4)
    assert [repair.need(one) for one in repeated] == [0, 1]


def test_an_estimate_is_worth_fewer_iterations(wrong):
    inverter = griffin_lim(n_iter=20, n_iter_estimated=4)
    for estimated, n_iter in ((0.0, 20), (0.5, 12), (1.0, 4)):
        assert inverter.iterations_for(replace(wrong, estimated=estimated)) == n_iter
    sure, guess = inverter(wrong), inverter(replace(wrong, estimated=1.0))
    assert torch.equal(guess, griffin_lim(n_iter=4)(wrong))
    assert torch.equal(sure, griffin_lim(n_iter=20)(wrong))
    # Side by side each has its own number of them.
    both = joined(inverter, [wrong, replace(wrong, estimated=1.0)])
    for together, alone in zip(both, (sure, guess), strict=True):
        assert (together - alone[0]).abs().max() < 1e-3 * alone.abs().max()


def test_a_true_jpeg_is_corrected_within_what_its_file_leaves_open(weights, spectrogram, wrong):
    for given in (spectrogram, wrong):
        band = Band(given.decibels)
        repair = auto(weights, consistent_db=0.0, inconsistent_db=0.0)
        corrected = repair(replace(given, constraint=band))
        assert corrected.constraint is None and corrected.estimated == 0
        assert corrected.repaired == {"strength": 1.0, "drawn": 0.0}  # in reports
        free = repair.jpeg(given)
        assert torch.equal(corrected.decibels, band.project(free.decibels, 0))
        assert not torch.equal(corrected.decibels, given.decibels)


def test_shipped_weights_are_used_where_they_fit_and_ones_own_must(weights, speech):
    other = analyse(torch.from_numpy(speech[:20_000])[None], load("spec", "tacotron2"))
    assert load("repair", "auto", consistent_db=0.0, inconsistent_db=0.0)(other).repaired == {}
    with refused("spec.conflict"):
        auto(weights, consistent_db=0.0, inconsistent_db=0.0)(other)
    with refused("spec.conflict"):
        load("repair", "network")(other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strength", 1.5),
        ("n_shifts", 0),
        ("n_shifts", 17),
        ("postfilter", -0.1),
        ("chunk_frames", 15),
    ],
)
def test_settings_out_of_range_are_refused(name, value, weights):
    with refused(f"repair.{name}.range"):
        network_repair(weights, **{name: value})


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (2.0, 1.0)])
def test_limits_out_of_order_are_refused(low, high, weights):
    with refused("repair.consistent_db.range"):
        auto(weights, consistent_db=low, inconsistent_db=high)


def test_weights_that_cannot_be_used_are_named(weights, spectrogram, tmp_path):
    for nothing in ("nowhere", ""):
        with refused("weights.unknown"):
            load("repair", "network", weights=nothing)(spectrogram)
    with refused("weights.missing"):
        load("repair", "network", weights=str(tmp_path))(spectrogram)
    with refused("weights.kind"):
        load("repair", "network", weights="wavenet")(spectrogram)
    copy = tmp_path / "best.safetensors"
    shutil.copy(weights("trained"), copy)
    network_repair(lambda _: str(tmp_path))(spectrogram)  # a folder, as a training leaves it
    whole = copy.read_bytes()
    for spoilt in (b"", whole[:-10], whole[:-10] + b"\xff" + whole[-9:]):
        copy.write_bytes(spoilt)
        with refused("weights.damaged"):
            network_repair(lambda _: str(tmp_path))(spectrogram)


def test_weights_are_read_once_and_again_when_they_change(weights, tmp_path):
    path = tmp_path / "best.safetensors"
    shutil.copy(weights("trained"), path)
    first = load_network(str(path), RepairNet, SPEC, CPU)
    assert load_network(str(tmp_path), RepairNet, SPEC, CPU) is first
    assert not first.training
    shutil.copy(weights("identity"), path)
    later = load_network(str(path), RepairNet, SPEC, CPU)
    assert later is not first and not later.leave.weight.any()
    with refused("spec.conflict"):
        load_network(str(path), RepairNet, replace(SPEC, hop_length=128), CPU)


@pytest.mark.parametrize("hop_length", [64, 128, 512])
def test_any_hop_and_length_can_be_looked_at(hop_length, speech):
    """Short hops put many frames on a sample, so blocks and edges are many frames too."""
    spec = replace(SPEC, hop_length=hop_length)
    whole = analyse(torch.from_numpy(speech[: 20 * 1024])[None], spec).decibels
    for frames in (24, 33, 34, 100, whole.shape[2]):
        piece = Spectrogram(whole[:, :, :frames], spec)
        assert 0 <= inconsistency_db(piece, TRIAL) < 1.5
