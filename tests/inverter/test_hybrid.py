"""Networks and Griffin-Lim together."""

import shutil
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from tests.train.tiny import SPEC, griffin_lim, istft_net, repair_net, shaken
from vocoder.config import load
from vocoder.errors import BadInput
from vocoder.inverter.consistency import inconsistency_db
from vocoder.inverter.contrast import with_contrast
from vocoder.inverter.hybrid import Hybrid
from vocoder.inverter.weights import load_network
from vocoder.model.checkpoint import Checkpoint, settings_of
from vocoder.model.features import FLOOR_DB, from_db, to_db
from vocoder.model.istft import IstftNet
from vocoder.model.repair import RepairNet
from vocoder.spectrogram import Spectrogram, analyse

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def spectrogram(speech):
    return analyse(torch.from_numpy(speech[:40_000])[None], SPEC)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of small networks, untrained and as after a training."""
    folder = tmp_path_factory.mktemp("weights")
    networks: dict[str, RepairNet | IstftNet] = {
        "identity": repair_net(),
        "repair": shaken(repair_net()),
        "istft": shaken(istft_net()),
        "other": istft_net(load("spec", "tacotron2")),
    }
    for name, network in networks.items():
        spec = network.spec
        checkpoint = Checkpoint(settings_of(network), spec, network.state_dict(), {})
        checkpoint.write(folder / f"{name}.safetensors", overwrite=False)
    return lambda name: str(folder / f"{name}.safetensors")


def hybrid(**changes):
    values = griffin_lim(n_iter=4, init="phase_gradient").to_dict()
    del values["class"]
    always = {"consistent_db": 0.0, "inconsistent_db": 0.0}  # repaired, however true it looks
    plain = {"positions": 1, "contrast": 0.0, "jpeg_contrast": 0.0, "repaired_share": 1.0}
    return Hybrid(**{**values, **always, **plain, "repair": None, "jpeg": None, **changes})


@pytest.mark.parametrize("init", ["zero", "random", "phase_gradient"])
def test_without_networks_it_is_griffin_lim(init, spectrogram):
    for changes in ({}, {"block_frames": 64, "momentum": 0.5, "refine_every": 2, "n_iter": 9}):
        ours = hybrid(init=init, **changes)(spectrogram)
        assert torch.equal(ours, griffin_lim(n_iter=4, init=init)(spectrogram)) or changes
        if changes:
            assert torch.equal(ours, griffin_lim(init=init, **changes)(spectrogram))


def test_an_untrained_repair_changes_nothing(weights, spectrogram):
    repaired = hybrid(repair=weights("identity"), n_iter=8, init="zero")(spectrogram)
    plain = hybrid(n_iter=8, init="zero")(spectrogram)
    assert torch.linalg.norm(repaired - plain) < 1e-2 * torch.linalg.norm(plain)
    shown, wanted = (to_db(analyse(x, SPEC).values, SPEC) for x in (repaired, plain))
    loud = wanted > wanted.max() - 40
    assert (shown - wanted)[loud].abs().mean() < 1e-2
    block = hybrid(repair=weights("identity"))._block(spectrogram, 20, 90, CPU).spectrogram
    given = spectrogram.values[:, :, 20:90]
    assert (to_db(block.values, SPEC) - to_db(given, SPEC)).abs().max() < 1e-3


@pytest.mark.parametrize(("begin", "end"), [(0, 70), (37, 111), (60, 157), (0, 157)])
@pytest.mark.parametrize("positions", [1, 3])
def test_a_block_is_repaired_as_the_whole_is(begin, end, positions, weights, speech):
    """The net sees as far around a block as it reaches."""
    long = analyse(torch.from_numpy(speech)[None].repeat(1, 4), SPEC)
    begin, end = 3 * begin, 3 * end
    inverter = hybrid(repair=weights("repair"), positions=positions, contrast=0.2)
    block = inverter._block(long, begin, end, CPU).spectrogram
    given = to_db(long.values, SPEC)
    with torch.inference_mode():
        network = load_network(weights("repair"), RepairNet, SPEC, CPU)
        whole = with_contrast(network.averaged(given, positions), 0.2, SPEC)[:, :, begin:end]
    shown, wanted = to_db(block.values, SPEC), to_db(from_db(whole, SPEC), SPEC)
    assert (shown - wanted).abs().max() < 1e-3
    assert (wanted - given[:, :, begin:end]).abs().max() > 0.1


def test_repairs_are_averaged_over_positions_of_the_grid(weights, spectrogram):
    given = to_db(spectrogram.values, SPEC)
    network = load_network(weights("repair"), RepairNet, SPEC, CPU)
    with torch.inference_mode():
        assert torch.equal(network.averaged(given, 1), network(given))
        # A whole stride later the grid is where it was; less is another repair.
        later = [
            network(functional.pad(given, (shift, 0), value=FLOOR_DB))[:, :, shift:]
            for shift in (0, 8, network.stride_frames)
        ]
        inner = slice(network.reach_frames, None)
        assert (later[2] - later[0])[:, :, inner].abs().max() < 1e-3
        assert (later[1] - later[0])[:, :, inner].abs().max() > 0.1
        mean = network.averaged(given, 2)
    assert torch.allclose(mean, (later[0] + later[1]) / 2, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": 0}, r"inverter\.positions is 0; expected 1 to 16"),
        ({"positions": 17}, r"inverter\.positions is 17; expected 1 to 16"),
        ({"contrast": -0.1}, r"inverter\.contrast is -0\.1; expected 0 to 2"),
        ({"jpeg_contrast": 2.5}, r"inverter\.jpeg_contrast is 2\.5; expected 0 to 2"),
        ({"repaired_share": 1.5}, r"inverter\.repaired_share is 1\.5; expected 0 to 1"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        hybrid(**changes)


def test_a_picture_is_repaired_as_much_as_it_is_wrong(weights, spectrogram):
    """Noise in the picture is something that no sound shows."""
    noise = torch.randn(spectrogram.values.shape, generator=torch.Generator().manual_seed(0))
    wrong = replace(spectrogram, values=spectrogram.values * 10 ** (6 * noise / 20))

    def change(given, **limits):
        inverter = hybrid(repair=weights("repair"), **limits)
        block = inverter._block(given, 0, 100, CPU).spectrogram
        before = given.values[:, :, :100]
        return float((to_db(block.values, SPEC) - to_db(before, SPEC)).abs().mean())

    limits = {"consistent_db": 1.1, "inconsistent_db": 1.4}
    assert change(spectrogram, **limits) == 0 < change(wrong, **limits)
    whole = change(wrong)
    assert change(wrong, **limits) == pytest.approx(whole, rel=1e-3)
    found = inconsistency_db(wrong.frames(0, 100))
    half = {"consistent_db": found - 0.5, "inconsistent_db": found + 0.5}
    assert change(wrong, **half) == pytest.approx(whole / 2, rel=0.1)
    assert change(wrong, consistent_db=found + 1, inconsistent_db=found + 1) == 0
    for bad in ({"consistent_db": -1.0}, {"consistent_db": 2.0, "inconsistent_db": 1.0}):
        with pytest.raises(BadInput, match=r"inverter\.consistent_db is .*expected 0 or more"):
            hybrid(**bad)


def test_a_repaired_picture_is_worth_fewer_iterations(weights, spectrogram):
    noise = torch.randn(spectrogram.values.shape, generator=torch.Generator().manual_seed(0))
    wrong = replace(spectrogram, values=spectrogram.values * 10 ** (6 * noise / 20))
    limits = {"consistent_db": 1.1, "inconsistent_db": 1.4, "n_iter": 20, "repaired_share": 0.2}
    inverter = hybrid(repair=weights("repair"), init="zero", **limits)
    assert inverter._block(spectrogram, 0, 100, CPU).n_iter == 20
    assert inverter._block(wrong, 0, 100, CPU).n_iter == 4
    found = inconsistency_db(wrong.frames(0, 100))
    half = {"consistent_db": found - 0.5, "inconsistent_db": found + 0.5}
    block = replace(inverter, **half)._block(wrong, 0, 100, CPU)
    assert block.n_iter == pytest.approx(12, abs=1)
    # Side by side each has its own number of them.
    both = Spectrogram(torch.cat([spectrogram.values, wrong.values]), SPEC, spectrogram.n_samples)
    for one, sound in zip((spectrogram, wrong), inverter(both), strict=True):
        alone = inverter(one)[0]
        assert (sound - alone).abs().max() < 1e-3 * alone.abs().max()
    other = replace(inverter, repaired_share=1.0)(wrong)[0]
    assert (other - alone).abs().max() > 0.1 * alone.abs().max()


def test_blocks_join_as_those_of_a_picture_repaired_beforehand(weights, spectrogram):
    inverter = hybrid(repair=weights("repair"), block_frames=64, init="zero")
    with torch.inference_mode():
        network = load_network(weights("repair"), RepairNet, SPEC, CPU)
        values = network.repair(spectrogram.values).clone()
    repaired = Spectrogram(values, SPEC, spectrogram.n_samples)
    expected = hybrid(block_frames=64, init="zero")(repaired)
    pieces = list(inverter.blocks(spectrogram))
    assert len(pieces) > 2
    sound = torch.cat(pieces, 1)
    assert sound.shape == (1, 40_000)
    assert (sound - expected).abs().max() < 1e-3 * expected.abs().max()


def istft(**changes):
    return load("inverter", "istft", **changes)


def test_without_iterations_the_sound_is_the_generators_own(weights, spectrogram):
    sound = istft(checkpoint=weights("istft"), n_iter=0, contrast=0.0)(spectrogram)
    with torch.inference_mode():
        own = load_network(weights("istft"), IstftNet, SPEC, CPU)(spectrogram.values)
    assert (sound - own[:, :40_000])[:, :39_000].abs().max() < 1e-3


def test_iterations_bring_the_sound_nearer_to_the_picture(weights, spectrogram):
    errors = []
    for n_iter in (0, 1, 4):
        sound = hybrid(repair=weights("identity"), n_iter=n_iter, refine_every=0)(spectrogram)
        shown = analyse(sound, SPEC).values
        errors.append(float(torch.linalg.norm(shown - spectrogram.values)))
    assert errors == sorted(errors, reverse=True) and errors[2] < 0.9 * errors[0]


@pytest.mark.parametrize("kind", ["none", "repair", "istft"])
@pytest.mark.parametrize("n_iter", [0, 3])
def test_all_parts_work_on_and_in_inference_mode(kind, n_iter, weights, spectrogram):
    settings = {"n_iter": n_iter, "block_frames": 64, "init": "zero"}
    inverter = {
        "none": lambda: hybrid(**settings),
        "repair": lambda: hybrid(repair=weights("repair"), **settings),
        "istft": lambda: istft(checkpoint=weights("istft"), **settings),
    }[kind]()
    with torch.inference_mode():
        tensor = spectrogram.values.clone()
    assert tensor.is_inference()
    given = Spectrogram(tensor, SPEC, spectrogram.n_samples)
    expected = inverter(spectrogram)
    assert torch.isfinite(expected).all() and expected.abs().max() > 0.05
    assert torch.equal(inverter(given), expected)
    with torch.inference_mode():
        assert torch.equal(inverter(given), expected)
        assert torch.equal(inverter(spectrogram), expected)
    training = spectrogram.values[:, :, :20].clone().requires_grad_()
    istft_net()(training).sum().backward()  # nothing cached above stands in training's way


def test_silence_stays_silent(weights):
    inverter = hybrid(repair=weights("identity"))
    assert not inverter(analyse(torch.zeros(2, 20_000), SPEC)).any()


def test_a_picture_that_says_what_it_leaves_open_is_not_repaired(weights, spectrogram):
    """It is a true one: such a JPEG was made of a sound."""
    given = Spectrogram(
        spectrogram.values, SPEC, spectrogram.n_samples, lambda values, first: values
    )
    block = hybrid(repair=weights("repair"))._block(given, 30, 90, CPU).spectrogram
    assert torch.equal(block.values, spectrogram.values[:, :, 30:90])
    assert block.admit is not None


def test_what_the_istft_net_makes_of_a_jpeg_stays_within_its_cells(weights, spectrogram):
    """Here: no value beyond a quarter more or less; moved there once, not at every iteration."""
    values = spectrogram.values

    def admit(wanted, first):
        given = values[:, :, first : first + wanted.shape[2]]
        return wanted.clamp(0.75 * given, 1.25 * given)

    jpeg = Spectrogram(values, SPEC, spectrogram.n_samples, admit)
    inverter = istft(checkpoint=weights("istft"), contrast=0.5)
    block = inverter._block(jpeg, 0, 157, CPU).spectrogram
    free = inverter._block(spectrogram, 0, 157, CPU).spectrogram
    assert block.admit is None
    assert torch.equal(block.values, admit(free.values, 0))
    assert not torch.equal(block.values, free.values)
    default = hybrid(jpeg=weights("istft"), jpeg_contrast=0.5)
    assert torch.equal(default._block(jpeg, 0, 157, CPU).spectrogram.values, block.values)
    assert torch.equal(default._block(spectrogram, 0, 157, CPU).spectrogram.values, values)


def test_black_stays_black(weights):
    """A shade above it would be noise where there is none."""
    network = load_network(weights("repair"), RepairNet, SPEC, CPU)
    decibels = torch.full((1, 256, 40), FLOOR_DB)
    decibels[:, 100:120, 10:20] = -30.0
    with torch.inference_mode():
        repaired = network(decibels)
    black = decibels == FLOOR_DB
    assert torch.equal(repaired[black], decibels[black])
    assert (repaired != decibels)[~black].all()


def test_a_batch_is_its_members(weights, spectrogram):
    inverter = hybrid(repair=weights("repair"), init="zero")
    values = spectrogram.values[:, :, :70]
    batch = torch.cat([values, 0.2 * values.flip(2)])
    for item, sound in zip(batch, inverter(Spectrogram(batch, SPEC)), strict=True):
        alone = inverter(Spectrogram(item[None], SPEC))[0]
        assert (sound - alone).abs().max() < 1e-3


def test_weights_that_do_not_fit_are_named(weights, spectrogram, tmp_path):
    with pytest.raises(
        BadInput, match=r"istft\.safetensors holds weights of IstftNet, which inverter=istft"
    ):
        hybrid(repair=weights("istft"))(spectrogram)
    with pytest.raises(
        BadInput, match=r"repair\.safetensors holds .* RepairNet, which inverter=hybrid"
    ):
        istft(checkpoint=weights("repair"))(spectrogram)
    with pytest.raises(BadInput, match=r"the picture were made with different .*n_mels: 80 != 256"):
        istft(checkpoint=weights("other"))(spectrogram)
    with pytest.raises(BadInput, match="nowhere is no file, no folder of a training, and no name"):
        hybrid(repair="nowhere")(spectrogram)
    with pytest.raises(BadInput, match=r"holds no best\.safetensors"):
        hybrid(repair=str(tmp_path))(spectrogram)
    copy = tmp_path / "best.safetensors"
    shutil.copy(weights("repair"), copy)
    hybrid(repair=str(tmp_path))(spectrogram)  # a folder, as a training leaves it
    whole = copy.read_bytes()
    for spoilt in (b"", whole[:-10], whole[:-10] + b"\xff" + whole[-9:]):
        copy.write_bytes(spoilt)
        with pytest.raises(BadInput, match=r"no whole safetensors file|damaged"):
            hybrid(repair=str(tmp_path))(spectrogram)
    with pytest.raises(BadInput, match=r"inverter\.n_iter is -1"):
        hybrid(n_iter=-1)


def test_weights_are_read_once_and_again_when_they_change(weights, tmp_path):
    path = tmp_path / "best.safetensors"
    shutil.copy(weights("repair"), path)
    first = load_network(str(path), RepairNet, SPEC, CPU)
    assert load_network(str(tmp_path), RepairNet, SPEC, CPU) is first
    assert not first.training
    shutil.copy(weights("identity"), path)
    later = load_network(str(path), RepairNet, SPEC, CPU)
    assert later is not first and not later.leave.weight.any()
    with pytest.raises(BadInput, match="hop_length"):
        load_network(str(path), RepairNet, replace(SPEC, hop_length=128), CPU)


@pytest.mark.parametrize("hop_length", [64, 128, 512])
def test_any_hop_and_length_can_be_looked_at(hop_length, speech):
    """Short hops put many frames on a sample, so blocks and edges are many frames too."""
    spec = replace(SPEC, hop_length=hop_length)
    whole = analyse(torch.from_numpy(speech[: 20 * 1024])[None], spec).values
    for frames in (24, 33, 34, 100, whole.shape[2]):
        assert 0 <= inconsistency_db(Spectrogram(whole[:, :, :frames], spec)) < 1.5
