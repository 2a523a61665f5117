"""The torch device that a name stands for."""

from __future__ import annotations

import torch

from vocoder.errors import BadInput


def torch_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is a GPU if there is one, otherwise the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"device={name} cannot be used ({reason}); try device=cpu", key="device.unknown"
        ) from error
    return device
