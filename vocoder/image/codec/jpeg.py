"""What a JPEG leaves open: the spectrograms that would have given the same file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy  # its packages are imported at their first use
import torch
from torch import Tensor

from vocoder.decibels import amplify
from vocoder.image.codec.base import LevelCodec
from vocoder.spectrogram import Constraint

BLOCK = 8  # JPEG transforms blocks of 8 x 8 pixels (ITU-T T.81, A.3.3)
MIDDLE = 128  # the level shift before it (A.3.1)
# Coefficients may go this far from the middle of their cell, in cells, where 0.5 is its edge: the
# truth is more often near the middle. Of 0.05, 0.15, 0.25 and 0.5 it shares the best ESTOI with
# 0.15, at a better PESQ, on eight training utterances at quality 75.
REACH = 0.25


class JpegCells:
    """The cells in which the cosine coefficients of a grey JPEG image lie.

    Parameters
    ----------
    pixels : ndarray
        ``(rows, columns)``, 0 to 255, as decoded.
    table : ndarray
        ``(8, 8)``, the quantisation steps.
    """

    def __init__(self, pixels: np.ndarray, table: np.ndarray) -> None:
        self.columns = pixels.shape[1]
        self._table = table.astype(np.float32)
        steps = np.rint(_transform(pixels) / self._table).astype(np.int16)
        # Nearly all are 0: packed, an hour of them takes 20 MB instead of 200.
        self._shape, self._packed = steps.shape, zlib.compress(steps.tobytes(), level=1)

    def nearest(self, pixels: np.ndarray, first: int) -> np.ndarray:
        """Move pixels of whole blocks, beginning at column ``first``, into their cells."""
        here = slice(first // BLOCK, (first + pixels.shape[1]) // BLOCK)
        steps = np.frombuffer(zlib.decompress(self._packed), np.int16).reshape(self._shape)
        middle = steps[:, here] * self._table
        reach = REACH * self._table
        inside = np.clip(_transform(pixels), middle - reach, middle + reach)
        blocks = scipy.fft.idctn(inside, axes=(2, 3), norm="ortho") + MIDDLE
        rows, columns = pixels.shape
        joined = blocks.swapaxes(1, 2).reshape(-1, blocks.shape[1] * BLOCK)
        return np.asarray(joined[:rows, :columns])


@dataclass(frozen=True)
class JpegConstraint(Constraint):
    """The decibels that an utterance in JPEG tiles may have.

    Parameters
    ----------
    tiles : list of (int, JpegCells)
        First frame and cells of each tile; where tiles overlap, the later one counts.
    decibels : ndarray
        ``(bins, frames)``: what the tiles decode to, at the recording's level; kept outside of
        whole blocks.
    codec : LevelCodec
        Of the tiles.
    gain_db : float
        From the tiles' level to the recording's.
    """

    tiles: list[tuple[int, JpegCells]]
    decibels: np.ndarray
    codec: LevelCodec
    gain_db: float

    margin_frames: ClassVar[int] = BLOCK

    def project(self, decibels: Tensor, first_frame: int) -> Tensor:
        last = first_frame + decibels.shape[2]
        known = torch.from_numpy(self.decibels[:, first_frame:last]).to(decibels)
        result = known.expand(decibels.shape).clone()
        for start, cells in self.tiles:
            begin = start + -(-max(0, first_frame - start) // BLOCK) * BLOCK
            end = start + max(0, min(cells.columns, last - start)) // BLOCK * BLOCK
            if begin >= end:
                continue
            here = slice(begin - first_frame, end - first_frame)
            for item, projected in zip(decibels[:, :, here], result[:, :, here], strict=True):
                levels = self.codec.levels(item.cpu().numpy() - self.gain_db)[::-1]
                moved = cells.nearest(levels, begin - start)[::-1]
                inside = amplify(self.codec.decibels(moved), self.gain_db)
                projected.copy_(torch.from_numpy(inside))
        return result


def _transform(pixels: np.ndarray) -> np.ndarray:
    """Cosine transform of every block, ``(block rows, block columns, 8, 8)``; edges repeated."""
    rows, columns = pixels.shape
    whole = np.pad(pixels - np.float32(MIDDLE), ((0, -rows % BLOCK), (0, -columns % BLOCK)), "edge")
    blocks = whole.reshape(whole.shape[0] // BLOCK, BLOCK, -1, BLOCK).swapaxes(1, 2)
    return np.asarray(scipy.fft.dctn(blocks, axes=(2, 3), norm="ortho"))
