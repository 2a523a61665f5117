"""Checkpoints of other programs: files of tensors and settings, read without running anything."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
import yaml
from torch import Tensor

from vocoder.errors import BadInput
from vocoder.files import parse_yaml
from vocoder.model.checkpoint import Checkpoint
from vocoder.spec import SpectrogramSpec

# Tensors of a normalised layer, as older versions of PyTorch save them and as ours does.
WEIGHT_NORM = {"weight_g": "original0", "weight_v": "original1"}
SPECTRAL_NORM = {"weight_orig": "original", "weight_u": "0._u", "weight_v": "0._v"}
# What reading a file that is no checkpoint, or a damaged one, raises.
_UNREADABLE = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, OSError)
MAX_CONFIG_BYTES = 1_000_000  # YAML takes time; those of the programs have 10 000


def read_settings(path: Path) -> dict[str, Any]:
    """The settings beside a checkpoint, in JSON or YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > MAX_CONFIG_BYTES:
            raise ValueError(f"{len(text)} characters")
        values = json.loads(text) if path.suffix == ".json" else parse_yaml(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise BadInput(
            f"{path} cannot be read as {kind} ({error}); give the settings that lie beside the "
            "checkpoint with config=",
            key="config.unreadable",
        ) from error
    return dict(values) if isinstance(values, dict) else {}


def require_keys(values: Mapping[str, Any], keys: tuple[str, ...], path: Path) -> None:
    """Refuse settings that lack some of the keys."""
    if missing := [key for key in keys if key not in values]:
        raise BadInput(
            f"{path} lacks {', '.join(missing)}; give the settings that lie beside the checkpoint",
            key="config.missing",
        )


def require_values(values: Mapping[str, Any], expected: Mapping[str, Any], path: Path) -> None:
    """Refuse settings that other networks have; a key that is missing is as expected."""
    for key, value in expected.items():
        if values.get(key, value) != value:
            raise BadInput(
                f"{path} has {key} {values[key]!r}; only {value!r} can be taken over exactly",
                key=f"config.{key}.range",
            )


def require_sizes(sizes: Mapping[str, Any], tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuse sizes that no tensor has, before anything of such a size is built."""
    there = [size for tensor in tensors.values() for size in tensor.shape]
    for key, value in sizes.items():
        for size in value if isinstance(value, list) else [value]:
            if size not in there:
                raise BadInput(
                    f"{where}, whose {key} is {value!r}: no tensor has that size; give the "
                    "settings that lie beside the checkpoint",
                    key="weights.config",
                )


def require_numbers(values: Mapping[str, Any], keys: tuple[str, ...], path: Path) -> None:
    """Refuse what is no list of whole numbers."""
    for key in keys:
        if not are_numbers(values[key]):
            raise BadInput(
                f"{path} has {key} {values[key]!r}; expected a list of whole numbers",
                key=f"config.{key}.type",
            )


def mel_spec(path: Path, *, sample_rate: Any, fmax: float | None, **fields: Any) -> SpectrogramSpec:
    """The spec of a vocoder's mels: what all these programs have alike, and ``fields``.

    Their mels are librosa's unless ``fields`` say otherwise; without ``fmax``, up to half the
    sample rate.
    """
    if type(sample_rate) is not int:
        raise BadInput(
            f"{path} has sampling_rate {sample_rate!r}; expected Hz",
            key="config.sampling_rate.type",
        )
    alike = {
        "kind": "mel",
        "window": "hann",
        "center": True,
        "pad_mode": "reflect",
        "power": 1.0,
        "nyquist": True,
        "mel_scale": "slaney",
        "mel_norm": "slaney",
        "sample_rate": sample_rate,
        "fmax": sample_rate / 2 if fmax is None else fmax,
    }
    return SpectrogramSpec.from_dict(alike | fields, str(path))


def finished(
    model: dict[str, Any],
    spec: SpectrogramSpec,
    tensors: dict[str, Tensor],
    origin: str,
    where: str,
) -> Checkpoint:
    """The checkpoint, after it was built once."""
    checkpoint = Checkpoint(model, spec, tensors, {"origin": origin})
    try:
        checkpoint.build()
    except BadInput as error:
        raise BadInput(f"{where}: {error}", key="weights.config") from error
    return checkpoint


def read_torch(path: Path) -> dict[str, Any]:
    """The top level of a file of PyTorch."""
    if not path.is_file():
        raise BadInput(
            f"{path} does not exist; give a generator's checkpoint, such as g_02500000",
            key="weights.missing",
        )
    if path.suffix == ".onnx":
        raise BadInput(
            f"{path} is ONNX, which is written (vocoder export) but not read; give the checkpoint "
            "that it was made of",
            key="weights.onnx",
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path} holds other things than weights, or is damaged; it was not opened, since "
            "such a file can run any code",
            key="weights.unsafe",
        ) from error
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or ["it is empty"])[0]
        raise BadInput(
            f"{path} cannot be read as a checkpoint of PyTorch ({reason})", key="weights.damaged"
        ) from error
    if not isinstance(content, Mapping):
        raise BadInput(
            f"{path} holds a {type(content).__name__}; expected weights by name",
            key="weights.format",
        )
    return dict(content)


def is_state(state: Any) -> TypeGuard[dict[str, Tensor]]:
    """Whether it is tensors by name."""
    return (
        isinstance(state, Mapping)
        and bool(state)
        and all(isinstance(name, str) for name in state)
        and all(isinstance(tensor, Tensor) for tensor in state.values())
    )


def are_numbers(values: Any) -> bool:
    """Whether it is a list of whole numbers."""
    return isinstance(values, list) and bool(values) and all(type(n) is int for n in values)


def renamed(state: Mapping[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    """Under our names, whichever way PyTorch has normalised weights and joined GPUs."""
    found = {}
    for name, tensor in state.items():
        layer, _, leaf = name.rpartition(".")
        leaves = SPECTRAL_NORM if f"{layer}.weight_orig" in state else WEIGHT_NORM
        new = f"{layer}.parametrizations.weight.{leaves[leaf]}" if leaf in leaves else name
        found[rename(new.removeprefix("module."))] = tensor.detach()
    return found


def with_norm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put weight norm back where it was removed."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(".weight"):
            layer = name.removesuffix("weight") + "parametrizations.weight."
            found[f"{layer}original0"] = torch.linalg.vector_norm(tensor, dim=(1, 2), keepdim=True)
            found[f"{layer}original1"] = tensor
        else:
            found[name] = tensor
    return found
