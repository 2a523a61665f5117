"""All codecs by name, and back from what images and sidecars say of them."""

from __future__ import annotations

from typing import Any

from vocoder.errors import BadInput
from vocoder.image.codec.base import Codec
from vocoder.image.codec.foreign import Foreign
from vocoder.image.codec.palette import Colormap, Hue
from vocoder.image.codec.scalar import Float32, Gray8, Gray16, Rgb24, RgbSum
from vocoder.image.codec.seed import SeedJpeg, SeedTiff
from vocoder.image.codec.windows import Windows

_CLASSES: tuple[type[Codec], ...] = (
    Gray8,
    Gray16,
    Float32,
    RgbSum,
    Rgb24,
    Hue,
    Windows,
    Colormap,
    SeedTiff,
    SeedJpeg,
    Foreign,
)
CODECS = {codec.name: codec for codec in _CLASSES}


def codec_from_dict(values: dict[str, Any], source: str) -> Codec:
    """Back from `Codec.to_dict`; ``source`` names where the values came from in errors."""
    if not isinstance(values, dict):
        raise BadInput(
            f"{source}: the codec is {type(values).__name__}, expected named fields",
            key="codec.type",
        )
    name, known = values.get("name"), CODECS
    if not isinstance(name, str) or name not in known:
        raise BadInput(
            f"{source}: codec is named {name!r}; expected one of {', '.join(known)}",
            key="codec.unknown",
        )
    given = {key: value for key, value in values.items() if key != "name"}
    names = set(known[name].layout_fields())
    if missing := sorted(set(known[name].required_fields()) - given.keys()):
        raise BadInput(
            f"{source}: codec {name} lacks {', '.join(missing)}; every field is required",
            key="codec.field.missing",
        )
    if unknown := sorted(given.keys() - names, key=str):
        raise BadInput(
            f"{source}: codec {name} has unknown fields {', '.join(map(str, unknown))}",
            key="codec.field.unknown",
        )
    try:
        return known[name](**given)
    except BadInput as error:
        raise BadInput(f"{source}: {error}", key=error.key) from error
