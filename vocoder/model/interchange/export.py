"""Trained generators for programs without this package: ONNX, or a PyTorch program."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.model.generator import Generator

ONNX, PROGRAM = ".onnx", ".pt2"
INPUT, OUTPUT = "spectrogram", "samples"
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
        ``(batch, bins, frames)`` with any number of each, in the spec's units (never decibels or
        logarithms); the output ``samples`` has ``(batch, frames * hop_length)``.
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
    }


def program(generator: Generator) -> ExportedProgram:
    """The computation of a generator with folded weights, for any batch and number of frames."""
    own = copy.deepcopy(generator).cpu().eval()
    own.fold()
    batch, frames = _EXAMPLE_SIZE
    example = torch.ones(batch, own.spec.bins, frames)
    with torch.no_grad():
        sizes = {0: Dim("batch"), 2: Dim("frames")}
        return torch.export.export(own, (example,), dynamic_shapes=(sizes,))


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
        written = torch.onnx.export(
            program(generator), input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
    if written is None:
        raise RuntimeError("torch.onnx.export gave nothing back")
    for name, value in metadata(generator).items():
        text = value if isinstance(value, str) else json.dumps(value)
        written.model.metadata_props[f"vocoder.{name}"] = text
    written.save(path, external_data=False)
