"""What is known of the data set that images belong to: its manifest and its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vocoder.errors import BadInput
from vocoder.image.codec.base import Codec
from vocoder.image.manifest import (
    MANIFEST_NAME,
    SIDECAR_NAME,
    Tile,
    is_manifest,
    read_manifest,
    read_sidecar,
)
from vocoder.spec import SpectrogramSpec

# How far above a program's images a manifest is looked for: images, run, name, results, root.
_LEVELS_UP = 5


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the sidecar says, and what the user says where it is silent.

    Parameters
    ----------
    root : Path or None
        Folder of the manifest; ``None`` without one.
    tiles : dict of str to Tile
        The manifest's rows by their stems.
    tile_frames : int or None
        Width of a tile.
    """

    root: Path | None
    tiles: dict[str, Tile]
    spec: SpectrogramSpec | None
    codec: Codec | None
    tile_frames: int | None


def read_settings(
    manifest: Path | None, spec: SpectrogramSpec | None, codec: Codec | None
) -> Settings:
    """Read a manifest (or that in a folder) and the ``spec.yaml`` beside it, if there is one."""
    if manifest is None:
        return Settings(root=None, tiles={}, spec=spec, codec=codec, tile_frames=None)
    if manifest.is_dir():
        manifest = manifest / MANIFEST_NAME
    tiles = {tile.stem: tile for tile in read_manifest(manifest)}
    root, source = manifest.parent, manifest.parent / SIDECAR_NAME
    if not source.exists():
        # All tiles but an utterance's last are full.
        widths = {
            tile.frames
            for tile in tiles.values()
            if tile.start_frame + tile.frames < tile.total_frames
        }
        width = widths.pop() if len(widths) == 1 else None
        return Settings(root=root, tiles=tiles, spec=spec, codec=codec, tile_frames=width)
    side = read_sidecar(source)
    return Settings(
        root=root,
        tiles=tiles,
        spec=side.spec,
        codec=agreed(spec, codec, side.spec, side.codec, str(source)),
        tile_frames=side.tile_frames,
    )


def agreed(
    spec: SpectrogramSpec | None,
    codec: Codec | None,
    found_spec: SpectrogramSpec,
    found_codec: Codec,
    source: str,
) -> Codec:
    """Refuse given settings other than those that ``source`` names; the codec to read with."""
    if spec is not None:
        spec.require_same(found_spec, "the settings given", source)
    if codec is not None and codec != found_codec:
        raise BadInput(
            f"given: {codec.describe()}; {source} says {found_codec.describe()}; leave codec= "
            f"out, or correct {source}",
            key="codec.conflict",
        )
    return codec or found_codec  # equal, but the user's may say how to read


def manifest_above(path: Path) -> Path | None:
    """The nearest ``manifest.csv`` in a folder or above it, as far as programs nest theirs."""
    start = path.resolve()
    folders = [start, *start.parents] if start.is_dir() else list(start.parents)
    for folder in folders[: _LEVELS_UP + 1]:
        place = folder / MANIFEST_NAME
        if place.is_file() and is_manifest(place):
            return place
    return None
