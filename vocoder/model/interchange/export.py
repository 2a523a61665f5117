"""Trained generators for programs without this package: ONNX, or a PyTorch program."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.model.generator import Generator

ONNX, PROGRAM = ".onnx", ".pt2"
METADATA = "vocoder.json"
_EXAMPLE_SIZE = 2, 16  # of the input that is traced: both sizes stay free


def export(generator: Generator, output: Path, *, overwrite: bool) -> None:
    """Write a generator as one file that holds its weights, too.

    Parameters
    ----------
    generator : Generator
        Left as it is; what is written has its weight norm folded.
    output : Path
        ``.onnx`` for ONNX, whose metadata hold the spec; ``.pt2`` for `torch.export.load`, with an
        extra file ``vocoder.json``. The input ``spectrogram`` has the shape
        ``(batch, bins, frames)`` with any batch and any multiple of ``stride_frames``, in the
        spec's units (never decibels or logarithms); the output ``samples`` has
        ``(batch, frames * hop_length)``. An `vocoder.model.istft.IstftNet` has more of both: see
        `vocoder.model.istft.PhasesGiven`.
    overwrite : bool

    Raises
    ------
    BadInput
        Another suffix, the file exists or cannot be written, or a package is missing.
    """
    if output.suffix not in (ONNX, PROGRAM):
        raise BadInput(f"{output} ends in {output.suffix!r}; expected {ONNX} or {PROGRAM}")
    with atomic_path(output, overwrite=overwrite) as temporary:
        if output.suffix == ONNX:
            _write_onnx(generator, temporary)
        else:
            extra = {METADATA: json.dumps(metadata(generator))}
            torch.export.save(program(generator), temporary, extra_files=extra)


def metadata(generator: Generator) -> dict[str, Any]:
    """What a user of the exported file has to know: what it reads, and where its sound lies."""
    return {
        "model": type(generator).__name__,
        "spec": generator.spec.to_dict(),
        "first_sample": generator.first_sample,
        "reach_frames": generator.reach_frames,
        "stride_frames": generator.stride_frames,
    }


def program(generator: Generator) -> ExportedProgram:
    """The computation of a generator with folded weights, for any batch and number of frames."""
    own = copy.deepcopy(generator).cpu().eval()
    own.fold()
    batch, strides = _EXAMPLE_SIZE
    stride = own.stride_frames
    rows = {"spectrogram": own.spec.bins, "phase": own.spec.n_freqs}
    portable = own.portable()
    example = tuple(torch.ones(batch, rows[name], strides * stride) for name in _names(portable)[0])
    with torch.no_grad():
        portable(*example)  # fills caches, whose making would be traced, too
        sizes = {0: Dim("batch"), 2: Dim("frames") if stride == 1 else stride * Dim("strides")}
        return torch.export.export(portable, example, dynamic_shapes=(sizes,) * len(example))


def _names(portable: nn.Module) -> tuple[list[str], list[str]]:
    inputs, outputs = portable.inputs, portable.outputs
    return list(cast(Sequence[str], inputs)), list(cast(Sequence[str], outputs))


def _write_onnx(generator: Generator, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise BadInput(
            "ONNX needs the packages onnx and onnxscript; install them with pip install "
            "'vocoder[train]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's about itself
        inputs, outputs = _names(generator.portable())
        written = torch.onnx.export(
            program(generator), input_names=inputs, output_names=outputs, verbose=False
        )
    if written is None:
        raise RuntimeError("torch.onnx.export gave nothing back")
    for name, value in metadata(generator).items():
        text = value if isinstance(value, str) else json.dumps(value)
        written.model.metadata_props[f"vocoder.{name}"] = text
    written.save(path, external_data=False)
