"""Every way to ruin a spectrogram is found, and nothing is found where all is well."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from tests.image.doctor.looking import GRAY8, OPTIONS, codes, examine
from tests.refusals import refused
from vocoder import load
from vocoder.decibels import SILENCE_DB
from vocoder.image.codec.base import Codec
from vocoder.image.codec.palette import Hue
from vocoder.image.codec.scalar import Float32, Gray8, Gray16
from vocoder.image.file import ImageInfo, write_image
from vocoder.image.manifest import Sidecar, Tile, write_manifest, write_sidecar
from vocoder.image.tiles import cut
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import analyse

RUN = "results/tel/test_latest/images"
FRAMES, OVERLAP = 100, 32


@pytest.fixture
def data_set(tmp_path, speech, mel256):
    """Make a data set as encode does: ``style`` aligned, pix2pixhd or single. A is B with
    telephone noise; ``offset`` is the constant in B's recording."""

    def make(
        style: str,
        codec: Codec = GRAY8,
        gain_db: float = 0.0,
        suffix: str | None = None,
        offset: float = 0.0,
    ) -> Path:
        root: Path = tmp_path / "data"
        rng = np.random.default_rng(0)
        noisy = speech + rng.normal(0, 0.01, speech.shape).astype(np.float32)
        both = torch.from_numpy(np.stack([speech + np.float32(offset), noisy]))
        loud = analyse(both, mel256).decibels.numpy() + np.float32(gain_db)
        target, given = (codec.encode(one, mel256) for one in loud)
        silence = codec.encode(np.full((mel256.bins, 1), SILENCE_DB), mel256)
        tiles = []
        for k, (start, frames) in enumerate(cut(target.shape[1], FRAMES, OVERLAP)):
            filling = np.repeat(silence, FRAMES - frames, axis=1)
            a, b = (
                np.concatenate([pixels[:, start : start + frames], filling], axis=1)
                for pixels in (given, target)
            )
            folders = {
                "aligned": {"test": np.concatenate([a, b], axis=1)},
                "pix2pixhd": {"test_A": a, "test_B": b},
                "single": {"pictures": b},
            }[style]
            tiles.append(
                Tile(f"line__{k:02d}", "line", start, frames, target.shape[1], split="test")
            )
            for folder, pixels in folders.items():
                path = root / folder / f"{tiles[-1].stem}{suffix or codec.suffixes[0]}"
                write_image(path, pixels, codec, ImageInfo(mel256, codec))
        sidecar = Sidecar(mel256, codec, FRAMES, OVERLAP)
        write_manifest(root / "manifest.csv", tiles, overwrite=False)
        write_sidecar(root / "spec.yaml", sidecar, overwrite=False)
        return root

    return make


def change(root: Path, how, pattern: str = "*.png") -> None:
    """Replace images by what ``how`` makes of them, as PNG without metadata."""
    for path in sorted(root.rglob(pattern)):
        with Image.open(path) as image:
            changed = how(image.copy())
        changed.info.clear()
        changed.save(path)


def to_jpeg(root: Path) -> None:
    for path in sorted(root.rglob("*.png")):
        with Image.open(path) as image:
            image.convert("RGB").save(path.with_suffix(".jpg"))
        path.unlink()


