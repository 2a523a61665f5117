"""Files that are asked about, and what was found as YAML."""

from __future__ import annotations

from pathlib import Path

import yaml

from vocoder.identify.identify import Reading
from vocoder.image.programs import images_in
from vocoder.image.source import ImageSource


def files(path: Path) -> tuple[list[Path], list[str]]:
    """All images and arrays at a path, and which files are left out and why."""
    source = ImageSource(input=path)
    arrays, left_out = source.arrays()
    found = list(arrays.values())
    if images_in(path) or not arrays:
        images, _ = source.images()
        found += [*images.tiles.values(), *images.duplicates, *images.foreign]
    return sorted(found), left_out


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
