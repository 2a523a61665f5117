"""``vocoder invert``: what a pix2pix program generated becomes sound."""

import csv
import os
import re
import shutil

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.cli.inverting import HOP, IMAGES, LINES, RATE, invert, sound, sounds, write_one
from tests.cli.results import linked, report
from vocoder import load
from vocoder.cli import main
from vocoder.evaluate.metrics import estoi
from vocoder.inverter.griffin_lim import GriffinLim


@pytest.fixture(scope="module")
def louder(generated, tmp_path_factory):
    """A manifest that says that recordings were brought down by 6.02 dB before they were images."""
    folder = tmp_path_factory.mktemp("louder")
    text = (generated / "manifest.csv").read_text().replace(",0.000,", ",-6.021,")
    (folder / "manifest.csv").write_text(text)
    shutil.copy(generated / "spec.yaml", folder)
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def whole(generated, louder, tmp_path_factory):
    """The true pictures inverted well enough to be measured, with drawings."""
    output = tmp_path_factory.mktemp("whole") / "out"
    words = [f"input={generated}", f"manifest={louder}", f"output={output}", "label=real_B"]
    words += ["repair=none", "inverter.n_iter=8", "subtype=FLOAT", "seed=5", "pictures=true"]
    assert main.run(["invert", *words, f"reference={generated / 'reference'}"]) == 0
    return output


def test_names_lengths_and_rate_are_the_manifests(whole, generated):
    with (generated / "manifest.csv").open(newline="") as file:
        samples = {row["utterance"]: int(row["samples"]) for row in csv.DictReader(file)}
    assert sounds(whole) == [f"{name}.wav" for name in sorted(samples)]
    for name, length in samples.items():
        assert len(sound(whole / f"{name}.wav")) == length


def test_level_is_the_recordings_own(whole, generated):
    for name in LINES:
        true = sound(generated / f"reference/{name}.flac")
        level_db = 20 * np.log10(sound(whole / f"{name}.wav").std() / true.std())
        assert level_db == pytest.approx(6.02, abs=0.3)


def test_the_report_says_what_was_done_and_how_good_it_is(whole):
    found = report(whole)
    assert (found["program"], found["label"]) == ("pytorch-CycleGAN-and-pix2pix", "real_B")
    assert found["spec"]["n_mels"] == 256 and found["codec"]["db_min"] == -92.04
    assert found["inverter"]["class"] == "GriffinLim" and found["inverter"]["n_iter"] == 8
    assert found["seed"] == found["inverter"]["seed"] == 5
    assert found["problems"] == {} and found["elapsed_s"] > 0
    assert [row["utterance"] for row in found["utterances"]] == list(LINES)
    for row in found["utterances"]:
        assert row["seconds"] == pytest.approx(soundfile.info(whole / row["file"]).duration)
        assert row["measures"]["estoi"] > 0.9
        assert row["measures"]["level_db"] == pytest.approx(6.02, abs=0.3)


def test_drawings_lie_beside_the_sound(whole):
    for name in LINES:
        with Image.open(whole / f"{name}.png") as image:
            assert image.width == 1000 and np.asarray(image).std() > 20


def test_the_table_and_where_to_look_are_printed(generated, tmp_path, capsys):
    assert invert(generated, tmp_path / "o", f"reference={generated / 'reference'}") == 0
    text = capsys.readouterr().out
    assert "3 utterances from pytorch-CycleGAN-and-pix2pix, label fake_B" in text
    for name in LINES:
        assert f"{name}.wav" in text
    assert "estoi" in text and f"Results and report.json in {tmp_path / 'o'}" in text


def test_a_label_is_another_picture(whole, generated, tmp_path):
    assert invert(generated, tmp_path, "inverter.n_iter=8", "inverter.init=phase_gradient") == 0
    name = LINES[2]
    true = sound(generated / f"reference/{name}.flac")
    scores = [estoi(true, sound(folder / f"{name}.wav"), RATE) for folder in (whole, tmp_path)]
    assert scores[0] > scores[1] + 0.2  # what was generated is not as good as the truth


