"""Several STFTs in one array, one below the other, so that iterations treat them as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vocoder.spec import SpectrogramSpec


class Stack:
    """How the STFTs of several analyses lie in one ``(batch, rows, frames)``.

    An analysis whose window is ``n`` times as long as the first one's overlaps itself more than it
    has to, and is the most expensive: of it every ``n``-th frame is used (``strides``), whose bins
    fill the rows of ``n`` frames, a share in each. With ``n`` of 3 that costs .001 of ESTOI and .01
    of PESQ (24 generated utterances, 6 true ones), and halves the time.

    All arrays lie in memory frame by frame.

    Parameters
    ----------
    specs : tuple of SpectrogramSpec
        Of the analyses, on one grid.
    """

    def __init__(self, specs: tuple[SpectrogramSpec, ...]) -> None:
        self.specs = specs
        self.strides = [max(1, one.win_length // specs[0].win_length) for one in specs]
        pairs = zip(specs, self.strides, strict=True)
        self.rows = [-(-spec.n_freqs // stride) for spec, stride in pairs]

    def used(self, frames: Tensor, index: int) -> Tensor:
        """Of all frames ``(batch, n, frames)`` of an analysis those that are used."""
        stride = self.strides[index]
        return frames[:, :, : frames.shape[2] // stride * stride : stride]

    def join(self, parts: Sequence[Tensor], n_frames: int) -> Tensor:
        """The used frames of all analyses, ``(batch, n_freqs, used)`` each, in one array."""
        if len(parts) == 1:
            return parts[0]
        joined = parts[0].new_empty(len(parts[0]), n_frames, sum(self.rows))
        first = 0
        for part, stride, rows in zip(parts, self.strides, self.rows, strict=True):
            place, end = joined[:, :, first : first + rows], part.shape[2] * stride
            first += rows
            place[:, end:] = 0
            for k in range(stride):
                share = part.mT[:, :, k * rows : (k + 1) * rows]
                place[:, k:end:stride, : share.shape[2]] = share
                place[:, k:end:stride, share.shape[2] :] = 0
        return joined.mT

    def split(self, joined: Tensor) -> list[Tensor]:
        """What `join` was given."""
        parts = []
        packed = torch.split(joined, self.rows, dim=1)
        for part, spec, stride in zip(packed, self.specs, self.strides, strict=True):
            if stride > 1:
                end = part.shape[2] // stride * stride
                shares = [part.mT[:, k:end:stride] for k in range(stride)]
                part = torch.cat(shares, dim=2)[:, :, : spec.n_freqs].mT
            parts.append(part)
        return parts
