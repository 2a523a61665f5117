"""Cutting an utterance into tiles, and stitching painted tiles together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vocoder.errors import BadInput
from vocoder.image.manifest import Tile, require_tiling


def cut(total_frames: int, tile_frames: int, overlap_frames: int) -> list[tuple[int, int]]:
    """Start and length, in frames, of the tiles that cover an utterance.

    Tiles start at regular steps of ``tile_frames - overlap_frames``; the last holds what is left
    and is filled up with silence by whoever makes pictures of it.

    Raises
    ------
    BadInput
        The tiling is impossible.
    """
    require_tiling(tile_frames, overlap_frames)
    step = tile_frames - overlap_frames
    # A tile is needed only while the one before leaves frames uncovered.
    n_tiles = 1 + max(0, -(-(total_frames - tile_frames) // step))
    return [(k * step, min(tile_frames, total_frames - k * step)) for k in range(n_tiles)]


@dataclass(frozen=True)
class StitchedValues:
    """An utterance from its tiles.

    Parameters
    ----------
    values : ndarray
        ``(bins, total_frames)``, float32, in the units of the tiles.
    covered : ndarray
        ``(total_frames,)``, bool: frames that at least one tile holds; the others are silent.
    """

    values: np.ndarray
    covered: np.ndarray


def stitch(
    pieces: Sequence[tuple[Tile, np.ndarray]], total_frames: int, floor: float
) -> StitchedValues:
    """Join the tiles of one utterance; overlaps are cross-faded in decibels.

    Over an overlap one tile's weight falls linearly while the other's rises; at every frame the
    weights of all tiles there sum to one. A tile that is missing leaves silence, or all of the
    weight to its neighbour. Order is of no account.

    Parameters
    ----------
    pieces : sequence of (Tile, ndarray)
        Values ``(bins, columns)`` not below 0 (magnitudes or powers, never decibels); only the
        first ``tile.frames`` columns are used.
    total_frames : int
        Frames of the utterance.
    floor : float
        Value that silence (exactly 0, which has no decibels) counts as when it is blended with
        something else; the picture's darkest level. Where all tiles are silent, so is the result.

    Raises
    ------
    BadInput
        No tiles, a tile outside the utterance, or one with too few columns or other bins.
    """
    if not pieces:
        raise BadInput("no tiles to stitch; expected at least one")
    pieces = sorted(pieces, key=lambda piece: piece[0].start_frame)
    bins = pieces[0][1].shape[0]
    for tile, values in pieces:
        _check_piece(tile, values, bins, total_frames)

    weights = _weights([tile for tile, _ in pieces])
    total_weight = np.zeros(total_frames, dtype=np.float32)
    n_tiles = np.zeros(total_frames, dtype=np.int32)
    for (tile, _), weight in zip(pieces, weights, strict=True):
        total_weight[_span(tile)] += weight
        n_tiles[_span(tile)] += 1

    # Where tiles overlap, `joined` collects weighted logarithms until the last step.
    joined = np.zeros((bins, total_frames), dtype=np.float32)
    sounding = np.zeros((bins, total_frames), dtype=bool)
    for (tile, values), weight in zip(pieces, weights, strict=True):
        span = _span(tile)
        alone = n_tiles[span] == 1
        for first, last in _runs(alone):
            here = slice(span.start + first, span.start + last)
            part = values[:, first:last]
            if alone[first]:
                joined[:, here] = part
                continue
            share = weight[first:last] / total_weight[here]
            joined[:, here] += share * np.log(np.maximum(part, np.float32(floor)))
            sounding[:, here] |= part > 0
    for first, last in _runs(n_tiles > 1):
        if n_tiles[first] > 1:
            blended = np.exp(joined[:, first:last])
            joined[:, first:last] = np.where(sounding[:, first:last], blended, 0)
    return StitchedValues(joined, n_tiles > 0)


def _check_piece(tile: Tile, values: np.ndarray, bins: int, total_frames: int) -> None:
    if values.ndim != 2 or values.shape[0] != bins or values.shape[1] < tile.frames:
        raise BadInput(
            f"tile {tile.stem} has shape {values.shape}; expected {bins} bins and at least "
            f"{tile.frames} frames"
        )
    if tile.start_frame + tile.frames > total_frames:
        raise BadInput(
            f"tile {tile.stem} ends at frame {tile.start_frame + tile.frames}, after the "
            f"utterance's {total_frames}"
        )


def _span(tile: Tile) -> slice:
    return slice(tile.start_frame, tile.start_frame + tile.frames)


def _weights(tiles: Sequence[Tile]) -> list[np.ndarray]:
    """A trapezoid for every tile, in order of their starts: ramps as long as the overlaps."""
    ends = [tile.start_frame + tile.frames for tile in tiles]
    weights = []
    for k, tile in enumerate(tiles):
        weight = np.ones(tile.frames, dtype=np.float32)
        if k > 0 and (length := min(ends[k - 1] - tile.start_frame, tile.frames)) > 0:
            weight[:length] *= _ramp(length)
        if k + 1 < len(tiles) and (length := ends[k] - tiles[k + 1].start_frame) > 0:
            weight[-length:] *= _ramp(length)[::-1]
        weights.append(weight)
    return weights


def _ramp(length: int) -> np.ndarray:
    """Rising and never 0 or 1, so that it and its mirror image sum to one."""
    return (np.arange(length, dtype=np.float32) + 0.5) / length


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and one-past-last index of every stretch of equal values."""
    edges = np.flatnonzero(np.diff(flags)) + 1
    bounds = [0, *edges.tolist(), len(flags)]
    return list(pairwise(bounds))
