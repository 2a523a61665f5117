"""``vocoder encode``: what exists, what goes on, what is refused and what is told."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.encoding import encode, save, splits_of, tiles_of
from tests.cli.results import report
from tests.refusals import refused
from vocoder import load


def test_existing_output_is_refused_and_left_overs_are_named(tmp_path, folder, capsys):
    out = tmp_path / "out"
    encode(folder, out)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with refused("output.exists"):
        encode(folder, out)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    (folder / "a.wav").rename(folder / "z.wav")
    (out / "pictures/.99-half.png").touch()
    assert encode(folder, out, overwrite=True) == 0
    assert report(out)["left_over"] == ["pictures/.99-half.png", "pictures/a__00.png"]
    assert "remove them (2)" in capsys.readouterr().out
    assert (out / "pictures/a__00.png").exists(), "nothing is deleted"


def test_an_error_half_way_leaves_no_manifest_and_no_half_file(tmp_path, folder, monkeypatch):
    saved = Image.Image.save
    calls = []

    def failing(self, path, *rest, **options):
        calls.append(path)
        if len(calls) == 3:
            Path(path).write_bytes(b"half a picture")
            raise OSError(28, "No space left on device")
        saved(self, path, *rest, **options)

    monkeypatch.setattr(Image.Image, "save", failing)
    out = tmp_path / "out"
    with refused("output.unwritable"):
        encode(folder, out)
    assert sorted(p.name for p in out.rglob("*") if p.is_file()) == [
        "a__00.png",
        "b__00.png",
        "report.json",  # the settings that resume=true compares
    ]
    assert report(out)["utterances"] == []
    monkeypatch.setattr(Image.Image, "save", saved)
    finished = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    with refused("output.conflict"):
        encode(folder, out, resume=True, gain="peak")
    assert encode(folder, out, resume=True) == 0
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    assert {t.stem for t in tiles_of(out)} == {"a__00", "b__00", "sub__c__00"}
    assert encode(folder, out, resume=True) == 0, "nothing is left to do"


def test_there_must_be_something_to_resume(tmp_path, folder):
    save(tmp_path / "out/else.wav", np.zeros(9, np.float32))
    with refused("output.unfinished"):
        encode(folder, tmp_path / "out", resume=True)
    assert encode(folder, tmp_path / "new", resume=True) == 0


def test_no_program_is_recommended_for_what_none_can_read(tmp_path, folder, capsys):
    codec = load("codec", "rgb24")
    assert encode(folder, tmp_path / "out", codec=codec) == 0
    assert "test.py" not in capsys.readouterr().out
    assert report(tmp_path / "out")["commands"] == []


def test_a_line_on_both_sides_is_in_one_split(tmp_path, folder, speech):
    other = tmp_path / "other"
    for k in range(12):
        save(other / f"only{k}.wav", speech[:6000])
        save(folder / f"both{k}.wav", speech[:6000])
        save(other / f"both{k}.wav", speech[:6000] / 2)
    split = {"val": 0.2, "test": 0.3}
    encode(folder, tmp_path / "out", style="unaligned", input_a=other, split=split)
    splits = splits_of(tmp_path / "out")
    assert len(set(splits.values())) == 3
    for k in range(12):
        assert splits[f"A__both{k}"] == splits[f"B__both{k}"]


def test_captions_have_letters_of_all_of_europe(tmp_path, speech):
    """A letter that the font lacks is a box, the same for all."""
    pictures = []
    for name in ("ü", "ř", "ж"):
        save(tmp_path / name / f"{name}.wav", speech[:9000])
        encode(tmp_path / name, tmp_path / f"out {name}")
        sheet = np.asarray(Image.open(tmp_path / f"out {name}" / "contact_sheet.png"))
        pictures.append(sheet[:28].tobytes())  # the caption
    assert len(set(pictures)) == 3


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"style": "paired"}, "style.unknown"),
        ({"style": "aligned"}, "input_a.conflict"),
        ({"input_a": "given"}, "input_a.conflict"),
        ({"gain": "loud"}, "gain.unknown"),
        ({"gain": "peak", "peak_db": 3}, "peak_db.range"),
        ({"channels": 2}, "channels.unknown"),
        ({"audio_channel": "left"}, "audio_channel.unknown"),
        ({"unpaired": "drop"}, "unpaired.unknown"),
        ({"lengths": "pad"}, "lengths.unknown"),
        ({"split": {"val": 0.0, "test": 2}}, "split.range"),
        ({"tile": {"frames": 256, "overlap_frames": 256}}, "tile.overlap_frames.range"),
        ({"tile": {"frames": "256", "overlap_frames": 0}}, "tile.frames.range"),
        ({"suffix": "png"}, "suffix.unknown"),
        ({"input": "absent"}, "recordings.missing"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(changes, key, tmp_path, folder):
    with refused(key):
        encode(folder, tmp_path / "x", **changes)
    assert not (tmp_path / "x").exists()


def test_a_file_in_the_place_of_the_folder_is_kept(tmp_path, folder):
    (tmp_path / "file").write_text("in the way")
    with refused("output.exists"):
        encode(folder, tmp_path / "file")
