"""Cutting an utterance into tiles, and stitching generated tiles together again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vocoder.decibels import SILENCE_DB
from vocoder.errors import BadInput
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


@dataclass(frozen=True)
class Stitched:
    """An utterance from its tiles.

    Parameters
    ----------
    decibels : ndarray
        ``(bins, total_frames)``, float32.
    covered : ndarray
        ``(total_frames,)``, bool: frames that at least one tile holds; the others are silent.
    """

    decibels: np.ndarray
    covered: np.ndarray


@dataclass
class _Piece:
    """A tile whose frames are not all joined yet; ``weight`` falls when its successor is known."""

    tile: Tile
    decibels: np.ndarray
    weight: np.ndarray

    @property
    def start(self) -> int:
        return self.tile.start_frame

    @property
    def end(self) -> int:
        return self.tile.start_frame + self.tile.frames


def stitch(
    pieces: Iterable[tuple[Tile, np.ndarray]], total_frames: int, floor_db: float
) -> Stitched:
    """Join the tiles of one utterance; overlaps are cross-faded in decibels.

    Over an overlap one tile's weight falls linearly while the other's rises; at every frame the
    weights of all tiles there sum to one. A tile that is missing leaves silence, or all of the
    weight to its neighbour. Tiles are taken one by one and let go of when no later one can reach
    their frames, so that an iterator that decodes them needs no memory for all at once.

    Parameters
    ----------
    pieces : iterable of (Tile, ndarray)
        In the order of their starts: decibels ``(bins, columns)``; only the first ``tile.frames``
        columns are used.
    total_frames : int
        Frames of the utterance.
    floor_db : float
        Level that silence counts as when it is blended with something else; the image's darkest.
        Where all tiles are silent, so is the result.

    Raises
    ------
    ValueError
        Tiles out of order.
    """
    joined: np.ndarray | None = None
    covered = np.zeros(total_frames, dtype=bool)
    waiting: list[_Piece] = []
    for tile, decibels in pieces:
        bins = decibels.shape[0] if joined is None else joined.shape[0]
        _check_piece(tile, decibels, bins, total_frames)
        if joined is None:
            joined = np.full((bins, total_frames), SILENCE_DB, dtype=np.float32)
            done = 0
        if tile.start_frame < done:
            raise ValueError(f"tile {tile.stem} comes after one that starts later")
        _join(joined, covered, waiting, slice(done, tile.start_frame), floor_db)
        piece = _Piece(tile, decibels, np.ones(tile.frames, dtype=np.float32))
        if waiting:
            _cross(waiting[-1], piece)
        done = tile.start_frame
        # The last one stays even if it has ended: the next is cross-faded with it, and no other.
        waiting = [*(one for one in waiting if one.end > done), piece]
    if joined is None:
        raise BadInput("no tiles to stitch; expected at least one", key="tiles.missing")
    _join(joined, covered, waiting, slice(done, total_frames), floor_db)
    return Stitched(joined, covered)


def _cross(before: _Piece, after: _Piece) -> None:
    """Ramps as long as the overlap, if there is one."""
    overlap = before.end - after.start
    if overlap > 0:
        before.weight[-overlap:] *= _ramp(overlap)[::-1]
        length = min(overlap, after.tile.frames)
        after.weight[:length] *= _ramp(length)


def _join(
    joined: np.ndarray,
    covered: np.ndarray,
    pieces: Sequence[_Piece],
    frames: slice,
    floor_db: float,
) -> None:
    """Fill in frames that no later tile reaches; all pieces start before them."""
    ends = {min(piece.end, frames.stop) for piece in pieces if piece.end > frames.start}
    for first, last in pairwise(sorted({frames.start, *ends})):
        here = [piece for piece in pieces if piece.end >= last]
        parts = [one.decibels[:, first - one.start : last - one.start] for one in here]
        covered[first:last] = True
        if len(parts) == 1:
            joined[:, first:last] = parts[0]
            continue
        weights = np.stack([one.weight[first - one.start : last - one.start] for one in here])
        blended = sum(
            share * np.maximum(part, np.float32(floor_db))
            for share, part in zip(weights / weights.sum(axis=0), parts, strict=True)
        )
        sounding = np.logical_or.reduce([part > SILENCE_DB for part in parts])
        joined[:, first:last] = np.where(sounding, blended, SILENCE_DB)


def _check_piece(tile: Tile, decibels: np.ndarray, bins: int, total_frames: int) -> None:
    if decibels.ndim != 2 or decibels.shape[0] != bins or decibels.shape[1] < tile.frames:
        raise BadInput(
            f"tile {tile.stem} has shape {decibels.shape}; expected {bins} bins and at least "
            f"{tile.frames} frames",
            key="tile.shape",
        )
    if tile.start_frame + tile.frames > total_frames:
        raise BadInput(
            f"tile {tile.stem} ends at frame {tile.start_frame + tile.frames}, after the "
            f"utterance's {total_frames}",
            key="tile.range",
        )


def _ramp(length: int) -> np.ndarray:
    """Rising and never 0 or 1, so that it and its mirror image sum to one."""
    return (np.arange(length, dtype=np.float32) + 0.5) / length
