"""ImageFile files: what goes in comes back, and what is no spectrogram is refused by name."""

import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.refusals import refused
from vocoder.config import load
from vocoder.image.codec.palette import Colormap, Hue
from vocoder.image.codec.scalar import Float32, Gray8, Gray16, Rgb24, RgbSum
from vocoder.image.codec.seed import SeedJpeg, SeedTiff
from vocoder.image.file import (
    ImageInfo,
    decode_image,
    read_image,
    write_image,
)
from vocoder.image.opening import jpeg_tables

RANGE: dict[str, Any] = {"db_min": -100.0, "db_max": 0.0}
CODECS = [
    Gray8(**RANGE),
    Gray16(**RANGE),
    Float32(**RANGE),
    RgbSum(**RANGE),
    Rgb24(**RANGE),
    Hue(**RANGE),
    Colormap(**RANGE, cmap="viridis"),
    SeedTiff(),
    SeedJpeg(median_db=-60.0),
]
PLACES = [(codec, suffix) for codec in CODECS for suffix in codec.suffixes]


def smooth(codec, spec, frames=48):
    """A image without fine detail, which even JPEG keeps nearly."""
    rows, columns = np.mgrid[0 : spec.bins, 0:frames]
    db = -50 + 30 * np.sin(rows / spec.bins * 5) * np.cos(columns / 20)
    return codec.encode(db.astype(np.float32), spec)


@pytest.mark.parametrize(("codec", "suffix"), PLACES, ids=lambda x: getattr(x, "name", x))
def test_pixels_and_metadata_come_back(codec, suffix, mel256, tmp_path):
    spec = load("spec", "seed") if codec.name.startswith("seed") else mel256
    info = ImageInfo(spec, codec, samples=12_000, gain_db=-6.02)
    pixels = smooth(codec, spec)
    path = tmp_path / f"picture{suffix}"
    write_image(path, pixels, codec, info)
    image = read_image(path)
    assert image.info == info
    assert image.lossy == (suffix in (".jpg", ".jpeg"))
    assert image.mode in codec.modes
    if image.lossy:
        assert np.abs(image.pixels.astype(int) - pixels).mean() < 4
    else:
        expected = np.repeat(pixels[..., None], 3, 2) if image.mode != codec.mode else pixels
        np.testing.assert_array_equal(image.pixels, expected)
        decoded = decode_image(image, codec, spec).decibels
        np.testing.assert_allclose(decoded, codec.decode(pixels, spec).decibels, atol=1e-4)


def test_images_of_other_programs_have_no_info(mel256, tmp_path):
    pixels = Image.fromarray(smooth(CODECS[0], mel256))
    pixels.save(tmp_path / "a.png")
    exif = Image.Exif()
    exif[270] = "a holiday"
    pixels.save(tmp_path / "a.jpg", exif=exif)
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    for suffix in ("png", "jpg", "tif"):
        assert read_image(tmp_path / f"a.{suffix}").info is None


def test_grey_may_be_stored_with_three_channels(mel256, tmp_path):
    codec = Gray8(**RANGE)
    pixels = smooth(codec, mel256)
    write_image(tmp_path / "a.png", np.repeat(pixels[..., None], 3, 2), codec, None)
    decoded = decode_image(read_image(tmp_path / "a.png"), codec, mel256).decibels
    np.testing.assert_allclose(decoded, codec.decode(pixels, mel256).decibels, atol=1e-5)


