"""Files that are asked about, and what was found as YAML."""

from __future__ import annotations

from pathlib import Path

import yaml

from vocoder.errors import BadInput
from vocoder.identify.identify import Reading
from vocoder.image.array import find_arrays
from vocoder.image.codec.base import IMAGE_SUFFIXES


def files(path: Path) -> list[Path]:
    """The image or array itself, or all those of a folder."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadInput(
            f"{path} does not exist; give an image, an array or a folder", key="input.missing"
        )
    images = [
        file
        for file in sorted(path.iterdir())
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    ]
    found = images or list(find_arrays(path).values())
    if not found:
        raise BadInput(f"{path} holds no images and no arrays", key="input.missing")
    return found


def as_yaml(found: dict[str, list[Reading]]) -> str:
    """Every file's readings: the command line's settings, and all fields of spec and codec."""
    content = {
        path: [
            {
                "settings": " ".join(reading.words),
                "score": round(reading.score, 4),
                "reasons": list(reading.reasons),
                "spec": reading.spec.to_dict(),
                "codec": None if reading.codec is None else reading.codec.to_dict(),
            }
            for reading in readings
        ]
        for path, readings in found.items()
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
