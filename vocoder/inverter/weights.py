"""Trained networks for inverters: read once, folded, and checked against the picture."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from vocoder.config import TARGET
from vocoder.errors import BadInput
from vocoder.inverter.base import Inverter
from vocoder.model.checkpoint import read_checkpoint
from vocoder.model.generator import Generator
from vocoder.model.weights import AUTO, find_weights, shipped_for
from vocoder.spec import SpectrogramSpec

# Inverters that take one kind of network; ``hifigan`` takes all that make sound by themselves.
_TAKERS = {"RepairNet": "hybrid", "IstftNet": "istft", "WaveNet": "wavenet"}
Kind = TypeVar("Kind", bound=nn.Module)


def load_network(
    source: str, kind: type[Kind], spec: SpectrogramSpec, device: torch.device
) -> Kind:
    """A trained network.

    Parameters
    ----------
    source : str
        As `vocoder.model.weights.find_weights` takes it; or ``auto``: what comes with the package
        for the spec.
    kind : type
        Of network.
    spec : SpectrogramSpec
        That it has to be trained for.
    device : torch.device

    Raises
    ------
    BadInput
        No such weights, damaged ones, of another kind, or for another spec (fields are named).
    """
    path = find_weights(_shipped(kind, spec) if source == AUTO else source)
    changed_ns = path.stat().st_mtime_ns if path.is_file() else 0
    network, own = _read(path, changed_ns, device)
    name = type(network).__name__
    if not isinstance(network, kind) or _taker(name) != _taker(kind.__name__):
        raise _foreign(path, name)
    own.require_same(spec, str(path), "the picture")
    return network


def takes_weights(source: str, inverter: Inverter) -> bool:
    """Whether an inverter has a network at all, for these weights, before anything is inverted.

    Parameters
    ----------
    source : str
        As for `load_network`.
    inverter : Inverter

    Raises
    ------
    BadInput
        Its network is of another kind; or there are no such weights.
    """
    path = find_weights(source)
    if inverter.network is None:
        return False
    name = read_checkpoint(path).model[TARGET].rpartition(".")[2]
    if _taker(name) != _taker(inverter.network.__name__):
        raise _foreign(path, name)
    return True


def _foreign(path: Path, name: str) -> BadInput:
    return BadInput(f"{path} holds weights of {name}, which inverter={_taker(name)} takes")


def _taker(name: str) -> str:
    """The option of ``inverter=`` that takes a class of networks."""
    return _TAKERS.get(name, "hifigan")


def _shipped(kind: type[nn.Module], spec: SpectrogramSpec) -> str:
    name = shipped_for(kind.__name__, spec)
    if name is None:
        raise BadInput(
            f"no {kind.__name__} comes with the package for {spec.describe()}; train one with "
            "vocoder train, and give checkpoint="
        )
    return name


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _read(path: Path, changed_ns: int, device: torch.device) -> tuple[nn.Module, SpectrogramSpec]:
    """Read once, unless the file has changed."""
    checkpoint = read_checkpoint(path)
    network = checkpoint.build()
    if isinstance(network, Generator):
        network.fold()
    return network.to(device), checkpoint.spec