class TestLoss:
    def test_quality_and_subsampling_matter(self, mel256, tmp_path):
        codec = Hue(**RANGE)
        random = np.random.default_rng(0)
        decibels = 80 * np.log10(random.random((256, 64)))
        pixels = codec.encode(decibels, mel256)

        def loss(name, **options):
            path = tmp_path / name
            write_image(path, pixels, codec, None, overwrite=True, **options)
            return np.abs(read_image(path).pixels.astype(int) - pixels).mean()

        default = loss("a.jpg")
        assert default == loss("a.jpg", quality=75, subsampling="4:2:0")
        assert loss("a.jpg", subsampling="4:4:4") < 0.7 * default
        assert loss("a.jpg", quality=95) < default
        assert loss("a.webp") == 0
        assert loss("a.webp", quality=80) > 0
        assert read_image(tmp_path / "a.webp").lossy

    @pytest.mark.parametrize("codec", [Gray16(**RANGE), Rgb24(**RANGE)], ids=lambda x: x.name)
    @pytest.mark.parametrize("suffix", [".jpg", ".webp"])
    def test_exact_codecs_refuse_it_when_writing(self, codec, suffix, mel256, tmp_path):
        path = tmp_path / f"a{suffix}"
        with refused("image.suffix"):
            write_image(path, smooth(codec, mel256), codec, None)
        assert not path.exists()

    @pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
    def test_exact_codecs_refuse_it_when_decoding(self, name, mel256, tmp_path):
        codec = Rgb24(**RANGE)
        Image.fromarray(smooth(codec, mel256)).save(tmp_path / name, quality=90)
        with refused("image.lossy"):
            decode_image(read_image(tmp_path / name), codec, mel256)

    def test_extended_webp_is_told_apart(self, mel256, tmp_path):
        """With metadata, WebP puts another chunk before the image's."""
        codec = RgbSum(**RANGE)
        info = ImageInfo(mel256, codec)
        for quality, name in ((None, "a.webp"), (80, "b.webp")):
            write_image(tmp_path / name, smooth(codec, mel256), codec, info, quality=quality)
        assert (tmp_path / "a.webp").read_bytes()[12:16] == b"VP8X"
        assert not read_image(tmp_path / "a.webp").lossy
        assert read_image(tmp_path / "b.webp").lossy


class TestWritingIsRefused:
    @pytest.mark.parametrize(
        ("codec", "name", "options", "key"),
        [
            (Gray8(**RANGE), "a.bmp", {}, "image.suffix"),
            (Gray8(**RANGE), "a", {}, "image.suffix"),
            (Gray8(**RANGE), "a.png", {"quality": 90}, "quality.conflict"),
            (Gray8(**RANGE), "a.jpg", {"quality": 0}, "quality.range"),
            (Gray8(**RANGE), "a.jpg", {"quality": 101}, "quality.range"),
            (Gray8(**RANGE), "a.jpg", {"subsampling": "4:1:1"}, "subsampling.unknown"),
            (Float32(**RANGE), "a.png", {}, "image.suffix"),
        ],
    )
    def test_for_the_container(self, codec, name, options, key, mel256, tmp_path):
        with refused(key):
            write_image(tmp_path / name, smooth(codec, mel256), codec, None, **options)
        assert not list(tmp_path.iterdir())

    def test_for_the_pixels(self, mel256, tmp_path):
        grey = smooth(Gray8(**RANGE), mel256)
        with refused("pixels.mode"):
            write_image(tmp_path / "a.png", grey, Hue(**RANGE), None)
        with refused("image.size"):
            write_image(tmp_path / "a.webp", np.zeros((2, 16384), np.uint8), CODECS[0], None)
        with refused("output.unwritable"):
            write_image(tmp_path / "a.jpg", np.zeros((2, 65536), np.uint8), CODECS[0], None)
        assert not list(tmp_path.iterdir())

    def test_for_what_exists(self, mel256, tmp_path):
        codec = Gray8(**RANGE)
        write_image(tmp_path / "a.png", smooth(codec, mel256), codec, None)
        before = (tmp_path / "a.png").read_bytes()
        with refused("output.exists"):
            write_image(tmp_path / "a.png", smooth(codec, mel256), codec, None)
        assert (tmp_path / "a.png").read_bytes() == before


