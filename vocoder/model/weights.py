"""Weights where they lie: in a file, in a training's folder, or in the package."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from vocoder.config import TARGET, own_class
from vocoder.errors import BadInput
from vocoder.model.checkpoint import SUFFIX, read_checkpoint
from vocoder.model.generator import fold_weight_norm
from vocoder.spec import SpectrogramSpec

FOLDER = Path(__file__).parent / "shipped"
BEST_NAME = "best.safetensors"  # in the folder of a training
Kind = TypeVar("Kind", bound=nn.Module)


def find_weights(source: str) -> Path:
    """Find the file that ``source`` stands for.

    Parameters
    ----------
    source : str
        A file, a training's folder (its best weights), or the name of weights that come with the
        package, such as ``generated``.
    """
    if is_shipped(source):  # whatever the working folder holds: ./mels is a folder of that name
        return FOLDER / f"{source}{SUFFIX}"
    path = Path(source)
    if source and path.is_dir():
        if not (path / BEST_NAME).is_file():
            raise BadInput(
                f"{path} holds no {BEST_NAME}; give the folder of a training, or a file",
                key="weights.missing",
            )
        return path / BEST_NAME
    if source and path.exists():
        return path
    there = ", ".join(sorted(file.stem for file in FOLDER.glob(f"*{SUFFIX}")))
    raise BadInput(
        f"unknown weights {source!r}: expected a file, the folder of a training, or the name of "
        f"weights that come with the package ({there})",
        key="weights.unknown",
    )


def is_shipped(source: str) -> bool:
    """Whether ``source`` names weights that come with the package."""
    return Path(source).name == source and (FOLDER / f"{source}{SUFFIX}").is_file()


def fits(source: str, spec: SpectrogramSpec) -> bool:
    """Whether weights are meant for a spec: shipped ones for their own, a user's for any.

    A user's weights for another spec are an error where they are loaded, not a reason to go on
    without them.
    """
    return not is_shipped(source) or spec_of(source) == spec


def spec_of(source: str) -> SpectrogramSpec:
    """The spec that weights were trained for."""
    return read_checkpoint(find_weights(source), tensors=False).spec


def require_kind(source: str, kind: type[nn.Module]) -> None:
    """Refuse weights that are missing or of another kind of network, before any work is done."""
    path = find_weights(source)
    found = own_class(read_checkpoint(path).model[TARGET], str(path))
    if not issubclass(found, kind):
        raise _wrong_kind(found, kind, path)


def load_network(
    source: str, kind: type[Kind], spec: SpectrogramSpec, device: torch.device
) -> Kind:
    """Load a trained network, ready for inference; it is kept for the next call.

    Parameters
    ----------
    source : str
        As for `find_weights`.
    kind : type
        Of network.
    spec : SpectrogramSpec
        That it has to be trained for; fields that differ are named.
    """
    path = find_weights(source)
    network, own = _read(path, path.stat().st_mtime_ns, device)
    if not isinstance(network, kind):
        raise _wrong_kind(type(network), kind, path)
    own.require_same(spec, str(path), "the image")
    return network


def _wrong_kind(found: type, kind: type[nn.Module], path: Path) -> BadInput:
    return BadInput(
        f"{path} holds weights of {found.__name__}; expected {kind.__name__}", key="weights.kind"
    )


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _read(path: Path, changed_ns: int, device: torch.device) -> tuple[nn.Module, SpectrogramSpec]:
    """Read once, unless the file has changed."""
    checkpoint = read_checkpoint(path)
    network = checkpoint.build()
    fold_weight_norm(network)
    return network.to(device), checkpoint.spec