def test_subtypes_hold_what_they_can(generated, louder, tmp_path, capsys):
    loudest = louder.with_name("loudest.csv")
    loudest.write_text(louder.read_text().replace("-6.021", "-12.0"))
    for subtype in ("FLOAT", "PCM_24", "PCM_16"):
        words = (f"subtype={subtype}", "repair=none", f"manifest={loudest}", "peak_db=null")
        assert invert(generated, tmp_path / subtype, *words) == 0
        path = tmp_path / subtype / f"{LINES[1]}.wav"
        assert soundfile.info(path).subtype == subtype
    exact = np.concatenate([sound(tmp_path / "FLOAT" / f"{name}.wav") for name in LINES])
    for subtype, bits in (("PCM_24", 24), ("PCM_16", 16)):
        rounded = np.concatenate([sound(tmp_path / subtype / f"{name}.wav") for name in LINES])
        error = np.abs(rounded - np.clip(exact, -1, 1 - 2.0 ** (1 - bits)))
        assert error.max() <= 2.0**-bits * 1.01
    # Told by both integer types, and not by FLOAT, which keeps them.
    told = re.findall(r"(\d+) samples beyond full scale cut off", capsys.readouterr().out)
    assert sum(map(int, told)) == 2 * (np.abs(exact) > 1).sum() > 0
    # By default nothing is: what would be is brought down, and the rest stays as it is.
    assert invert(generated, tmp_path / "down", "repair=none", f"manifest={loudest}") == 0
    said, lowered = capsys.readouterr().out, 0
    for name in LINES:
        level, full = (sound(tmp_path / x / f"{name}.wav") for x in ("down", "FLOAT"))
        gain = min(1, 1 / np.abs(full).max())
        np.testing.assert_allclose(level, gain * full, atol=2**-15)
        assert (f"{name}.wav: brought down by {-20 * np.log10(gain):.1f} dB" in said) == (gain < 1)
        lowered += gain < 1
    assert lowered


def test_every_file_can_be_heard_and_seen_in_a_browser(whole, generated, tmp_path):
    """Every link of the page leads to the file that it names, true recordings included."""
    links = linked(whole)
    assert all(link.is_file() for link in links) and len(links) == 3 * len(LINES)
    assert {link for link in links if link.suffix == ".flac"} == {
        (generated / f"reference/{name}.flac").resolve() for name in LINES
    }
    (tmp_path / "index.html").write_text("somebody else's")
    assert invert(generated, tmp_path) == 0
    assert (tmp_path / "index.html").read_text() == "somebody else's"


def test_what_is_too_quiet_for_the_file_is_told(copy, tmp_path):
    for tile in copy.rglob("nl_v__jes-v-kamen__*_fake_B.png"):
        levels = np.asarray(Image.open(tile).convert("L"))
        Image.fromarray((levels > 150).astype(np.uint8)).save(tile)
    assert invert(copy, tmp_path, "inverter.n_iter=2", "repair=none") == 0
    notes = {row["utterance"]: row["note"] for row in report(tmp_path)["utterances"]}
    assert [name for name, note in notes.items() if "gain=peak" in note] == ["nl_v__jes-v-kamen"]


def test_the_level_can_be_set(generated, tmp_path):
    for name, words in {"a": (), "b": ("gain=-10",), "c": ("gain=peak", "peak_db=-6")}.items():
        assert invert(generated, tmp_path / name, "subtype=FLOAT", "repair=none", *words) == 0
    for name in LINES:
        a, b, c = (sound(tmp_path / x / f"{name}.wav") for x in "abc")
        np.testing.assert_allclose(b, a * 10**-0.5, atol=1e-6)
        np.testing.assert_allclose(c, a / np.abs(a).max() * 10**-0.3, atol=1e-5)


def test_the_same_seed_gives_the_same_sound_however_many_at_once(generated, tmp_path):
    random = ("inverter.init=random", "subtype=FLOAT")
    for name, words in {"a": ("workers=1",), "b": ("workers=2",), "c": ("seed=1",)}.items():
        assert invert(generated, tmp_path / name, *random, *words) == 0
    for name in LINES:
        a, b, c = (sound(tmp_path / x / f"{name}.wav") for x in "abc")
        assert (a == b).all() and (a != c).any()


