"""Several processes that train one model, each with its share of every batch, as plain functions.

``torchrun`` starts them; without it there is one, and nothing is exchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from vocoder.errors import BadInput

# All wait while one validates, which takes a WaveNet hours; torch would give up after minutes.
TIMEOUT = timedelta(days=2)


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes, over NCCL for GPUs and gloo for CPUs."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """This process's number, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main() -> bool:
    """Whether this process writes files and validates."""
    return rank() == 0


def share_of(batch_size: int) -> int:
    """Examples of a batch for each process."""
    if batch_size % world_size():
        raise BadInput(
            f"train.plan.batch_size is {batch_size}; expected a multiple of the {world_size()} "
            "processes",
            key="train.plan.batch_size.conflict",
        )
    return batch_size // world_size()


def broadcast(networks: Iterable[nn.Module]) -> None:
    """Give every process the main one's weights."""
    if world_size() > 1:
        for network in networks:
            for tensor in (*network.parameters(), *network.buffers()):
                distributed.broadcast(tensor.data, 0)


def average_gradients(network: nn.Module) -> None:
    """Give every process the mean of all gradients."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world_size()
    means = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def means(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Means of a step's losses over the processes."""
    values = torch.stack([loss.detach().float() for loss in losses.values()])
    if world_size() > 1:
        distributed.all_reduce(values)
        values /= world_size()
    return dict(zip(losses, values.tolist(), strict=True))


def any_process(flag: bool) -> bool:
    """Whether it is true in any process; all wait for each other."""
    if world_size() == 1:
        return flag
    found = torch.tensor(int(flag), device="cuda" if distributed.get_backend() == "nccl" else "cpu")
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return bool(found.item())


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process among those of its machine, where several share one."""
    if device.type != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    processes, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if device.index is not None and processes > 1:
        raise BadInput(
            f"device={device} for {processes} processes; expected device=cuda, for each its own",
            key="device.conflict",
        )
    if device.index is None:
        if processes > gpus:
            raise BadInput(
                f"{processes} processes, but {gpus} GPUs; start as many: "
                f"torchrun --nproc-per-node {gpus}",
                key="device.conflict",
            )
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device
