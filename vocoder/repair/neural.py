"""A repair by a trained network, in chunks that join without a seam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from vocoder.cpu import torch_threads
from vocoder.decibels import SILENCE_DB
from vocoder.device import torch_device
from vocoder.errors import BadInput, expect_ranges
from vocoder.model.features import FLOOR_DB
from vocoder.model.weights import load_network, require_kind
from vocoder.repair.base import Repair
from vocoder.repair.network import RepairNet
from vocoder.repair.postfilter import postfilter
from vocoder.spectrogram import Spectrogram

MAX_POSTFILTER = 2.0


class Chunk(NamedTuple):
    """Frames of a long image, and those around them that a network has to see."""

    begin: int
    end: int
    first: int
    last: int

    @property
    def inner(self) -> slice:
        """The chunk's own frames, among those from ``first`` on."""
        return slice(self.begin - self.first, self.end - self.first)


def chunks(total: int, size: int, context: int, stride: int) -> Iterator[Chunk]:
    """Cut ``total`` frames; chunks begin at whole strides, so that a network's grid stays."""
    size = size // stride * stride
    for begin in range(0, total, size):
        end = min(begin + size, total)
        first = max(begin - context, 0) // stride * stride
        yield Chunk(begin, end, first, min(end + context, total))


@dataclass(frozen=True, kw_only=True)
class NetworkRepair(Repair):
    """Runs a `vocoder.repair.network.RepairNet` over the image.

    Where the file says what it leaves open (`Spectrogram.constraint`), the result is moved into
    that once and then is as good as an image: it lies nearer to the truth than what iterations
    find in the same cells. Everywhere else it is an estimate.

    Of several analyses the network repairs those that it learnt (`RepairNet.specs`): all together,
    or the first alone, beside which the others stay as they are.

    Parameters
    ----------
    weights : str
        A file, a training's folder, or the name of weights that come with the package.
    strength : float
        0 leaves the image as it is, 1 takes the network's.
    n_shifts : int
        Repairs that are averaged, with the network's grid at as many places
        (`RepairNet.averaged`).
    postfilter : float
        Strength of `vocoder.repair.postfilter.postfilter`, 0 to 2.
    chunk_frames : int
        Frames that are repaired at once, beside the network's context; bounds the memory.
    device : str
        A torch device, or ``auto``.
    """

    weights: str
    strength: float
    n_shifts: int
    postfilter: float
    chunk_frames: int
    device: str

    def __post_init__(self) -> None:
        stride = RepairNet.stride_frames
        expect_ranges(self, "repair", strength=(0, 1), postfilter=(0, MAX_POSTFILTER))
        expect_ranges(self, "repair", n_shifts=(1, stride), chunk_frames=(stride, 10**6))
        require_kind(self.weights, RepairNet)

    @torch_threads()
    def __call__(self, spectrogram: Spectrogram) -> Spectrogram:
        return self.repair(spectrogram, self.strength)

    def repair(self, spectrogram: Spectrogram, strength: float) -> Spectrogram:
        """Repair with another strength than the parameter's."""
        if strength == 0:
            return spectrogram
        device, spec = torch_device(self.device), spectrogram.spec
        network = load_network(self.weights, RepairNet, spec, device)
        known = spectrogram
        if len(network.specs) == 1:  # it knows of no others, which stay as they are
            known = replace(spectrogram, others=())
        elif network.specs != spectrogram.specs:
            raise BadInput(
                f"{self.weights} repairs images of {len(network.specs)} analyses, with windows of "
                f"{[one.win_length for one in network.specs]} samples, and this one holds "
                f"{[one.win_length for one in spectrogram.specs]}; give other repair.weights=",
                key="repair.windows.conflict",
            )
        given = known.stacked
        repaired = torch.empty_like(given, device="cpu")
        certainty = torch.ones(given.shape[0], given.shape[2])
        for begin, end, piece, sure in self._chunks(network, given, device):
            before = given[:, :, begin:end].to(device).clamp(min=FLOOR_DB)
            after = torch.lerp(before, piece, strength)
            audible = (before > FLOOR_DB) & (after > FLOOR_DB)
            repaired[:, :, begin:end] = torch.where(audible, after, SILENCE_DB)
            certainty[:, begin:end] = 1 - strength * (1 - sure)
        told = replace(known.restacked(repaired), certainty=certainty, strength=strength)
        told = replace(told, others=told.others or spectrogram.others)
        if spectrogram.constraint is None:
            return replace(told, estimated=max(spectrogram.estimated, strength))
        spectrogram.constraint.project_all(told.decibels, self.chunk_frames)
        return replace(told, constraint=None)

    @torch.inference_mode()
    def _chunks(
        self, network: RepairNet, decibels: Tensor, device: torch.device
    ) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """Begin, end, repair and certainty of consecutive pieces, as in the repair of the whole."""
        context, total = self.context_frames(network), decibels.shape[2]
        for piece in chunks(total, self.chunk_frames, context, network.stride_frames):
            around = decibels[:, :, piece.first : piece.last].to(device)
            image, certainty = self.repaired(network, around, piece.first)
            yield piece.begin, piece.end, image[:, :, piece.inner], certainty[:, piece.inner]

    def context_frames(self, network: RepairNet) -> int:
        """Frames on either side of its own that a repaired pixel depends on."""
        return network.context_frames

    def repaired(
        self, network: RepairNet, decibels: Tensor, first_frame: int
    ) -> tuple[Tensor, Tensor]:
        """Repair a piece of an image that begins with that frame.

        Returns
        -------
        repaired : Tensor
            ``(batch, bins, frames)`` in dB.
        certainty : Tensor
            ``(batch, frames)``, see `Spectrogram.certainty`.
        """
        image = network.averaged(decibels, self.n_shifts)
        planes = zip(image.chunk(len(network.specs), dim=1), network.specs, strict=True)
        sharp = torch.cat([postfilter(plane, self.postfilter, spec) for plane, spec in planes], 1)
        return sharp, torch.ones(len(sharp), sharp.shape[2], device=sharp.device)
