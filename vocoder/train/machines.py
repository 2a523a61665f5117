"""Several processes that train one model: each takes its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from vocoder.errors import BadInput


@dataclass(frozen=True)
class Machines:
    """Which process this is, of how many.

    Parameters
    ----------
    rank, world : int
        This process's number from 0, and how many there are.
    """

    rank: int
    world: int

    @property
    def leads(self) -> bool:
        """Whether this process writes files and validates."""
        return self.rank == 0

    def share(self, batch_size: int) -> int:
        """Examples of a batch for each process.

        Raises
        ------
        BadInput
            They cannot be shared out evenly.
        """
        if batch_size % self.world:
            raise BadInput(
                f"train.plan.batch_size is {batch_size}; expected a multiple of the {self.world} "
                "processes"
            )
        return batch_size // self.world

    def average_gradients(self, network: nn.Module) -> None:
        """Give every process the mean of all gradients."""
        if self.world == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.world
        begin = 0
        for gradient in gradients:
            gradient.copy_(flat[begin : begin + gradient.numel()].view_as(gradient))
            begin += gradient.numel()

    def average(self, figures: dict[str, Tensor]) -> dict[str, float]:
        """Means of a step's losses over the processes."""
        values = torch.stack([figure.detach().float() for figure in figures.values()])
        if self.world > 1:
            distributed.all_reduce(values)
            values /= self.world
        return dict(zip(figures, values.tolist(), strict=True))

    def agree(self, networks: Iterable[nn.Module]) -> None:
        """Give every process the leader's weights."""
        if self.world == 1:
            return
        for network in networks:
            for tensor in (*network.parameters(), *network.buffers()):
                distributed.broadcast(tensor.data, 0)

    def decide(self, stop: bool) -> bool:
        """The leader's decision, for all; also waits for it."""
        if self.world == 1:
            return stop
        flag = torch.tensor([int(stop)])
        if distributed.get_backend() == "nccl":
            flag = flag.cuda()
        distributed.broadcast(flag, 0)
        return bool(flag.item())


@contextmanager
def joined(device: torch.device) -> Iterator[Machines]:
    """Join the processes that ``torchrun`` started; without it, this one is alone.

    Parameters
    ----------
    device : torch.device
        That is trained on: gloo connects CPUs, NCCL GPUs.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield Machines(0, 1)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Machines(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process among those of its machine, where several share one.

    Raises
    ------
    BadInput
        There are more processes than GPUs, or all of them were given the same.
    """
    if device.type != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device.index is not None and processes > 1:
        raise BadInput(
            f"device={device} for {processes} processes; expected device=cuda, for each its own"
        )
    if device.index is None:
        there = torch.cuda.device_count()
        if processes > there:
            raise BadInput(
                f"{processes} processes, but {there} GPUs; start as many: "
                f"torchrun --nproc-per-node {there}"
            )
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device
