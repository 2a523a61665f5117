"""Manifest and settings of a data set."""

import dataclasses

import pytest
import yaml

from tests.refusals import refused
from vocoder.errors import BadInput
from vocoder.image.codec.scalar import Gray8
from vocoder.image.manifest import (
    Sidecar,
    Tile,
    read_manifest,
    read_sidecar,
    write_manifest,
    write_sidecar,
)
from vocoder.spec import SpectrogramSpec

HEADER = "stem,utterance,start_frame,frames,total_frames"
SPEC = SpectrogramSpec(
    kind="linear",
    sample_rate=22_050,
    n_fft=1024,
    hop_length=256,
    win_length=1024,
    window="hann",
    center=True,
    pad_mode="reflect",
    power=1.0,
    nyquist=False,
    n_mels=None,
    fmin=None,
    fmax=None,
    mel_scale=None,
    mel_norm=None,
    compression="none",
    floor=0.0,
)


def written(tmp_path, *lines, encoding="utf-8"):
    path = tmp_path / "manifest.csv"
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def test_the_manifest_of_a_real_data_set_reads(generated):
    tiles = read_manifest(generated / "manifest.csv")
    assert len({tile.stem for tile in tiles}) == len(tiles) > 1
    assert all(tile.gain_db == 0 and tile.split == "test" and tile.samples for tile in tiles)
    assert all("/" in tile.source for tile in tiles)


def test_writing_and_reading_gives_the_same_tiles(tmp_path):
    tiles = [
        Tile("á__00", "á", 0, 256, 298, -6.0191234567891, "sub/á, b.wav", "train", 76_201),
        Tile("á__01", "á", 192, 106, 298, -6.0191234567891, "sub/á, b.wav", "train", 76_201),
        Tile("plain", "plain", 0, 1, 1),
    ]
    path = tmp_path / "manifest.csv"
    write_manifest(path, tiles, overwrite=False)
    assert read_manifest(path) == tiles
    assert path.read_text(encoding="utf-8").startswith(HEADER)
    with refused("output.exists"):
        write_manifest(path, tiles, overwrite=False)


def test_a_table_from_elsewhere_reads(tmp_path):
    """With a byte-order mark, Windows line ends, other columns, another order, optional gaps."""
    path = tmp_path / "manifest.csv"
    path.write_bytes(
        "\ufeffspeaker,total_frames,frames,start_frame,utterance,stem,gain_db\r\n"
        "anna,300,256,0,u,u-1,\r\n"
        "anna,300,108,192,u,u-2,\r\n".encode()
    )
    assert read_manifest(path) == [Tile("u-1", "u", 0, 256, 300), Tile("u-2", "u", 192, 108, 300)]


@pytest.mark.parametrize(
    ("lines", "phrase"),
    [
        ([], "lacks the columns stem, utterance, start_frame, frames, total_frames"),
        ([HEADER], "has no rows"),
        (["stem,utterance,frames", "a,a,1"], "lacks the columns start_frame, total_frames"),
        ([HEADER.replace(",", ";"), "a;a;0;1;1"], "lacks the columns"),
        ([HEADER + ",stem", "a,a,0,1,1,b"], "the columns stem more than once"),
        ([HEADER, "a,a,0,1,1", "a,b,0,1,1"], r"line 3: the stem 'a' is taken already by .*line 2"),
        ([HEADER, "a,a,-1,1,1"], "line 2: start_frame is -1"),
        ([HEADER, "a,a,0,0,1"], "line 2: frames is 0"),
        ([HEADER, "a,a,0,-5,1"], "line 2: frames is -5"),
        ([HEADER, "a,a,0,1,0"], "line 2: total_frames is 0"),
        ([HEADER, "a,a,0,1,999999999999"], "line 2: total_frames is 999999999999"),
        ([HEADER, "a,a,200,100,299"], "covers frames 200 to 300, but total_frames is 299"),
        ([HEADER, "a,a,0,1.5,2"], "line 2: frames is '1.5'; expected a whole number"),
        ([HEADER, "a,a,0,,2"], "line 2: frames is ''"),
        ([HEADER, "a,a,0,1,2", "b,a,0,2,2"], "line 3: 'a' has another tile from frame 0"),
        ([HEADER, "a,a,0,1,2", "b,a,1,1,3"], "line 3: total_frames of utterance 'a' is 3, but 2"),
        ([HEADER + ",gain_db", "a,a,0,1,2,1", "b,a,1,1,2,2"], "line 3: gain_db of utterance 'a'"),
        ([HEADER + ",split", "a,a,0,1,2,train", "b,a,1,1,2,test"], "line 3: split of utterance"),
        ([HEADER + ",samples", "a,a,0,1,2,7", "b,a,1,1,2,8"], "line 3: samples of utterance"),
        ([HEADER + ",source", "a,a,0,1,2,x", "b,a,1,1,2,y"], "line 3: source of utterance"),
        ([HEADER + ",gain_db", "a,a,0,1,2,inf"], "line 2: gain_db is inf"),
        ([HEADER + ",gain_db", "a,a,0,1,2,loud"], "line 2: gain_db is 'loud'"),
        ([HEADER + ",samples", "a,a,0,1,2,0"], "line 2: samples is 0"),
        ([HEADER, "a,a,0,1"], "line 2: the number of fields differs"),
        ([HEADER, "a,a,0,1,2,3"], "line 2: the number of fields differs"),
        ([HEADER, 'a,"a,0,1,2'], "not comma-separated text"),
    ],
)
def test_what_cannot_be_is_refused_by_line(tmp_path, lines, phrase):
    with pytest.raises(BadInput, match=phrase):
        read_manifest(written(tmp_path, *lines))


