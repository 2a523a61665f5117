"""Spectrograms as NumPy files, with their meaning beside them."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.refusals import refused
from vocoder import load
from vocoder.decibels import SILENCE_DB
from vocoder.image.array import find_arrays, read_array, write_array
from vocoder.image.source import ImageSource
from vocoder.image.utterances import load_utterance
from vocoder.spectrogram import Spectrogram, analyse, analyse_linear

MEL = load("spec", "mel256")
LOG = load("spec", "tacotron2")


@pytest.fixture
def sound(speech):
    return torch.from_numpy(speech)[None]


def assert_same(found, expected):
    """Decibels, but for rounding: the file is linear."""
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize("name", ["mel256", "linear512", "linear256", "seed"])
def test_what_is_written_is_read(name, sound, tmp_path):
    given = analyse(sound, load("spec", name))
    write_array(tmp_path / "a.npy", given, overwrite=False)
    found = read_array(tmp_path / "a.npy", None)
    assert_same(found.decibels, given.decibels)
    assert (found.spec, found.n_samples) == (given.spec, given.n_samples)


def test_natural_logarithms_above_a_floor(sound, tmp_path):
    given = analyse(torch.cat([sound, torch.zeros(1, 3000)], dim=1), LOG)
    write_array(tmp_path / "a.npy", given, overwrite=False)
    stored = np.load(tmp_path / "a.npy")
    # What a neural vocoder is trained on: log(clamp(x, 1e-5)).
    expected = np.log(np.maximum(given.linear[0].numpy(), np.float32(1e-5)))
    np.testing.assert_allclose(stored, expected, rtol=1e-6)
    found = read_array(tmp_path / "a.npy", None).linear
    audible = given.linear > 1.001e-5
    torch.testing.assert_close(found[audible], given.linear[audible], rtol=1e-5, atol=0)
    assert (found[given.linear <= 1e-5] == 0).all()  # silence again, not a carpet of noise
    assert (given.linear <= 1e-5).any()


def test_arrays_of_other_programs_need_a_spec(sound, tmp_path):
    linear = analyse_linear(sound, MEL)
    decibels = analyse(sound, MEL).decibels
    np.save(tmp_path / "a.npy", linear.numpy())  # (1, bins, frames), as models give them
    found = read_array(tmp_path / "a.npy", MEL)
    assert torch.equal(found.decibels, decibels) and found.n_samples is None
    assert found.length == (decibels.shape[2] - 1) * MEL.hop_length
    np.save(tmp_path / "b.npy", linear[0].double().numpy())
    assert torch.equal(read_array(tmp_path / "b.npy", MEL).decibels, decibels)
    with refused("spec.missing"):
        read_array(tmp_path / "a.npy", None)


def test_two_meanings_must_agree(sound, tmp_path):
    write_array(tmp_path / "a.npy", analyse(sound, MEL), overwrite=False)
    assert read_array(tmp_path / "a.npy", MEL).n_samples == sound.shape[1]
    with refused("spec.conflict"):
        read_array(tmp_path / "a.npy", LOG)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{", "array.damaged"),
        ("[]", "array.damaged"),
        ("{}", "array.damaged"),
        ('{"spec": {}, "samples": 3}', "spec.missing"),
        ("SPEC, SAMPLES=0", "array.damaged"),
        ("SPEC, SAMPLES=1.5", "array.damaged"),
        ("SPEC, SAMPLES=99999", "spectrogram.length"),
    ],
)
def test_damaged_meanings_are_refused(text, key, sound, tmp_path):
    write_array(tmp_path / "a.npy", analyse(sound, MEL), overwrite=False)
    if text.startswith("SPEC"):
        samples = json.loads(text.partition("=")[2])
        text = json.dumps({"spec": MEL.to_dict(), "samples": samples})
    (tmp_path / "a.spec.json").write_text(text)
    with refused(key):
        read_array(tmp_path / "a.npy", None)


def values(fill=0.5, shape=(256, 9), dtype=np.float32):
    return np.full(shape, fill, dtype)


@pytest.mark.parametrize(
    ("array", "key"),
    [
        (values(shape=(9, 256)), "array.shape"),
        (values(shape=(80, 9)), "array.shape"),
        (values(shape=(2, 256, 9)), "array.shape"),
        (values(shape=(256,)), "array.shape"),
        (values(shape=(256, 0)), "array.shape"),
        (values(dtype=np.int16), "array.type"),
        (values(dtype=np.complex64), "array.type"),
        (values(np.nan), "array.range"),
        (values(np.inf), "array.range"),
        (values(1e300, dtype=np.float64), "array.range"),
        (values(-0.1), "array.range"),
    ],
)
def test_arrays_that_are_no_spectrograms_are_refused(array, key, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with refused(key):
        read_array(tmp_path / "a.npy", MEL)


def test_decibels_are_no_logarithms(tmp_path):
    np.save(tmp_path / "a.npy", values(100.0, shape=(80, 9)))  # e to the 100 is too much
    with refused("array.range"):
        read_array(tmp_path / "a.npy", LOG)


def decimal(x, floor=1e-5):
    return np.log10(np.maximum(x, floor))


def relative(x):
    return np.maximum(20 * (decimal(x) - decimal(x).max()), -80)


def standard(x):
    return (decimal(x) - decimal(x).mean()) / decimal(x).std()


OTHER_LAWS = {
    "codec.unit=log10": decimal,
    "codec.reference=one": lambda x: 20 * decimal(x),
    "codec.reference=max": relative,
    "codec.at_min": lambda x: relative(x) / 80 + 1,
    "codec.at_max": lambda x: relative(x) / 10 + 4,
    "codec.deviation": standard,
}


@pytest.mark.parametrize("told", OTHER_LAWS)
def test_numbers_of_another_law_are_told(told, speech, tmp_path):
    paused = np.concatenate([np.zeros(5000, np.float32), speech])
    linear = analyse_linear(torch.from_numpy(paused)[None], LOG)[0].numpy()
    np.save(tmp_path / "a.npy", OTHER_LAWS[told](linear))
    found = ImageSource(input=tmp_path / "a.npy", spec=LOG).find()
    (note,) = load_utterance(found.utterances[0], found).notes
    assert told in note and f"vocoder identify input={tmp_path / 'a.npy'}" in note


@pytest.mark.parametrize("name", ["tacotron2", "hifigan", "vocos", "diffsinger"])
def test_no_true_logarithms_are_doubted(name, speech, tmp_path):
    spec = load("spec", name)
    noise = np.random.default_rng(0).normal(0, 0.1, speech.shape).astype(np.float32)
    for samples in (
        *(gain * speech for gain in (2, 1, 1e-2, 1e-4, 0)),
        *(speech[:8000], np.pad(speech, 20_000), speech + noise, noise),
        *(np.tanh(20 * speech), np.rint(32768 * speech) / np.float32(32768)),
    ):
        linear = analyse_linear(torch.from_numpy(samples)[None], spec)[0].numpy()
        for floor in (spec.floor, 1e-10):
            for kind in (np.float32, np.float16):
                np.save(
                    tmp_path / "a.npy", np.log(np.maximum(linear, np.float32(floor))).astype(kind)
                )
                notes: list[str] = []
                read_array(tmp_path / "a.npy", spec, None, notes)
                assert notes == []


class Trap:
    """Unpickling it would run code."""

    def __reduce__(self):
        return (pytest.fail, ("the file was unpickled",))


def test_files_that_are_no_plain_arrays_are_refused_and_never_unpickled(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(pickle.dumps(Trap()))
    with refused("array.damaged"):
        read_array(path, MEL)
    with path.open("wb") as file:
        np.save(file, np.array([Trap()], dtype=object), allow_pickle=True)
    with refused("array.damaged"):
        read_array(path, MEL)
    for content in (b"", b"\x93NUMPY\x01\x00", b"no array"):
        path.write_bytes(content)
        with refused("array.damaged"):
            read_array(path, MEL)
    np.save(path, values())
    path.write_bytes(path.read_bytes()[:-100])
    with refused("array.damaged"):
        read_array(path, MEL)
    with path.open("wb") as file:
        np.savez(file, values(), values())
    with refused("array.archive"):
        read_array(path, MEL)
    # A header that promises more than any memory holds.
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (256, 10**12)}
        np.lib.format.write_array_header_1_0(file, header)
    with refused("array.damaged"):
        read_array(path, MEL)


def test_files_are_found_by_their_stems(tmp_path):
    for name in ("b.npy", "a.npy", ".1-c.npy", "d.png"):
        (tmp_path / name).touch()
    assert list(find_arrays(tmp_path)) == ["a", "b"]  # not what a killed run left
    assert find_arrays(tmp_path / "b.npy") == {"b": tmp_path / "b.npy"}
    assert find_arrays(tmp_path / "e.npy") == {} == find_arrays(tmp_path / "d.png")


def test_what_exists_is_kept_unless_told_otherwise(sound, tmp_path):
    given = analyse(sound, MEL)
    write_array(tmp_path / "a.npy", given, overwrite=False)
    stamps = [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())]
    quieter = Spectrogram(given.decibels - 6, MEL)
    with refused("output.exists"):
        write_array(tmp_path / "a.npy", quieter, overwrite=False)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == stamps
    write_array(tmp_path / "a.npy", quieter, overwrite=True)
    found = read_array(tmp_path / "a.npy", None)
    assert_same(found.decibels, quieter.decibels.clamp(min=SILENCE_DB))
    assert found.n_samples is None
    # A run that was killed between the two files left the meaning alone: it is written again.
    (tmp_path / "a.npy").unlink()
    write_array(tmp_path / "a.npy", given, overwrite=False)
    assert read_array(tmp_path / "a.npy", None).n_samples == sound.shape[1]


def test_an_archive_of_one_array_is_that_array(tmp_path):
    values = np.linspace(0.1, 1, MEL.bins * 40, dtype=np.float32).reshape(MEL.bins, 40)
    np.save(tmp_path / "a.npy", values)
    (tmp_path / "archives").mkdir()
    np.savez_compressed(tmp_path / "archives/b.npz", mel=values)
    found = find_arrays(tmp_path / "archives")
    assert list(found) == ["b"] == list(find_arrays(tmp_path / "archives/b.npz"))
    one, other = (read_array(path, MEL).decibels for path in (tmp_path / "a.npy", found["b"]))
    assert torch.equal(one, other)
    np.save(tmp_path / "archives/b.npy", values)
    with refused("input.twice"):
        find_arrays(tmp_path / "archives")
    np.savez(tmp_path / "c.npz", one=values, two=values)
    with refused("array.archive"):
        read_array(tmp_path / "c.npz", MEL)
    np.savez(tmp_path / "c.npz", mel=values[None], rate=22050, audio=values[0], hz=values[:, :1])
    assert torch.equal(read_array(tmp_path / "c.npz", MEL).decibels, one)
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 cut off")
    with refused("array.damaged"):
        read_array(tmp_path / "c.npz", MEL)


PEAK_OF_READING = """
import sys
from pathlib import Path
from vocoder import load
from vocoder.bench.machine import memory_mb
from vocoder.image.array import read_array

spec = load("spec", "mel256")
read_array(Path(sys.argv[1]), spec)  # what is imported late
before = memory_mb()[1]
read_array(Path(sys.argv[2]), spec)
print(memory_mb()[1] - before)
"""


def test_a_long_array_is_never_in_memory_twice(tmp_path):
    """Its decibels replace its numbers strip by strip; measured as the process's own peak."""
    for name, frames in (("short", 3), ("long", 120_000)):
        np.save(tmp_path / f"{name}.npy", np.ones((MEL.bins, frames), np.float32))
    files = [str(tmp_path / "short.npy"), str(tmp_path / "long.npy")]
    command = [sys.executable, "-c", PEAK_OF_READING, *files]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    assert float(done.stdout) < 1.6 * MEL.bins * 120_000 * 4 / 1e6
