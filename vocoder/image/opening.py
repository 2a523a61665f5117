"""What Pillow opens, in bounded memory, and as which of few kinds of pixels."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from vocoder.errors import BadInput
from vocoder.image.codec.base import MODE_WORDS

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")  # Pillow's names
MAX_PIXELS = 500_000_000  # more than 20 000 x 20 000
LIMIT_VARIABLE = "VOCODER_MAX_PIXELS"
_pixel_limit = threading.Lock()  # Pillow's limit is the process's


def open_image(path: Path) -> Image.Image:
    """Open an image of one of `FORMATS` that is not too large; nothing is unpacked yet."""
    limit = max_pixels()
    with _pixel_limit:
        usual = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None  # what is said below says it better
        try:
            opened = Image.open(path, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = usual
    if opened.width * opened.height > limit:
        opened.close()
        raise BadInput(
            f"{path}: this image, {opened.width} x {opened.height}, has more than {limit} "
            "pixels, which take two bytes each while they are read, seven in colour; if it is a "
            f"spectrogram, set {LIMIT_VARIABLE} in the environment to as many as it has, or cut it "
            "into shorter pieces",
            key="image.large",
        )
    return opened


def max_pixels() -> int:
    """How many pixels an image may have, so that a small file cannot fill the memory."""
    text = os.environ.get(LIMIT_VARIABLE, "")
    if not text:
        return MAX_PIXELS
    if not text.isdigit() or int(text) < 1:
        raise BadInput(
            f"{LIMIT_VARIABLE} is {text!r}; expected a whole number of pixels",
            key="image.limit",
        )
    return int(text)


def plain(opened: Image.Image, path: Path) -> Image.Image:
    """One of `MODE_WORDS`: palettes become colour, opaque alpha channels are left out."""
    if getattr(opened, "n_frames", 1) > 1:
        raise BadInput(
            f"{path}: holds several images (an animation or pages); expected one",
            key="image.frames",
        )
    # Pillow halves 16-bit channels without a word; only the tiles' raw mode betrays them.
    if any(";16" in str(tile[3]) for tile in getattr(opened, "tile", [])) and opened.mode in (
        "RGB",
        "RGBA",
        "LA",
    ):
        raise BadInput(
            f"{path}: colour with 16 bits a channel; expected {MODE_WORDS['RGB']}",
            key="image.depth",
        )
    image = opened
    if image.mode in ("P", "PA"):
        transparent = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
    if image.mode in ("RGBA", "LA"):
        if image.getchannel("A").getextrema()[0] != 255:
            raise BadInput(
                f"{path}: parts of it are transparent, so that its colours depend on what is "
                "behind; save it without transparency",
                key="image.transparent",
            )
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
    if image.mode not in MODE_WORDS:
        words = {"1": "black and white (1-bit)", "CMYK": "CMYK colour"}
        raise BadInput(
            f"{path}: {words.get(opened.mode, 'an unusual kind of image')} (mode {opened.mode}); "
            f"expected {', '.join(MODE_WORDS.values())}",
            key="image.mode",
        )
    return image


def is_lossy_webp(path: Path) -> bool:
    """Whether a WebP file holds a ``VP8 `` chunk (lossy) rather than ``VP8L``."""
    with path.open("rb") as file:
        header = file.read(12)
        if header[:4] != b"RIFF" or header[8:] != b"WEBP":
            return False
        while len(chunk := file.read(8)) == 8:
            if chunk[:4] in (b"VP8 ", b"VP8L"):
                return chunk[:4] == b"VP8 "
            size = int.from_bytes(chunk[4:], "little")
            file.seek(size + size % 2, 1)  # chunks begin at even places
    return False


def jpeg_tables(path: Path) -> np.ndarray:
    """The quantisation table of a JPEG's luma, for decoding at its constraints.

    ``(8, 8)``, int64: the step of each DCT coefficient, vertical frequency first.
    """
    try:
        with Image.open(path, formats=["JPEG"]) as opened:
            tables: dict[int, list[int]] = getattr(opened, "quantization", {})
            return np.array(tables[0], dtype=np.int64).reshape(8, 8)
    except (OSError, KeyError, ValueError) as error:
        raise BadInput(
            f"{path}: not a JPEG image with a quantisation table", key="image.format"
        ) from error