@pytest.mark.parametrize(
    "name",
    ["../up", "..", ".", "", "/etc/passwd", "a/b", "a\\b", "..\\up", "C:x", "a\x00b", "a\tb"],
)
@pytest.mark.parametrize("column", ["stem", "utterance"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name, column):
    row = {"stem": "a", "utterance": "a"} | {column: name}
    lines = [HEADER, f"{row['stem']},{row['utterance']},0,1,1"]
    with pytest.raises(BadInput, match=rf"line 2: {column} is .*plain file name"):
        read_manifest(written(tmp_path, *lines))
    with refused("manifest.name"):
        Tile(row["stem"], row["utterance"], 0, 1, 1)


def test_files_that_are_no_table(tmp_path):
    with refused("manifest.format"):
        read_manifest(written(tmp_path, HEADER, "é,a,0,1,1", encoding="latin-1"))
    with refused("manifest.file"):
        read_manifest(tmp_path / "absent.csv")
    with refused("manifest.file"):
        read_manifest(tmp_path)


def test_a_table_that_would_not_read_is_not_written(tmp_path):
    path = tmp_path / "manifest.csv"
    with refused("manifest.conflict"):
        write_manifest(path, [Tile("a", "a", 0, 1, 2), Tile("a", "a", 1, 1, 2)], overwrite=False)
    assert not path.exists()


def test_settings_come_back(tmp_path):
    path = tmp_path / "spec.yaml"
    sidecar = Sidecar(SPEC, Gray8(db_min=-92.04, db_max=-12.04), 256, 64)
    write_sidecar(path, sidecar, overwrite=False)
    assert read_sidecar(path) == sidecar
    with refused("output.exists"):
        write_sidecar(path, sidecar, overwrite=False)


def test_settings_that_cannot_be_are_refused(tmp_path):
    path = tmp_path / "spec.yaml"
    write_sidecar(path, Sidecar(SPEC, Gray8(db_min=-100.0, db_max=0.0), 256, 64), overwrite=False)
    good = yaml.safe_load(path.read_text())

    def refuse(key, **changes):
        path.write_text(yaml.safe_dump(good | changes))
        with refused(key) as caught:
            read_sidecar(path)
        assert str(path) in str(caught.value)

    refuse("spec.missing", spec={k: v for k, v in good["spec"].items() if k != "hop_length"})
    refuse("spec.sample_rate.range", spec=good["spec"] | {"sample_rate": "22k"})
    refuse("codec.unknown", codec={"name": "grey"})
    refuse("tile.overlap_frames.range", tile={"frames": 256, "overlap_frames": 256})
    refuse("tile.frames.range", tile={"frames": "256", "overlap_frames": 0})
    refuse("sidecar.fields", tile={"frames": 256})
    refuse("sidecar.fields", tile=[256, 64])
    refuse("sidecar.fields", speaker="anna")
    path.write_text("")
    with refused("sidecar.fields"):
        read_sidecar(path)
    no_yaml = (b"a: [", b"!!python/object:os.x {}", b"spec: 2024-13-45", b"[" * 5000)
    for text in (*no_yaml, b"\xff\xfe\x00"):
        path.write_bytes(text)
        with refused("sidecar.format"):
            read_sidecar(path)
    with refused("sidecar.file"):
        read_sidecar(tmp_path / "absent.yaml")


def test_a_tile_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Tile("a", "a", 0, 1, 1).stem = "../b"  # type: ignore[misc]