def jitter(image: Image.Image) -> Image.Image:
    """What load_size=286, crop_size=256 does, for a tile of any size."""
    width, height = image.size
    larger = image.resize((width * 286 // 256, height * 286 // 256), Image.Resampling.BICUBIC)
    return larger.crop((9, 13, 9 + width, 13 + height))


@pytest.fixture
def output(tmp_path, generated):
    """A copy of real pix2pix output, its manifest and settings; real_B for fake_B, since the
    channels of real output disagree."""
    root = tmp_path / "generated"
    shutil.copytree(generated, root, ignore=shutil.ignore_patterns("reference"))
    for path in root.rglob("*_real_B.png"):
        path.rename(path.with_name(path.name.replace("real_B", "fake_B")))
    return root


class TestDataSet:
    def test_counts_come_from_the_data_set(self, tmp_path, data_set):
        root = data_set("pix2pixhd")
        path = tmp_path / "test_opt.txt"
        text = (OPTIONS / "good_test_opt.txt").read_text().replace("unet_256", "resnet_9blocks")
        path.write_text(text.replace("num_test: 2000", "num_test: 2   "))
        (capped,) = examine(path, manifest=root / "manifest.csv")
        assert (capped.code, "2 of 3" in capped.found) == ("cap", True)

    def test_not_options(self, tmp_path):
        path = tmp_path / "train_opt.txt"
        path.write_text("to whom it may concern: hello\n")
        with refused("options.format"):
            examine(path)
        text = (OPTIONS / "good_test_opt.txt").read_text()
        path.write_text(text.replace("num_test: 2000", "num_test: many"))
        with refused("options.type"):
            examine(path)

    @pytest.mark.parametrize("style", ["aligned", "pix2pixhd", "single"])
    @pytest.mark.parametrize("codec", [GRAY8, Hue(db_min=-100.0, db_max=0.0)], ids=["gray8", "hue"])
    def test_fresh_ones_are_clean(self, data_set, style, codec):
        root = data_set(style, codec)
        assert examine(root) == []
        for folder in root.iterdir():
            if folder.is_dir():
                assert examine(folder) == []

    @pytest.mark.parametrize("codec", [GRAY8, Hue(db_min=-100.0, db_max=0.0)], ids=["gray8", "hue"])
    @pytest.mark.parametrize(
        ("how", "code"), [(ImageOps.mirror, "mirrored"), (ImageOps.flip, "upside_down")]
    )
    def test_turned_over(self, data_set, codec, how, code):
        root = data_set("pix2pixhd", codec)
        change(root, how)
        (finding,) = examine(root)
        assert finding.code == code

    @pytest.mark.parametrize("style", ["aligned", "single"])
    def test_constant_offsets(self, data_set, style):
        (finding,) = examine(data_set(style, offset=0.003))
        assert finding.code == "offset"

    def test_some_mirrored_ones_are_named(self, data_set):
        root = data_set("single")
        change(root, ImageOps.mirror, "line__02.png")
        (finding,) = examine(root)
        assert finding.code == "mirrored"
        assert "line__02.png" in finding.where
        assert "line__00.png" not in finding.where

    def test_resized_and_cropped_ones_are_not_called_mirrored(self, data_set):
        """As CycleGAN's programs do it by default."""
        root = data_set("single")
        edges = iter((0, 3, 30, 60, 5, 17, 41, 9))

        def resize_and_crop(tile: Image.Image) -> Image.Image:
            left, low = next(edges), next(edges)
            wide, high = tile.size
            return tile.resize((wide + 60, high + 60)).crop((left, low, left + wide, low + high))

        change(root, resize_and_crop)
        assert "mirrored" not in codes(examine(root))

    @pytest.mark.parametrize("codec", [Gray16, Float32])
    def test_depth_that_programs_destroy(self, data_set, codec):
        findings = examine(data_set("single", codec(db_min=-100.0, db_max=0.0)))
        assert codes(findings) == {"deep"}
        assert "3 of 3" in findings[0].where

    def test_sixteen_bits_slipped_in(self, data_set):
        root = data_set("single")
        change(root, lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257))
        assert codes(examine(root)) == {"deep"}

    @pytest.mark.parametrize("mode", ["CMYK", "1"])
    def test_modes_that_are_no_spectrograms(self, data_set, mode):
        root = data_set("single")
        path = root / "pictures/line__01.png"
        with Image.open(path) as image:
            image.convert(mode).save(path, format="TIFF" if mode == "CMYK" else "PNG")
        (finding,) = examine(root)
        assert finding.code == "unusable"
        assert "line__01.png" in finding.where
        assert f"mode {mode}" in finding.where

    def test_jpeg(self, data_set):
        (finding,) = examine(data_set("single", suffix=".jpg"))
        assert finding.code == "lossy"

    @pytest.mark.parametrize(("gain_db", "code"), [(40, "clipped"), (-40, "unused")])
    def test_level_too_high_or_too_low(self, data_set, gain_db, code):
        (finding,) = examine(data_set("aligned", gain_db=gain_db))
        assert finding.code == code

    def test_sizes(self, data_set):
        root = data_set("aligned")
        change(root, lambda image: image.resize((256, 256)), "line__01.png")
        (finding,) = examine(root)
        assert finding.code == "size"
        assert "line__01.png (256 x 256)" in finding.where

    def test_other_heights_beside_a_neighbour(self, data_set):
        root = data_set("single")
        change(root, lambda image: image.crop((0, 0, 100, 251)), "line__01.png")
        assert "size" in codes(examine(root))

    def test_images_and_manifest_disagree(self, data_set):
        root = data_set("single")
        (root / "pictures/line__01.png").rename(root / "pictures/other.png")
        findings = examine(root)
        assert codes(findings) == {"missing", "foreign"}
        assert {finding.where.split(": ")[1] for finding in findings} == {"line__01", "other"}

    @pytest.mark.parametrize("style", ["single", "aligned"])
    def test_negatives(self, data_set, style):
        root = data_set(style)
        change(root, ImageOps.invert)
        assert codes(examine(root)) == {"negative"}
        change(root, ImageOps.invert)
        assert examine(root) == []

    def test_settings_disagree(self, data_set, mel256):
        root = data_set("single")
        other = Gray8(db_min=-90.0, db_max=0.0)
        write_sidecar(root / "spec.yaml", Sidecar(mel256, other, FRAMES, OVERLAP), overwrite=True)
        assert codes(examine(root)) == {"settings"}
        with refused("codec.conflict"):
            examine(root, codec=GRAY8)
        with refused("spec.conflict"):
            examine(root, spec=SpectrogramSpec(**mel256.to_dict() | {"hop_length": 128}))


class TestGenerated:
    def test_real_output_is_clean_but_for_its_channels(self, generated):
        assert examine(generated, label="real_A") == examine(generated, label="real_B") == []
        (finding,) = examine(generated)
        assert finding.code == "channels"
        assert "dB" in finding.found

    def test_without_manifest(self, generated, tmp_path):
        shutil.copytree(generated / "results", tmp_path / "results")
        (finding,) = examine(tmp_path)
        assert finding.code == "channels"
        assert "vocoder identify" in finding.fix  # nothing says that they are grey
        assert "vocoder identify" not in examine(generated)[0].fix
        assert examine(tmp_path, label="real_B") == []

    @pytest.mark.parametrize(
        ("how", "code"), [(ImageOps.mirror, "mirrored"), (ImageOps.flip, "upside_down")]
    )
    @pytest.mark.parametrize("label", ["real_A", "fake_B"])
    def test_turned_over(self, output, how, code, label):
        change(output, how)
        (finding,) = examine(output, label=label)
        assert finding.code == code

    @pytest.mark.parametrize(
        ("how", "code"),
        [
            (ImageOps.mirror, "mirrored"),
            (ImageOps.flip, "upside_down"),
            (ImageOps.invert, "negative"),
        ],
    )
    def test_spoilt_though_blurred_and_invented_by_a_network(self, copy, how, code):
        change(copy, how)
        assert codes(examine(copy)) == {"channels", code}

    @pytest.mark.parametrize(
        ("folder", "codec", "found"),
        [
            (
                "pix2pix_hue",
                "gray8",
                "the images are coloured, but those of codec gray8 are grey",
            ),
            ("pix2pix", "hue", "the images are grey, but those of codec hue are coloured"),
            ("pix2pix", "colormap", "codec colormap are coloured"),
        ],
    )
    def test_images_of_another_codec(self, generated, tmp_path, folder, codec, found):
        shutil.copytree(generated.parent / folder / "results", tmp_path / "results")
        codec = load("codec", codec, db_min=-92.04, db_max=-12.04)
        (finding,) = examine(tmp_path, spec=load("spec", "mel256"), codec=codec)
        assert finding.code == "codec"
        assert found in finding.found

    def test_jpeg(self, output):
        to_jpeg(output)
        assert codes(examine(output)) == {"lossy"}

    def test_resized(self, output):
        change(output, lambda image: image.resize((512, 256)))
        (finding,) = examine(output)
        assert finding.code == "size"
        assert "256 x 256" in finding.found

    def test_missing_foreign_duplicate_and_unlabelled(self, output):
        images = output / RUN
        one, two = sorted(images.glob("*_fake_B.png"))[:2]
        two.rename(images / "stranger_fake_B.png")
        with Image.open(one) as image:
            image.save(one.with_suffix(".tif"))
            image.save(images / "holiday.png")
        findings = examine(output)
        assert codes(findings) == {"missing", "foreign", "duplicate", "unlabelled"}
        (missing,) = (finding for finding in findings if finding.code == "missing")
        assert "nl_m__m-obdivovat__01" in missing.where
        assert "--num_test 7" in missing.fix

    def test_cap_of_fifty(self, tmp_path):
        ramp = np.tile(np.linspace(0, 255, 16).astype(np.uint8)[:, None], (1, 16))
        for k in range(50):
            path = tmp_path / RUN / f"t{k:03d}_fake_B.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(ramp // 2).save(path)
        tiles = [Tile(f"t{k:03d}", f"t{k:03d}", 0, 16, 16, split="test") for k in range(61)]
        tiles += [Tile(f"u{k}", f"u{k}", 0, 16, 16, split="train") for k in range(9)]
        write_manifest(tmp_path / "manifest.csv", tiles, overwrite=False)
        (finding,) = (one for one in examine(tmp_path) if one.code not in ("unused", "clipped"))
        assert finding.code == "cap"
        assert finding.where.startswith("11 of 61")
        assert "--num_test 61" in finding.fix

    def test_a_manifest_of_something_else_further_up_is_ignored(self, output):
        with (output / "manifest.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        with (output / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(row | {"stem": f"x{row['stem']}"} for row in rows)
        (output / "spec.yaml").unlink()
        assert examine(output) == []
        given = examine(output, manifest=output / "manifest.csv")
        assert codes(given) == {"missing", "foreign"}


class TestAgainstTheDataSet:
    """The program keeps copies of what it was given: compared with the data set's tiles."""

    @pytest.fixture(params=["aligned", "pix2pixhd"])
    def road(self, request, data_set):
        """A data set, and what a perfect pix2pix would write of it."""
        root = data_set(request.param)
        for path in sorted((root).rglob("line__*.png")):
            with Image.open(path) as image:
                pixels = np.repeat(np.asarray(image)[..., None], 3, axis=2)
            if request.param == "aligned":
                sides = dict(zip(("real_A", "real_B"), np.split(pixels, 2, axis=1), strict=True))
            else:
                sides = {f"real_{path.parent.name[-1]}": pixels}
            for label, side in sides.items():
                self.write(root, path.stem, label, side)
                if label == "real_B":
                    self.write(root, path.stem, "fake_B", side)
        return root

    def write(self, root: Path, stem: str, label: str, pixels: np.ndarray) -> None:
        truncated = ((pixels.astype(np.float32) / 255 * 2 - 1) + 1) / 2 * 255
        path = root.parent / RUN / f"{stem}_{label}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(truncated.astype(np.uint8)).save(path)

    def look(self, root: Path):
        return examine(root.parent / "results", manifest=root / "manifest.csv")

    def test_unchanged(self, road):
        assert self.look(road) == []

    @pytest.mark.parametrize(
        ("how", "code"),
        [
            (ImageOps.mirror, "mirrored"),
            (ImageOps.flip, "upside_down"),
            (jitter, "resampled"),
        ],
    )
    def test_what_the_loader_did(self, road, how, code):
        change(road.parent / "results", how, "*_real_?.png")
        (finding,) = self.look(road)
        assert finding.code == code
        assert finding.where.startswith("6 of 6")

    def test_depth_was_lost(self, road):
        change(road, lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257))
        assert codes(self.look(road)) == {"deep"}
