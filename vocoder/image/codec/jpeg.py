"""What a JPEG leaves open: the spectrograms that would have given the same file."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from scipy.fft import dctn, idctn
from torch import Tensor

from vocoder.image.codec.base import LevelCodec
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Admit

BLOCK = 8  # JPEG transforms blocks of 8 x 8 pixels (ITU-T T.81, A.3.3)
MIDDLE = 128  # the level shift before it (A.3.1)
# Coefficients may go this far from the middle of their cell, in cells, where 0.5 is its edge: the
# truth is more often near the middle. Of 0.05, 0.15, 0.25 and 0.5 it shares the best ESTOI with
# 0.15, at a better PESQ, on eight training lines at quality 75.
REACH = 0.25


class JpegCells:
    """The cells in which the cosine coefficients of a grey JPEG picture lie.

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
        blocks = idctn(inside, axes=(2, 3), norm="ortho") + MIDDLE
        rows, columns = pixels.shape
        joined = blocks.swapaxes(1, 2).reshape(-1, blocks.shape[1] * BLOCK)
        return np.asarray(joined[:rows, :columns])


def admit_cells(
    tiles: Sequence[tuple[int, JpegCells]],
    values: np.ndarray,
    codec: LevelCodec,
    spec: SpectrogramSpec,
    gain: float,
) -> Admit:
    """The values that an utterance painted in JPEG tiles may have.

    Parameters
    ----------
    tiles : sequence of (int, JpegCells)
        First frame and cells of each tile; where tiles overlap, the later one counts.
    values : ndarray
        ``(bins, frames)``: what the tiles decode to, times ``gain``; kept outside of whole blocks.
    codec, spec
        Of the tiles.
    gain : float
        What decoded values are multiplied by to have the recording's own level.
    """

    def admit(candidate: Tensor, first: int) -> Tensor:
        last = first + candidate.shape[2]
        wanted = torch.from_numpy(values[:, first:last]).to(candidate)
        result = wanted.expand(candidate.shape).clone()
        for start, cells in tiles:
            begin = start + -(-max(0, first - start) // BLOCK) * BLOCK
            end = start + max(0, min(cells.columns, last - start)) // BLOCK * BLOCK
            if begin >= end:
                continue
            here = slice(begin - first, end - first)
            for item, painted in zip(candidate[:, :, here], result[:, :, here], strict=True):
                levels = codec.levels(item.cpu().numpy() / gain, spec)[::-1]
                moved = cells.nearest(levels, begin - start)[::-1]
                painted.copy_(torch.from_numpy(codec.values(moved, spec) * gain))
        return result

    return admit


def _transform(pixels: np.ndarray) -> np.ndarray:
    """Cosine transform of every block, ``(block rows, block columns, 8, 8)``; edges repeated."""
    rows, columns = pixels.shape
    whole = np.pad(pixels - np.float32(MIDDLE), ((0, -rows % BLOCK), (0, -columns % BLOCK)), "edge")
    blocks = whole.reshape(whole.shape[0] // BLOCK, BLOCK, -1, BLOCK).swapaxes(1, 2)
    return np.asarray(dctn(blocks, axes=(2, 3), norm="ortho"))
