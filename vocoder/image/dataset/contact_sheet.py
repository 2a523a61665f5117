"""One image of some tiles, to see at a glance what a data set looks like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vocoder.files import atomic_path
from vocoder.image.codec.base import Codec
from vocoder.image.file import read_image

CONTACT_SHEET_NAME = "contact_sheet.png"
MAX_TILES = 12
_COLUMNS = 3
_MARGIN, _CAPTION = 12, 18  # pixels
_PAPER, _INK = (255, 255, 255), (60, 60, 60)


def write_contact_sheet(
    path: Path, rows: Sequence[tuple[str, Sequence[Path]]], codec: Codec, *, overwrite: bool
) -> None:
    """Write a sheet of up to `MAX_TILES` tiles, evenly spread over ``rows``.

    Parameters
    ----------
    rows : sequence of (str, sequence of Path)
        A caption and one or two images (A and B) for each tile of the data set, not empty.
    codec : Codec
        What the images were encoded with.
    """
    from matplotlib import get_data_path

    chosen = np.unique(np.linspace(0, len(rows) - 1, MAX_TILES).round().astype(int))
    tiles = [
        (caption, np.concatenate([_preview(read_image(one).pixels, codec) for one in paths], 1))
        for caption, paths in (rows[k] for k in chosen)
    ]
    height, width = tiles[0][1].shape[:2]
    columns = min(_COLUMNS, len(tiles))
    cell = (width + _MARGIN, height + _CAPTION + _MARGIN)
    size = (
        columns * cell[0] + _MARGIN,
        -(-len(tiles) // columns) * cell[1] + _MARGIN,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    # Pillow's own font has no letters but the English ones.
    font = ImageFont.truetype(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf"), _CAPTION - 6)
    for k, (caption, pixels) in enumerate(tiles):
        x, y = (
            n * step + _MARGIN for n, step in zip((k % columns, k // columns), cell, strict=True)
        )
        draw.text((x, y), _shortened(caption, font, width), _INK, font)
        sheet.paste(Image.fromarray(pixels), (x, y + _CAPTION))
    with atomic_path(path, overwrite=overwrite) as temporary:
        sheet.save(temporary)


def _preview(pixels: np.ndarray, codec: Codec) -> np.ndarray:
    """Pixels of any codec as 8-bit colours."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    elif pixels.dtype == np.float32:
        share = (pixels - codec.db_min) / (codec.db_max - codec.db_min)
        pixels = (255 * share.clip(0, 1)).astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The end of a text, since names of tiles differ there, as far as it fits."""
    while font.getlength(text) > width and len(text) > 2:
        text = "…" + text[2:]
    return text
