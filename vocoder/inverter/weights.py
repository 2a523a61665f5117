"""Trained networks for inverters: read once, folded, and checked against the picture."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

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
    network, own = _of_kind(path, kind, device)
    own.require_same(spec, str(path), "the picture")
    return network


def require_weights(source: str, inverter: Inverter) -> None:
    """Refuse weights that an inverter would not use, before anything is inverted.

    Parameters
    ----------
    source : str
        As for `load_network`; ``auto`` is always right.
    inverter : Inverter

    Raises
    ------
    BadInput
        The inverter has no network, or one of another kind; or there are no such weights.
    """
    if source == AUTO:
        return
    path = find_weights(source)
    if inverter.network is None:
        raise BadInput(
            f"checkpoint={source}, but {type(inverter).__name__} has no network; leave it out, or "
            f"say inverter={_taker(_read_now(path, torch.device('cpu'))[0])}, which takes them"
        )
    _of_kind(path, inverter.network, torch.device("cpu"))


def _of_kind(path: Path, kind: type[Kind], device: torch.device) -> tuple[Kind, SpectrogramSpec]:
    network, spec = _read_now(path, device)
    if not isinstance(network, kind):
        raise BadInput(
            f"{path} holds weights of {type(network).__name__}; expected {kind.__name__}. "
            f"inverter={_taker(network)} takes them"
        )
    return network, spec


def _taker(network: nn.Module) -> str:
    """The option of ``inverter=`` for a kind of network."""
    return _TAKERS.get(type(network).__name__, "hifigan")


def _shipped(kind: type[nn.Module], spec: SpectrogramSpec) -> str:
    name = shipped_for(kind.__name__, spec)
    if name is None:
        raise BadInput(
            f"no {kind.__name__} comes with the package for {spec.describe()}; train one with "
            "vocoder train, and give checkpoint="
        )
    return name


def _read_now(path: Path, device: torch.device) -> tuple[nn.Module, SpectrogramSpec]:
    """Read once, unless the file has changed."""
    return _read(path, path.stat().st_mtime_ns if path.is_file() else 0, device)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _read(path: Path, changed_ns: int, device: torch.device) -> tuple[nn.Module, SpectrogramSpec]:
    checkpoint = read_checkpoint(path)
    network = checkpoint.build()
    if isinstance(network, Generator):
        network.fold()
    return network.to(device), checkpoint.spec