def png(width, height, *, depth=8, colour=0, data=b""):
    """A PNG file put together by hand."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def bad_files(folder):
    """Files that are no spectrogram images, and how they are refused."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    real = np.where(np.eye(64, dtype=bool), np.float32("nan"), np.float32(-3))
    image = Image.fromarray(noise)
    for name, mode in (("cmyk.jpg", "CMYK"), ("bit.png", "1")):
        image.convert(mode).save(folder / name)
    image.convert("L").convert("I").save(folder / "int.tif")
    for name, mode in (("alpha.png", "RGBA"), ("grey_alpha.png", "LA")):
        glass = image.convert(mode)
        glass.putalpha(200)
        glass.save(folder / name)
    palette = image.convert("P")
    palette.save(folder / "palette.png", transparency=palette.getpixel((0, 0)))
    image.save(folder / "animation.png", save_all=True, append_images=[image.rotate(90)])
    Image.fromarray(real).save(folder / "nan.tif")
    Image.fromarray(np.where(np.isnan(real), -np.inf, real)).save(folder / "inf.tif")
    (folder / "deep.png").write_bytes(png(2, 2, depth=16, colour=2, data=bytes(2 * 13)))
    (folder / "bomb.png").write_bytes(png(30_000, 30_000))
    (folder / "big.png").write_bytes(png(24_000, 24_000))
    (folder / "text.png").write_text("these are not the pixels")
    (folder / "empty.png").touch()
    (folder / "folder.png").mkdir()
    for suffix in (".png", ".tif", ".jpg", ".webp"):
        image.save(folder / f"whole{suffix}")
        data = (folder / f"whole{suffix}").read_bytes()
        (folder / f"half{suffix}").write_bytes(data[: len(data) // 2])
    image.save(folder / "packed.tif", compression="tiff_deflate")
    data = (folder / "packed.tif").read_bytes()
    (folder / "half_packed.tif").write_bytes(data[: len(data) // 2])
    return {
        "cmyk.jpg": "image.mode",
        "palette.png": "image.transparent",
        "bit.png": "image.mode",
        "alpha.png": "image.transparent",
        "grey_alpha.png": "image.transparent",
        "int.tif": "image.mode",
        "animation.png": "image.frames",
        "nan.tif": "image.range",
        "inf.tif": "image.range",
        "deep.png": "image.depth",
        "bomb.png": "image.large",
        "big.png": "image.large",
        "text.png": "image.format",
        "empty.png": "image.empty",
        "folder.png": "image.missing",
        "missing.png": "image.missing",
        "half.png": "image.damaged",
        "half.jpg": "image.damaged",
        "half.tif": "image.damaged",
        "half.webp": "image.damaged",
        "half_packed.tif": "image.damaged",
    }


def test_what_is_no_spectrogram_is_refused_by_its_name(tmp_path):
    for name, key in bad_files(tmp_path).items():
        with refused(key) as caught:
            read_image(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_sixteen_bit_colour_in_tiff_is_refused(tmp_path):
    """Pillow cannot write such a file: the tags of TIFF 6.0 by hand, two pixels."""
    entries = [
        (256, 3, 1, 2),  # width
        (257, 3, 1, 1),  # height
        (258, 3, 3, 8 + 2 + 9 * 12 + 4),  # bits per sample, stored after the directory
        (259, 3, 1, 1),  # no compression
        (262, 3, 1, 2),  # RGB
        (273, 4, 1, 8 + 2 + 9 * 12 + 4 + 6),  # where the pixels are
        (277, 3, 1, 3),  # samples per pixel
        (278, 3, 1, 1),  # rows per strip
        (279, 4, 1, 12),  # bytes of pixels
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    data = b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    (tmp_path / "a.tif").write_bytes(data + struct.pack("<3H", 16, 16, 16) + bytes(12))
    with refused("image.depth"):
        read_image(tmp_path / "a.tif")


def test_a_bomb_is_never_unpacked(tmp_path, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(png(30_000, 30_000))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("unpacked"))
    with refused("image.large"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_palettes_and_opaque_alpha_are_the_same_image(mode, tmp_path):
    """Every PNG of matplotlib's is RGBA, every one of sox's has a palette."""
    levels = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    image = Image.fromarray(levels).convert(mode)
    image.convert("LA" if mode == "L" else "RGBA").save(tmp_path / "alpha.png")
    image.convert("L").convert("P").save(tmp_path / "palette.png")
    others = ("a.bmp", "a.ppm", "a.gif")
    for name in others:
        image.save(tmp_path / name)
    for name in ("alpha.png", "palette.png", *others):
        found = read_image(tmp_path / name)
        grey = found.pixels if found.pixels.ndim == 2 else found.pixels[..., 0]
        np.testing.assert_array_equal(grey, levels)


def test_files_are_closed(tmp_path, monkeypatch):
    opened = []
    original = Image.open

    def spy(*arguments, **options):
        opened.append(original(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(Image, "open", spy)
    for name, key in bad_files(tmp_path).items():
        with refused(key):
            read_image(tmp_path / name)
    read_image(tmp_path / "whole.png")
    assert len(opened) > 5
    assert all(image.fp is None or image.fp.closed for image in opened)


class TestBrokenMetadata:
    @pytest.mark.parametrize(
        ("change", "key"),
        [
            (lambda text: text[:-5], "image.metadata"),
            (lambda text: "[]", "image.metadata"),
            (lambda text: "[" * 100_000, "image.metadata"),
            (lambda text: text.replace('"n_fft": 1024', '"n_fft": 1023'), "spec.n_fft.range"),
            (lambda text: text.replace('"n_fft"', '"nfft"'), "spec.missing"),
            (lambda text: text.replace("gray8", "gray9"), "codec.unknown"),
            (lambda text: text.replace('"samples": null', '"samples": -1'), "image.metadata"),
            (lambda text: text.replace('"gain_db": 0.0', '"gain_db": NaN'), "image.metadata"),
            (lambda text: text.replace('"gain_db"', '"gain"'), "image.metadata"),
        ],
    )
    def test_names_the_file(self, change, key, mel256, tmp_path):
        text = ImageInfo(mel256, Gray8(**RANGE)).to_json()
        assert change(text) != text
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("vocoder", change(text))
        image = Image.fromarray(np.zeros((4, 4), np.uint8))
        image.save(tmp_path / "a.png", pnginfo=chunks)
        with refused(key) as caught:
            read_image(tmp_path / "a.png")
        assert str(tmp_path / "a.png") in str(caught.value)

    @pytest.mark.parametrize("suffix", [".tif", ".jpg", ".webp"])
    def test_in_an_image_description(self, suffix, tmp_path):
        exif = Image.Exif()
        exif[270] = json.dumps({"vocoder": {"spec": 1}})
        image = Image.fromarray(np.zeros((4, 4, 3), np.uint8))
        image.save(tmp_path / f"a{suffix}", exif=exif)
        with refused("image.metadata"):
            read_image(tmp_path / f"a{suffix}")


def test_decoding_names_the_file(mel256, tmp_path):
    codec = Gray8(**RANGE)
    write_image(tmp_path / "small.png", smooth(codec, mel256)[:100], codec, None)
    with refused("image.size") as caught:
        decode_image(read_image(tmp_path / "small.png"), codec, mel256)
    assert "small.png" in str(caught.value)


def test_jpeg_tables(mel256, tmp_path):
    """The standard's luma table (ITU-T T.81, K.1) at quality 50, in rows and columns."""
    codec = Gray8(**RANGE)
    write_image(tmp_path / "a.jpg", smooth(codec, mel256), codec, None, quality=50)
    table = jpeg_tables(tmp_path / "a.jpg")
    np.testing.assert_array_equal(table[0], [16, 11, 10, 16, 24, 40, 51, 61])
    np.testing.assert_array_equal(table[:, 0], [16, 12, 14, 14, 18, 24, 49, 72])
    write_image(tmp_path / "a.png", smooth(codec, mel256), codec, None)
    with refused("image.format"):
        jpeg_tables(tmp_path / "a.png")