def test_an_utterance_is_inverted_once_with_all_its_tiles(generated, tmp_path, monkeypatch):
    seen = []
    invert_batch = GriffinLim.invert_batch

    def counted(self, spectrograms):
        seen.append([one.n_frames for one in spectrograms])
        return invert_batch(self, spectrograms)

    monkeypatch.setattr(GriffinLim, "invert_batch", counted)
    assert invert(generated, tmp_path / "apart", "repair=none") == 0
    assert sorted(seen) == [[319], [447], [573]]  # total_frames of the manifest
    seen.clear()
    assert invert(generated, tmp_path / "together", "repair=none", "batch=2") == 0
    assert sorted(seen) == [[319, 447], [573]]  # similar lengths
    for path in (tmp_path / "apart").glob("*.wav"):
        assert path.read_bytes() == (tmp_path / "together" / path.name).read_bytes()


def test_one_of_a_batch_that_cannot_be_read_does_not_stop_the_others(copy, tmp_path):
    for tile in (copy / IMAGES).glob(f"{LINES[1]}__*_fake_B.png"):
        tile.write_bytes(b"no picture")
    assert invert(copy, tmp_path / "out", "batch=3") == 2
    assert sounds(tmp_path / "out") == [f"{LINES[0]}.wav", f"{LINES[2]}.wav"]
    assert LINES[1] in report(tmp_path / "out")["problems"]


def test_one_that_is_too_large_for_the_memory_does_not_stop_the_others(
    generated, tmp_path, monkeypatch
):
    invert_batch = GriffinLim.invert_batch

    def limited(self, spectrograms):
        if spectrograms[0].n_frames > 500:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return invert_batch(self, spectrograms)

    monkeypatch.setattr(GriffinLim, "invert_batch", limited)
    assert invert(generated, tmp_path, "repair=none") == 2
    assert len(sounds(tmp_path)) == 2
    assert re.search(r"not enough memory .*batch=1", str(report(tmp_path)["problems"]))


def test_bare_pictures_of_several_specs_in_one_batch(tmp_path, speech):
    for name, spec in (("mel", "mel256"), ("linear", "linear512"), ("again", "mel256")):
        write_one(tmp_path / f"in/{name}.png", speech, load("spec", spec))
    assert invert(tmp_path / "in", tmp_path / "out", "batch=8") == 0
    assert sounds(tmp_path / "out") == ["again.wav", "linear.wav", "mel.wav"]


def test_tiles_without_their_manifest_are_told(copy, tmp_path, capsys):
    (copy / "manifest.csv").unlink()
    spec = ("spec=mel256", "codec=gray8")
    assert invert(copy / IMAGES, tmp_path / "out", *spec) == 0
    assert "named like tiles of a data set" in capsys.readouterr().out


