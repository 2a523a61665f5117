"""Whether an image's colours are those that a codec writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vocoder.errors import BadInput
from vocoder.image.codec.base import Codec
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.maps import nearest_map

# Mean distance of pixels from a codec's colours, in 8-bit steps. True maps have 0, through JPEG of
# quality 20 7, with noise of 10 levels a channel 12, out of a pix2pix 2 to 6; wrong ones 18 and
# more, but for magma, inferno and sox, which are 5 to 9 apart: there another one must fit better.
SUSPICIOUS_DISTANCE, MAX_DISTANCE = 4.0, 15.0
# The path of codec=hue is 26 and more away from all maps; its own JPEGs of Pillow's quality, which
# halve the colours' resolution, are 16 to 22 off, and still understood.
HUE_MAX_DISTANCE = 24.0


def require_colours(path: Path, pixels: np.ndarray, distance: float, codec: Codec) -> None:
    """Refuse an image whose colours are not the codec's, naming the map that they are of.

    Parameters
    ----------
    distance : float
        Mean distance of the pixels from the codec's colours, in 8-bit steps.
    """
    most = HUE_MAX_DISTANCE if codec.name == "hue" else MAX_DISTANCE
    if distance < SUSPICIOUS_DISTANCE or pixels.ndim == 2:
        if distance > most:
            raise BadInput(
                f"{path}: this image is grey, and codec {codec.name} reads colours; give "
                f"{_grey(codec)}, and where black is loud "
                f"{codec.advice('dark_is_loud', 'true')}",
                key="image.colours",
            )
        return
    cmap, other = nearest_map(pixels)
    better = other < distance / 4
    if distance <= most and not better:
        return
    wanted = getattr(codec, "cmap", None) or ("grey" if codec.name != "hue" else "codec hue")
    advice = (
        "give the colour map that it was drawn with as codec.cmap= (a name, or an image of its "
        "colour bar), or the channel that holds the numbers, as in codec.channel=green; cut axes "
        "off with codec.crop=. Of a photograph there is nothing to hear"
    )
    if better:
        advice = f"they are those of {cmap}: give {codec.advice('cmap', cmap, 'colormap')}"
        if cmap == "gray":
            advice = f"they are grey: give {_grey(codec)}"
    raise BadInput(
        f"{path}: its colours are not those of {wanted}, but {distance:.0f} steps of 255 "
        f"off on average; {advice}",
        key="image.colours",
    )


def _grey(codec: Codec) -> str:
    return "codec.cmap=null" if isinstance(codec, Foreign) else "codec=gray8"


# Three windows see one recording differently, but not unrelated things, and the middle one stands
# between the others: red and blue correlate by .75 to .94, true or generated, their neighbours by
# .8 to .98; the channels of generated grey by .99.
GREY_CORRELATION, MIN_NEIGHBOURS, MIN_ENDS = 0.97, 0.75, 0.5
MAX_COMPARED = 20_000  # pixels


def require_analyses(path: Path, pixels: np.ndarray, *, several: bool) -> None:
    """Refuse grey for three analyses, and three analyses for grey.

    Parameters
    ----------
    pixels : ndarray
        ``(rows, columns, 3)``.
    several : bool
        Whether the codec has an analysis in each channel.
    """
    flat = pixels.reshape(-1, 3)
    channels = flat[:: 1 + len(flat) // MAX_COMPARED].T.astype(np.float32)
    if not channels.std(axis=1).all():
        return  # nothing to tell by
    matrix = np.asarray(np.corrcoef(channels))
    red_green, green_blue, red_blue = matrix[0, 1], matrix[1, 2], matrix[0, 2]
    if several and red_blue > GREY_CORRELATION:
        raise BadInput(
            f"{path}: its three channels say the same, so it holds one analysis, not three; give "
            "codec=gray8, or if it was made with codec=windows, store it as PNG: a JPEG blurs "
            "colours",
            key="image.windows",
        )
    ordered = min(red_green, green_blue) > max(red_blue, MIN_NEIGHBOURS)
    if several or not (ordered and MIN_ENDS < red_blue < GREY_CORRELATION):
        return
    if nearest_map(pixels)[0] == "gray":
        raise BadInput(
            f"{path}: its three channels hold three analyses with different windows, whose mean "
            "means nothing; give codec=windows",
            key="image.windows",
        )
