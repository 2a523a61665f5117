"""Blocks of a picture as a network repairs them: with what it has to see around them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vocoder.errors import BadInput
from vocoder.inverter.contrast import with_contrast
from vocoder.model.features import from_db, to_db
from vocoder.model.istft import IstftNet
from vocoder.model.repair import RepairNet
from vocoder.spectrogram import Spectrogram

MAX_CONTRAST = 2.0


def require_settings(positions: int = 1, **contrasts: float) -> None:
    """Refuse settings of `repaired` that are out of range, the contrasts by their names.

    Raises
    ------
    BadInput
    """
    if not 1 <= positions <= RepairNet.stride_frames:
        raise BadInput(
            f"inverter.positions is {positions}; expected 1 to {RepairNet.stride_frames}"
        )
    for name, contrast in contrasts.items():
        if not 0 <= contrast <= MAX_CONTRAST:
            raise BadInput(f"inverter.{name} is {contrast}; expected 0 to {MAX_CONTRAST:g}")


@torch.inference_mode()
def repaired(
    network: RepairNet,
    spectrogram: Spectrogram,
    begin: int,
    end: int,
    device: torch.device,
    positions: int,
    contrast: float,
) -> tuple[Tensor, Tensor]:
    """Frames ``begin`` to ``end`` before and after, in dB, as in the whole picture's repair.

    Parameters
    ----------
    network : RepairNet
    spectrogram : Spectrogram
        All of it.
    begin, end : int
    device : torch.device
    positions : int
        Repairs that are averaged; see `RepairNet.averaged`.
    contrast : float
        See `with_contrast`.
    """
    # Whole strides, so that the network's grid stays the same.
    stride, total = network.stride_frames, spectrogram.values.shape[2]
    first = max(begin - network.reach_frames, 0) // stride * stride
    last = min(end + network.reach_frames, total)
    around = to_db(spectrogram.values[:, :, first:last].to(device), spectrogram.spec)
    after = with_contrast(network.averaged(around, positions), contrast, spectrogram.spec)
    inner = slice(begin - first, end - first)
    return around[:, :, inner], after[:, :, inner]


def corrected(
    network: IstftNet,
    spectrogram: Spectrogram,
    begin: int,
    end: int,
    device: torch.device,
    positions: int,
    contrast: float,
) -> Spectrogram:
    """Frames ``begin`` to ``end`` as an `IstftNet` corrects them; parameters as of `repaired`.

    Where a JPEG's file says what it leaves open, the correction is moved into that once, and then
    is the target: it lies nearer to the truth than what iterations find in the same cells.
    """
    _, after = repaired(network.repair, spectrogram, begin, end, device, positions, contrast)
    block = spectrogram.frames(begin, end).to(device)
    with torch.inference_mode():
        values = from_db(after, block.spec)
        if block.admit is not None:
            values = block.admit(values, 0)
    return replace(block, values=values, admit=None)