def test_pairs_of_a_data_set_are_not_generated_images(tmp_path, generated, capsys):
    for name in ("manifest.csv", "spec.yaml"):
        (tmp_path / "test").mkdir(exist_ok=True)
        shutil.copy(generated / name, tmp_path)
    for path in (generated / IMAGES).glob("*_real_A.png"):
        sides = [
            np.asarray(Image.open(str(path).replace("real_A", x))) for x in ("real_A", "real_B")
        ]
        stem = path.stem.removesuffix("_real_A")
        Image.fromarray(np.concatenate(sides, axis=1)).save(tmp_path / f"test/{stem}.png")
    assert invert(tmp_path / "test", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "none of 3 images can be used" in said and "a pair of A and B" in said


@pytest.mark.parametrize("inverter", ["griffin_lim", "admm"])
def test_a_missing_tile_is_silence_in_its_place(inverter, copy, tmp_path, capsys):
    whole, partly = tmp_path / "whole", tmp_path / "partly"
    words = (f"inverter={inverter}", "repair=none", "inverter.n_iter=12", "subtype=FLOAT")
    assert invert(copy, whole, *words) == 0
    (copy / IMAGES / f"{LINES[2]}__01_fake_B.png").unlink()
    assert invert(copy, partly, *words) == 2
    assert report(partly)["problems"] == {f"{LINES[2]}__01": "missing; silent"}
    assert f"{LINES[2]}__01: missing; silent" in capsys.readouterr().out
    assert sounds(partly) == sounds(whole)
    before, after = (sound(folder / f"{LINES[2]}.wav") for folder in (whole, partly))
    assert len(before) == len(after)
    # The other tile ends at frame 256; a window reaches two hops further.
    gone = slice((256 + 4) * HOP, None)
    assert np.abs(before[gone]).max() > 0.1
    assert np.abs(after[gone]).max() < 1e-4
    kept = slice(0, 150 * HOP)
    assert after[kept].std() == pytest.approx(before[kept].std(), rel=0.05)


def spoil(folder):
    """Tiles resized, cut short, doubled, foreign; what the report must say of each."""
    first = folder / IMAGES / f"{LINES[1]}__00_fake_B.png"
    tile = Image.open(folder / IMAGES / f"{LINES[0]}__01_fake_B.png")
    Image.open(first).resize((286, 286)).save(first)
    wide = folder / IMAGES / f"{LINES[0]}__00_fake_B.png"
    tile.resize((286, 256)).save(wide)
    half = folder / IMAGES / f"{LINES[2]}__01_fake_B.png"
    half.write_bytes(half.read_bytes()[:3000])
    tile.save(folder / IMAGES / f"{LINES[2]}__00_fake_B.jpg")
    tile.save(folder / IMAGES / "holiday.png")
    tile.save(folder / IMAGES / "another__00_fake_B.png")
    return {
        first.name: "286 wide and 286 high; expected 256 rows",
        wide.name: "286 pixels wide; the data set's tiles are 256",
        half.name: "truncated",
        f"{LINES[2]}__00_fake_B.jpg": "same name with another suffix",
        "holiday.png": "no label of pytorch-CycleGAN-and-pix2pix",
        "another__00_fake_B.png": "the manifest does not know it",
    }


def test_every_tile_that_cannot_be_used_is_named_and_the_rest_is_rendered(copy, tmp_path):
    expected = spoil(copy)
    assert invert(copy, tmp_path / "out") == 2
    problems = report(tmp_path / "out")["problems"]
    assert problems.keys() == expected.keys()
    for name, words in expected.items():
        assert words in problems[name]
    assert sounds(tmp_path / "out") == [f"{name}.wav" for name in LINES]


def test_foreign_pictures_may_be_called_anything(copy, tmp_path):
    name = os.fsdecode(b"gr\xfc\xdfe.png")
    shutil.copy(copy / IMAGES / f"{LINES[0]}__00_fake_B.png", copy / IMAGES / name)
    assert invert(copy, tmp_path / "out") == 2
    assert list(report(tmp_path / "out")["problems"]) == [name]


def test_strict_refuses_before_anything_is_written(copy, tmp_path, capsys):
    output = tmp_path / "out"
    half = copy / IMAGES / f"{LINES[2]}__01_fake_B.png"
    half.write_bytes(half.read_bytes()[:3000])  # not seen before it is read
    assert invert(copy, output, "strict=true") == 2
    assert half.name in capsys.readouterr().err and not output.exists()
    half.unlink()
    (copy / IMAGES / "holiday.png").touch()
    assert invert(copy, output, "strict=true") == 2
    said = capsys.readouterr().err
    assert "holiday.png: no label" in said and f"{LINES[2]}__01: missing" in said
    assert not output.exists()


def test_an_utterance_without_any_tile_is_named(copy, tmp_path):
    for path in (copy / IMAGES).glob(f"{LINES[0]}*"):
        path.unlink()
    assert invert(copy, tmp_path) == 2
    assert "none of its 3 tiles is there" in report(tmp_path)["problems"][LINES[0]]
    assert sounds(tmp_path) == [f"{name}.wav" for name in LINES[1:]]
