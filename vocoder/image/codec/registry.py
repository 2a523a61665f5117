"""All codecs by name, and back from what images and sidecars say of them."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any

from vocoder.config import require_types
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
    name = values.get("name")
    if not isinstance(name, str) or name not in CODECS:
        raise BadInput(
            f"{source}: codec is named {name!r}; expected one of {', '.join(CODECS)}",
            key="codec.unknown",
        )
    given = {key: value for key, value in values.items() if key != "name"}
    known = {field.name: field.default for field in CODECS[name].layout_fields()}
    required = {key for key, default in known.items() if default is MISSING}
    if missing := sorted(required - given.keys()):
        raise BadInput(
            f"{source}: codec {name} lacks {', '.join(missing)}", key="codec.field.missing"
        )
    if unknown := sorted(given.keys() - known.keys(), key=str):
        raise BadInput(
            f"{source}: codec {name} has unknown fields {', '.join(map(str, unknown))}",
            key="codec.field.unknown",
        )
    try:
        require_types(CODECS[name], given, "codec.")
        return CODECS[name](**given)
    except BadInput as error:
        raise BadInput(f"{source}: {error}", key=error.key) from error
