"""Weights on disk: what is written comes back, and anything else is refused."""

import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from tests.model.shapes import MEL, fields, hifigan
from tests.refusals import refused
from vocoder.config import TARGET
from vocoder.errors import BadInput
from vocoder.model.checkpoint import Checkpoint, read_checkpoint

SMALL = {"channels": 8, "upsample_rates": [16, 16], "kernels": [3], "dilations": [[1, 3]]}
CARD = {"steps": 12, "licence": "GPL-2.0", "speech": "čeština"}


def small_model(**changes):
    torch.manual_seed(0)
    return hifigan("hifigan_v2", **{**SMALL, **changes})


def small_checkpoint(**changes) -> Checkpoint:
    description = {**fields("hifigan_v2"), **SMALL}
    made = Checkpoint(description, MEL, small_model().state_dict(), CARD)
    return replace(made, **changes)


@pytest.fixture
def path(tmp_path):
    written = tmp_path / "deep" / "model.safetensors"
    small_checkpoint().write(written, overwrite=False)
    return written


def rewritten(path, drop=None, **metadata):
    """The same file with other metadata, as another program would write them."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        kept = {key: value for key, value in file.metadata().items() if key != drop}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {**kept, **metadata})


def test_comes_back_as_it_was(path):
    found, wanted = read_checkpoint(path), small_checkpoint()
    assert (found.model, found.spec, found.card) == (wanted.model, MEL, CARD)
    assert found.tensors.keys() == wanted.tensors.keys()
    assert all(torch.equal(found.tensors[name], t) for name, t in wanted.tensors.items())


def test_builds_the_model_that_it_is_from(path):
    values = torch.rand(1, MEL.bins, 5)
    built = read_checkpoint(path).build()
    assert not built.training
    assert torch.equal(built(values), small_model()(values))


def test_holds_all_kinds_of_tensors(tmp_path):
    tensors = {
        "half": torch.randn(3, 2).bfloat16(),
        "count": torch.tensor(7),
        "none": torch.zeros(0, 3),
        "turned": torch.arange(6.0).view(2, 3).mT,
    }
    path = tmp_path / "a.safetensors"
    small_checkpoint(tensors=tensors).write(path, overwrite=False)
    found = read_checkpoint(path).tensors
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert {name: t.dtype for name, t in found.items()} == {n: t.dtype for n, t in tensors.items()}


def test_an_existing_file_is_kept(path):
    before = path.read_bytes()
    with pytest.raises(BadInput, match="exists"):
        small_checkpoint(card={}).write(path, overwrite=False)
    assert path.read_bytes() == before
    small_checkpoint(card={}).write(path, overwrite=True)
    assert read_checkpoint(path).card == {}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot write .*model.safetensors"):
        small_checkpoint().write(tmp_path / "file" / "model.safetensors", overwrite=False)


def test_a_flipped_bit_is_found_wherever_it_is(path):
    """In the length, the header (names, shapes, metadata, digest) or the weights."""
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    torch.manual_seed(1)
    places = [*range(12), *torch.randint(12, header, (100,)).tolist(), header - 1, header]
    places += [*torch.randint(header, len(whole), (20,)).tolist(), len(whole) - 1]
    missed = []
    for place in places:
        for bit in (0, 5):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(bytes(damaged))
            try:
                read_checkpoint(path)
            except BadInput as error:
                assert str(path) in str(error)
            else:
                missed.append(f"{place}: {whole[place - 20 : place + 20]!r}")
    assert not missed


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, -8, -5, -1, None])
def test_less_or_more_than_a_whole_file_is_refused(path, keep):
    whole = path.read_bytes() + b"more"
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with refused("weights.damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize("save", [torch.save, lambda c, p: p.write_bytes(pickle.dumps(c))])
def test_a_pickle_is_refused_before_it_runs(save, tmp_path):
    trace = tmp_path / "trace"

    class Malicious:
        def __reduce__(self):
            return trace.touch, ()

    save(Malicious(), tmp_path / "model.safetensors")
    with refused("weights.damaged"):
        read_checkpoint(tmp_path / "model.safetensors")
    assert not trace.exists()


def test_what_is_missing_or_of_another_program_is_named(path):
    for place in (path.with_name("nowhere.safetensors"), path.parent):
        with refused("weights.missing"):
            read_checkpoint(place)
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": torch.zeros(3)}, path, metadata)
        with refused("weights.format"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("drop", "metadata", "message"),
    [
        *((key, {}, "damaged") for key in ("model", "spec", "card", "sha256")),
        (None, {"model": "{"}, "damaged"),
        (None, {"model": "[]"}, "damaged"),
        (None, {"model": "{}"}, "damaged"),
        (None, {"card": "[]"}, "damaged"),
        (None, {"spec": "3"}, "damaged|expected named fields"),
        (None, {"spec": json.dumps({"kind": "mel"})}, "damaged|the spec lacks"),
        (None, {"sha256": "0" * 64}, "damaged"),
    ],
)
def test_metadata_that_lack_something_or_make_no_sense_are_refused(path, drop, metadata, message):
    rewritten(path, drop, **metadata)
    with pytest.raises(BadInput, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize("target", ["os.system", "torch.nn.Linear", "vocoder.model.hifigan.load"])
def test_only_models_of_this_package_are_built(path, target):
    small_checkpoint(model={TARGET: target}).write(path, overwrite=True)
    with pytest.raises(BadInput, match=r"expected a class of the package vocoder, and nothing els"):
        read_checkpoint(path).build()


def test_arguments_of_another_version_are_named(path):
    description = {**fields("hifigan_v2"), **SMALL, "colour": 3}
    small_checkpoint(model=description).write(path, overwrite=True)
    with pytest.raises(BadInput, match="colour"):
        read_checkpoint(path).build()


def test_weights_of_another_model_or_spec_are_refused():
    tensors = dict(small_checkpoint().tensors)
    tensors["bias_of_leave"] = tensors.pop("leave.bias")
    narrower = {**fields("hifigan_v2"), **SMALL, "channels": 4}
    for changes in ({"model": narrower}, {"tensors": tensors}, {"spec": replace(MEL, n_mels=100)}):
        with refused("weights.shape"):
            small_checkpoint(**changes).build()
