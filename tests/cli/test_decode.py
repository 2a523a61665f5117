"""``vocoder decode``: arrays that say what they are, and become the same sound."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.cli.inverting import IMAGES
from tests.cli.results import linked, report
from vocoder import load
from vocoder.cli import main
from vocoder.image.file import ImageInfo, write_image
from vocoder.spectrogram import analyse, analyse_linear

ROOT = Path(__file__).parents[2]
LINES = {"nl_m__m-obdivovat": 573, "nl_v__jes-v-kamen": 319, "nl_v__poh-v-forma": 447}


def decode(source, output, *words):
    return main.run(["decode", f"input={source}", f"output={output}", *words])


@pytest.fixture(scope="module")
def arrays(generated, tmp_path_factory):
    output = tmp_path_factory.mktemp("decode") / "arrays"
    assert decode(generated, output, "label=real_B") == 0
    return output


def test_an_array_an_utterance_and_its_meaning_beside_it(arrays, generated):
    names = sorted(path.name for path in arrays.iterdir())
    ends = (".npy", ".spec.json")
    made = [f"{name}{end}" for name in LINES for end in ends]
    assert names == sorted([*made, "report.json", "index.html"])
    assert set(linked(arrays)) == {path.resolve() for path in generated.rglob("*_real_B.png")}
    for name, n_frames in LINES.items():
        values = np.load(arrays / f"{name}.npy", allow_pickle=False)
        assert values.shape == (256, n_frames) and values.dtype == np.float32
        about = json.loads((arrays / f"{name}.spec.json").read_text())
        assert about["spec"] == load("spec", "mel256").to_dict()
        info = soundfile.info(generated / f"reference/{name}.flac")
        assert about["samples"] == info.frames


def test_values_are_those_of_the_recording(arrays, generated):
    spec = load("spec", "mel256")
    for name in LINES:
        sound, _ = soundfile.read(generated / f"reference/{name}.flac", dtype="float32")
        true = analyse_linear(torch.from_numpy(sound)[None], spec)[0].numpy()
        found = np.load(arrays / f"{name}.npy")
        loud = true > spec.full_scale * 10 ** (-60 / 20)
        error_db = 20 * np.log10(found[loud] / true[loud])
        # Levels are 0.31 dB apart. The program loses nothing of true pictures, whose levels are
        # whole, so the half level that makes up for what it cuts off is too much here.
        assert abs(np.median(error_db)) < 0.2 and np.percentile(np.abs(error_db), 99) < 0.5


def test_arrays_give_the_sound_that_their_pictures_give(arrays, generated, tmp_path):
    words = ("subtype=FLOAT", "inverter.n_iter=2", "inverter.init=zero")
    for source, name, more in ((generated, "a", ["label=real_B"]), (arrays, "b", [])):
        output = f"output={tmp_path / name}"
        assert main.run(["invert", f"input={source}", output, *words, *more]) == 0
    for name in LINES:
        a, b = (soundfile.read(tmp_path / x / f"{name}.wav")[0] for x in "ab")
        np.testing.assert_allclose(a, b, atol=5e-4)  # arrays are linear: rounded otherwise


def test_arrays_are_repaired_where_that_is_asked_for(generated, tmp_path):
    """As `invert` does it: by name, and to the same audio when no repair is left to do."""
    words = ("repair.strength=0.5", "workers=1")
    assert decode(generated, tmp_path / "arrays", "repair=network", *words) == 0
    found = report(tmp_path / "arrays")
    assert found["repair"]["strength"] == 0.5
    assert [row["repaired"]["strength"] for row in found["utterances"]] == [0.5] * len(LINES)
    fast = ("inverter.n_iter=2", "inverter.n_iter_estimated=2", "inverter.init=zero")
    more = (*fast, "subtype=FLOAT", "workers=1")
    for source, name, repair in (
        (generated, "a", ["repair=network", "repair.strength=0.5"]),
        (tmp_path / "arrays", "b", ["repair=none"]),
        (generated, "c", ["repair=none"]),
    ):
        places = [f"input={source}", f"output={tmp_path / name}"]
        assert main.run(["invert", *places, *repair, *more]) == 0
    for name in LINES:
        a, b, c = (soundfile.read(tmp_path / x / f"{name}.wav")[0] for x in "abc")
        np.testing.assert_allclose(a, b, atol=5e-4)
        assert np.abs(a - c).max() > 0.05


def test_logarithms_are_written_where_the_spec_says_so_and_inverted(tmp_path, speech):
    spec, codec = load("spec", "tacotron2"), load("codec", "gray8", db_min=-80.0)
    samples = np.concatenate([speech, np.zeros(5000, np.float32)])
    given = analyse(torch.from_numpy(samples)[None], spec)
    linear = given.linear[0].numpy()
    info = ImageInfo(spec, codec, len(samples))
    write_image(
        tmp_path / "in/line.png", codec.encode(given.decibels[0].numpy(), spec), codec, info
    )
    assert decode(tmp_path / "in", tmp_path / "arrays") == 0
    array = np.load(tmp_path / "arrays/line.npy")
    assert array.min() == pytest.approx(np.log(1e-5))
    inside = linear > 1e-3 * spec.full_scale
    assert np.abs(array - np.log(np.maximum(linear, 1e-5)))[inside].max() < 0.025
    # What HiFi-GAN and its kind would be given becomes sound of the same length here.
    words = ["inverter.n_iter=1", "inverter.init=zero", f"output={tmp_path / 'sound'}"]
    assert main.run(["invert", f"input={tmp_path / 'arrays'}", *words]) == 0
    sound, _ = soundfile.read(tmp_path / "sound/line.wav")
    assert len(sound) == len(samples) and np.abs(sound[-3000:]).max() < 1e-3 < sound.std()


def test_one_bad_file_does_not_stop_the_others(copy, tmp_path, capsys):
    bad = copy / IMAGES / "nl_v__jes-v-kamen__00_fake_B.png"
    bad.write_bytes(b"no picture")
    gone = copy / IMAGES / "nl_v__poh-v-forma__01_fake_B.png"
    gone.unlink()
    assert decode(copy, tmp_path / "out") == 2
    problems = report(tmp_path / "out")["problems"]
    assert set(problems) == {bad.name, "nl_v__poh-v-forma__01"}
    assert all(reason.endswith("; silent") for reason in problems.values())
    assert bad.name in capsys.readouterr().out
    silent = np.load(tmp_path / "out/nl_v__jes-v-kamen.npy")
    assert (silent[:, :192] == 0).all() and (silent[:, 192:] > 0).any()
    silent = np.load(tmp_path / "out/nl_v__poh-v-forma.npy")
    assert (silent[:, 256:] == 0).all() and (silent[:, :256] > 0).any()
    assert decode(copy, tmp_path / "strict", "strict=true") == 2
    assert not (tmp_path / "strict").exists()


KILLED = """
import os, signal, sys
import numpy as np
from vocoder.cli.main import run
save, n = np.save, int(sys.argv[1])
def killed(path, values):
    global n
    save(path, values[:, : len(values) // 2 if n == 0 else None])
    if n == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    n -= 1
np.save = killed
run(["decode", *sys.argv[2:], "workers=1"])
"""


@pytest.mark.parametrize("n_written", [0, 1, 2])
def test_after_a_kill_it_ends_as_if_there_had_been_none(generated, arrays, tmp_path, n_written):
    """Killed in the middle of writing an array, by a signal that nothing can catch."""
    output = tmp_path / "out"
    words = [f"input={generated}", f"output={output}", "label=real_B"]
    process = subprocess.run([sys.executable, "-c", KILLED, str(n_written), *words], cwd=ROOT)
    assert process.returncode == -signal.SIGKILL
    assert len(list(output.glob("[!.]*.npy"))) == n_written < len(LINES)
    assert decode(generated, output, "label=real_B", "resume=true") == 0
    assert sorted(path.name for path in output.iterdir()) == sorted(
        path.name for path in arrays.iterdir()
    )
    for path in arrays.glob("*.npy"):
        assert (output / path.name).read_bytes() == path.read_bytes()


def test_arrays_that_exist_are_refused_kept_or_replaced(generated, tmp_path, capsys):
    one = generated / IMAGES / "nl_v__jes-v-kamen__00_fake_B.png"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.png", "b.png"):
        with Image.open(one) as image:
            image.save(pictures / name)
    words = ("spec=mel256", "codec=gray8")
    assert decode(pictures, tmp_path / "out", *words) == 0
    assert decode(pictures, tmp_path / "out", *words) == 2
    assert "2 of the 2 results already, such as a.npy" in capsys.readouterr().err
    (tmp_path / "out/a.npy").unlink()  # killed between the two files of one array
    stamp = (tmp_path / "out/b.npy").stat().st_mtime_ns
    assert decode(pictures, tmp_path / "out", *words, "resume=true") == 0
    assert (tmp_path / "out/a.npy").exists()
    assert (tmp_path / "out/b.npy").stat().st_mtime_ns == stamp
    assert decode(pictures, tmp_path / "out", *words, "overwrite=true") == 0
    assert (tmp_path / "out/b.npy").stat().st_mtime_ns > stamp
    # Decoding arrays onto themselves would lose them.
    assert decode(tmp_path / "out", tmp_path / "out", "overwrite=true") == 2
    assert "is read and would be written too" in capsys.readouterr().err
