"""Image files: pixels and metadata, read with suspicion and written at once or not at all."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from vocoder.errors import BadInput, expect
from vocoder.files import atomic_path
from vocoder.image.codec.base import (
    JPEG,
    MODE_WORDS,
    PNG,
    TIFF,
    WEBP,
    Codec,
    Decoded,
    channel_spread,
    pixel_mode,
    require_number,
)
from vocoder.image.codec.colours import require_analyses, require_colours
from vocoder.image.codec.registry import codec_from_dict
from vocoder.image.codec.riffusion import settings_from_exif
from vocoder.image.opening import is_lossy_webp, open_image, plain
from vocoder.spec import SpectrogramSpec

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
# What Pillow raises for damaged files, depending on where the damage is.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    EOFError,
    struct.error,
    UserWarning,
)
KEY = "vocoder"  # of the PNG text chunk, and of the one entry in an image description
IMAGE_DESCRIPTION = 270  # the tag's number, the same in TIFF 6.0 and EXIF
WEBP_MAX = 16383  # pixels a side: the format has 14 bits for it


@dataclass(frozen=True)
class ImageInfo:
    """What an image says about itself.

    Parameters
    ----------
    samples : int or None
        Length of the audio, where the image holds all of it.
    gain_db : float
        What was applied to the audio before analysis; decoding takes it back.
    """

    spec: SpectrogramSpec
    codec: Codec
    samples: int | None = None
    gain_db: float = 0.0

    def to_json(self) -> str:
        """As text of ASCII characters."""
        values = {
            "spec": self.spec.to_dict(),
            "codec": self.codec.to_dict(),
            "samples": self.samples,
            "gain_db": self.gain_db,
        }
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str, source: str) -> ImageInfo:
        """Back from `to_json`; ``source`` names where the text came from in errors."""
        names = {field.name for field in fields(cls)}
        try:
            values = json.loads(text)
            if not isinstance(values, dict) or values.keys() != names:
                raise ValueError(f"it does not hold {', '.join(sorted(names))} alone")
            samples, gain_db = values["samples"], values["gain_db"]
            if samples is not None and (type(samples) is not int or samples < 1):
                raise ValueError(f"samples is {samples!r}; expected a whole number above 0")
            require_number(gain_db, "gain_db", "dB")
        except (ValueError, RecursionError) as error:
            raise BadInput(
                f"{source}: its vocoder metadata is damaged ({error}); strip the metadata "
                "and give spec= and codec=",
                key="image.metadata",
            ) from error
        spec = SpectrogramSpec.from_dict(values["spec"], source)
        return cls(spec, codec_from_dict(values["codec"], source), samples, gain_db)


@dataclass(frozen=True)
class ImageFile:
    """An image read from a file.

    Parameters
    ----------
    pixels : ndarray
        ``(rows, columns)`` uint8, uint16 or float32, or ``(rows, columns, 3)`` uint8.
    mode : {"L", "I;16", "F", "RGB"}
        Pillow's name for that.
    info : ImageInfo or None
        What the file says about itself, if anything.
    lossy : bool
        Whether its container changed the pixels: JPEG, or lossy WebP.
    """

    pixels: np.ndarray
    mode: str
    path: Path
    info: ImageInfo | None
    lossy: bool = False


def read_image(path: Path) -> ImageFile:
    """Read a PNG, JPEG, TIFF, WebP, BMP, GIF or PPM image.

    Palette images become colour, and an alpha channel that hides nothing is left out.
    """
    if not path.is_file():
        raise BadInput(f"{path}: no such image", key="image.missing")
    if not path.stat().st_size:
        raise BadInput(f"{path}: the file is empty (0 bytes)", key="image.empty")
    try:
        with open_image(path) as opened:
            image = plain(opened, path)
            pixels = np.asarray(image)
            text = _metadata_text(opened)
            info = None if text is None else ImageInfo.from_json(text, str(path))
            if info is None and (settings := settings_from_exif(opened.getexif(), str(path))):
                info = ImageInfo(*settings)
            lossy = opened.format in ("JPEG", "MPO") or is_lossy_webp(path)
    except UnidentifiedImageError as error:
        raise BadInput(
            f"{path}: not a PNG, JPEG, TIFF, WebP, BMP, GIF or PPM image, or damaged",
            key="image.format",
        ) from error
    except BadInput:
        raise
    except DAMAGE as error:
        raise BadInput(f"{path}: truncated or damaged ({error})", key="image.damaged") from error
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        raise BadInput(f"{path}: holds NaN or infinity; expected decibels", key="image.range")
    return ImageFile(pixels, pixel_mode(pixels), path, info, lossy)


def decode_image(
    image: ImageFile, codec: Codec, spec: SpectrogramSpec, doubts: list[str] | None = None
) -> Decoded:
    """Decode an image; errors name its file.

    What can only become noise is refused, or the reason added to ``doubts`` where they are given.
    """
    if image.lossy and codec.exact:
        raise BadInput(
            f"{image.path}: stored with loss, but codec {codec.name} needs every bit; "
            f"make it again as {' or '.join(codec.suffixes)}",
            key="image.lossy",
        )
    pixels = image.pixels
    if image.mode == "L" and pixels.dtype == np.float32:  # dequantised: no numbers of their own
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    try:
        decoded = codec.decode(pixels, spec)
    except BadInput as error:
        raise BadInput(f"{image.path}: {error}", error.key) from error
    several = len(codec.analyses(spec)) > 1
    distance, coloured = decoded.distance, several
    if codec.mode == "L" and pixels.ndim == 3:
        spread = channel_spread(pixels)
        distance, coloured = (spread if distance is None else distance), bool(spread.any())
    try:
        if coloured:
            require_analyses(image.path, pixels, several=several)
        if distance is not None:
            require_colours(image.path, image.pixels, float(distance.mean()), codec)
    except BadInput as error:
        if doubts is None:
            raise
        doubts.append(str(error).removeprefix(f"{image.path}: "))
    return decoded


def write_image(
    path: Path,
    pixels: np.ndarray,
    codec: Codec,
    info: ImageInfo | None,
    *,
    quality: int | None = None,
    subsampling: str = "4:2:0",
    overwrite: bool = False,
) -> None:
    """Write pixels in the container that the suffix of ``path`` names.

    Parameters
    ----------
    pixels : ndarray
        What ``codec.encode`` returned.
    info : ImageInfo or None
        Metadata to put in.
    quality : int or None
        1 to 100, for JPEG and WebP. ``None``: 75 for JPEG, as Pillow does, and lossless WebP.
    subsampling : {"4:4:4", "4:2:2", "4:2:0"}
        How JPEG stores the colour of colour images; the default is Pillow's.
    """
    suffix = path.suffix.lower()
    if suffix not in codec.suffixes:
        why = "; it needs every bit" if codec.exact and suffix in JPEG + WEBP else ""
        raise BadInput(
            f"{path}: codec {codec.name} cannot be stored as {suffix or 'a file without suffix'}"
            f"{why}; use {' or '.join(codec.suffixes)}",
            key="image.suffix",
        )
    if pixel_mode(pixels) not in codec.modes:
        raise BadInput(
            f"{path}: pixels are {MODE_WORDS[pixel_mode(pixels)]}, but codec {codec.name} "
            f"writes {MODE_WORDS[codec.mode]}",
            key="pixels.mode",
        )
    if quality is not None and suffix not in JPEG + WEBP:
        raise BadInput(
            f"quality is {quality}, but {suffix} is lossless; leave it out (null)",
            key="quality.conflict",
        )
    expect(quality is None or 1 <= quality <= 100, "quality", quality, "1 to 100")
    expect(
        subsampling in SUBSAMPLINGS, "subsampling", subsampling, f"one of {SUBSAMPLINGS}", "unknown"
    )
    if suffix in WEBP and max(pixels.shape[:2]) > WEBP_MAX:
        raise BadInput(
            f"{path}: {pixels.shape[1]} x {pixels.shape[0]} pixels do not fit into WebP, whose "
            f"sides end at {WEBP_MAX}; use .png",
            key="image.size",
        )
    options = _save_options(suffix, info, quality, subsampling)
    with atomic_path(path, overwrite=overwrite) as temporary:
        Image.fromarray(pixels).save(temporary, **options)


def _save_options(
    suffix: str, info: ImageInfo | None, quality: int | None, subsampling: str
) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if suffix in JPEG:
        options = {"quality": 75 if quality is None else quality, "subsampling": subsampling}
    elif suffix in WEBP:
        options = {"lossless": True} if quality is None else {"quality": quality}
    if info is None:
        return options
    if suffix in PNG:
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text(KEY, info.to_json())
        return options | {"pnginfo": chunks}
    description = f'{{"{KEY}": {info.to_json()}}}'
    if suffix in TIFF:
        return options | {"description": description}
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = description
    return options | {"exif": exif.tobytes()}


def _metadata_text(opened: Image.Image) -> str | None:
    """The JSON of our metadata; ``None`` where there is none or somebody else's."""
    if opened.format == "PNG":
        text = opened.info.get(KEY)
        return None if text is None else str(text)
    description = opened.getexif().get(IMAGE_DESCRIPTION)
    prefix = f'{{"{KEY}": '
    if isinstance(description, str) and description.startswith(prefix):
        return description[len(prefix) :].rstrip("\0 ")[:-1]
    return None
