"""Cutting an utterance into tiles, and stitching generated tiles together again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vocoder.decibels import SILENCE_DB
from vocoder.image.manifest import Tile, require_tiling


def cut(total_frames: int, tile_frames: int, overlap_frames: int) -> list[tuple[int, int]]:
    """Start and length, in frames, of the tiles that cover an utterance.

    Tiles start at regular steps of ``tile_frames - overlap_frames``; the last holds what is left
    and is filled up with silence by whoever makes images of it.
    """
    require_tiling(tile_frames, overlap_frames)
    step = tile_frames - overlap_frames
    # A tile is needed only while the one before leaves frames uncovered.
    n_tiles = 1 + max(0, -(-(total_frames - tile_frames) // step))
    return [(k * step, min(tile_frames, total_frames - k * step)) for k in range(n_tiles)]


def stitch(
    pieces: Iterable[tuple[Tile, np.ndarray]], bins: int, total_frames: int, floor_db: float
) -> np.ndarray:
    """Join the tiles of one utterance; overlaps are cross-faded in decibels.

    Over an overlap one tile's weight falls linearly while the other's rises; at every frame the
    weights of all tiles there sum to one. A tile that is missing leaves silence, or all of the
    weight to its neighbour.

    Parameters
    ----------
    pieces : iterable of (Tile, ndarray)
        In the order of their starts: decibels ``(bins, columns)``, of which only the first
        ``tile.frames`` columns are used. Two at a time are held, so that an iterator that decodes
        them needs no memory for all at once.
    total_frames : int
        Frames of the utterance.
    floor_db : float
        Level that silence counts as when it is blended with something else; the image's darkest.
        Where all tiles are silent, so is the result.

    Returns
    -------
    ndarray
        ``(bins, total_frames)``, float32.
    """
    joined = np.full((bins, total_frames), SILENCE_DB, dtype=np.float32)
    weights = np.zeros(total_frames, dtype=np.float32)  # of what is joined so far
    reached = 0
    coming = iter(pieces)
    following = next(coming, None)
    while following is not None:
        tile, decibels = following
        following = next(coming, None)
        start, end = tile.start_frame, tile.start_frame + tile.frames
        shared = min(max(0, reached - start), tile.frames)  # with tiles before
        later = 0 if following is None else max(0, end - following[0].start_frame)
        weight = np.ones(tile.frames, dtype=np.float32)
        weight[:shared] *= _ramp(shared)
        weight[tile.frames - later :] *= _ramp(later)[::-1]
        weights[start:end] += weight
        both = slice(start, start + shared)
        share = weight[:shared] / weights[both]
        joined[:, both] = _blend(joined[:, both], decibels[:, :shared], share, floor_db)
        joined[:, both.stop : end] = decibels[:, shared : tile.frames]
        reached = max(reached, end)
    return joined


def _blend(before: np.ndarray, after: np.ndarray, share: np.ndarray, floor_db: float) -> np.ndarray:
    """Decibels of two, ``share`` of them the second's; silent where both are."""
    first, second = (np.maximum(one, np.float32(floor_db)) for one in (before, after))
    sounding = (before > SILENCE_DB) | (after > SILENCE_DB)
    return np.where(sounding, first + share * (second - first), SILENCE_DB)


def _ramp(length: int) -> np.ndarray:
    """Rising and never 0 or 1, so that it and its mirror image sum to one."""
    return (np.arange(length, dtype=np.float32) + 0.5) / length
