"""Trained networks for programs without this package: ONNX, or a PyTorch program."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.model.generator import Generator, fold_weight_norm
from vocoder.spec import SpectrogramSpec

ONNX, PROGRAM = ".onnx", ".pt2"
METADATA = "vocoder.json"
_EXAMPLE_STRIDES = 16  # of the input that is traced: its length stays free


@runtime_checkable
class Portable(Protocol):
    """A network of decibels ``(batch, bins, frames)`` that can be exported."""

    spec: SpectrogramSpec
    inputs: Sequence[str]
    outputs: Sequence[str]
    context_frames: int
    stride_frames: int


@runtime_checkable
class OfOne(Protocol):
    """A network of other things than decibels, too, for batches of one."""

    def example(self, frames: int) -> tuple[Tensor, ...]:
        """Inputs of so many frames."""


def export(network: Portable, output: Path, *, overwrite: bool) -> None:
    """Write a network as one file that holds its weights, too.

    Parameters
    ----------
    network : Portable
        Left as it is; what is written has its weight norm folded.
    output : Path
        ``.onnx`` for ONNX, whose metadata hold the spec; ``.pt2`` for `torch.export.load`, with an
        extra file ``vocoder.json``. recipes/hifigan.md says what goes in and what comes out.
    """
    if output.suffix not in (ONNX, PROGRAM):
        raise BadInput(
            f"{output} ends in {output.suffix!r}; expected {ONNX} or {PROGRAM}", key="output.format"
        )
    with atomic_path(output, overwrite=overwrite) as temporary:
        if output.suffix == ONNX:
            _write_onnx(network, temporary)
        else:
            extra = {METADATA: json.dumps(metadata(network))}
            torch.export.save(program(network), temporary, extra_files=extra)


def metadata(network: Portable) -> dict[str, Any]:
    """What a user of the exported file has to know: what it reads, and where its audio lies."""
    first = {"first_sample": network.first_sample} if isinstance(network, Generator) else {}
    return {
        "model": type(network).__name__,
        "input": "decibels relative to a full-scale sine",
        # 20 log10(magnitude / this), or 10 log10 of powers. The logarithms that `compression` of
        # an imported network's spec names it takes itself.
        "full_scale": network.spec.full_scale,
        "spec": network.spec.to_dict(),
        **first,
        "context_frames": network.context_frames,
        "stride_frames": network.stride_frames,
    }


def program(network: Portable) -> ExportedProgram:
    """The computation of a network with folded weights, for any number of frames."""
    own = copy.deepcopy(network)
    if not isinstance(own, nn.Module):
        raise TypeError(f"{type(own).__name__} is not a network")
    own = own.cpu().eval()
    fold_weight_norm(own)
    example, longer = (_example(own, n) for n in (_EXAMPLE_STRIDES, 2 * _EXAMPLE_STRIDES))
    strides = Dim("frames") if own.stride_frames == 1 else Dim("strides")
    sizes: list[dict[int, Any]] = [
        {
            axis: length // _EXAMPLE_STRIDES * strides if length > _EXAMPLE_STRIDES else strides
            for axis, length in enumerate(tensor.shape)
            if length != other.shape[axis]
        }
        for tensor, other in zip(example, longer, strict=True)
    ]
    if not isinstance(own, OfOne):
        for size in sizes:
            size[0] = Dim("batch")
    with torch.no_grad():
        own(*example)  # fills caches, whose making would be traced, too
        return torch.export.export(own, example, dynamic_shapes=tuple(sizes))


def _example(network: Any, strides: int) -> tuple[Tensor, ...]:
    if isinstance(network, OfOne):
        return network.example(strides)
    specs = getattr(network, "specs", (network.spec,))  # of several analyses, stacked
    shape = 2, sum(spec.bins for spec in specs), strides * network.stride_frames
    return tuple(torch.zeros(shape) for _ in network.inputs)


def _write_onnx(network: Portable, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise BadInput(
            "ONNX needs the packages onnx and onnxscript; install them with pip install "
            "'vocoder[train]'",
            key="onnx.extra",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's about itself
        written = torch.onnx.export(
            program(network),
            input_names=list(network.inputs),
            output_names=list(network.outputs),
            verbose=False,
        )
    if written is None:
        raise RuntimeError("torch.onnx.export gave nothing back")
    for name, value in metadata(network).items():
        text = value if isinstance(value, str) else json.dumps(value)
        written.model.metadata_props[f"vocoder.{name}"] = text
    written.save(path, external_data=False)
