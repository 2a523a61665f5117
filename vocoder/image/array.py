"""Spectrograms as NumPy arrays in files, with what they mean beside them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from pickle import UnpicklingError
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.lib.npyio import NpzFile

from vocoder.decibels import to_decibels
from vocoder.errors import BadInput
from vocoder.files import atomic_path, read_record, refuse_existing, write_text
from vocoder.image.codec.base import strips
from vocoder.image.codec.foreign import Foreign
from vocoder.image.doctor.looks import middle_columns
from vocoder.spec import SpectrogramSpec
from vocoder.spectrogram import Spectrogram

ARRAY_SUFFIX = ".npy"
ARCHIVE_SUFFIX = ".npz"  # only read, with one array of two dimensions
TENSOR_SUFFIX = ".pt"  # only read
INFO_SUFFIX = ".spec.json"
# What NumPy and torch raise of files that are no arrays.
_DAMAGED = (
    *(BadZipFile, OSError, ValueError, EOFError, MemoryError, SyntaxError, TokenError),
    *(RuntimeError, TypeError, UnpicklingError),
)
# From the least to the greatest, natural logarithms of speech in noise as loud as it span 4.9 and
# more, of white noise 3.6, of any with 16 bits 25 at most; decibels span 50 and more, what was
# scaled to 0 to 1 or -1 to 1, and Whisper's numbers, 2 at most.
_MIN_SPAN, _MAX_SPAN = 2.5, 35.0
# Of the numbers equal to the least: only clipping makes so many. And how near is the same.
_CLIPPED_SHARE, _NEAR = 0.005, 0.05
MIN_FRAMES = 24  # fewer say nothing of what numbers are
_LOG10_FLOORS = (-5.0, -10.0)


def find_arrays(path: Path) -> dict[str, Path]:
    """The arrays at a path, by their stems: the file itself, or those of the folder.

    Tensors (``.pt``) of a folder count where nothing else is in it: checkpoints are named so too.
    """
    arrays = (ARRAY_SUFFIX, ARCHIVE_SUFFIX)
    if path.suffix in (*arrays, TENSOR_SUFFIX) and path.is_file():
        return {path.stem: path}
    if not path.is_dir():
        return {}
    files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    found = [file for file in files if file.suffix in arrays]
    if not found and all(file.suffix == TENSOR_SUFFIX for file in files):
        found = files
    by_name = {file.stem: file for file in found}
    for file in found:
        if (other := by_name[file.stem]) != file:
            raise BadInput(
                f"{path} holds {file.name} and {other.name}, two arrays of one name; keep one",
                key="input.twice",
            )
    return by_name


def write_array(path: Path, spectrogram: Spectrogram, *, overwrite: bool) -> None:
    """Write ``path`` (``.npy``) and what it means (``.spec.json``) beside it.

    The array is float32 of shape ``(bins, frames)``, as its spec says: magnitudes or powers, or
    the natural logarithm of them.
    """
    spec = spectrogram.spec
    values = spectrogram.linear[0].cpu().numpy()
    if spec.compression == "log":
        values = np.log(np.maximum(values, np.float32(spec.floor)))
    info = {"spec": spec.to_dict(), "samples": spectrogram.n_samples}
    refuse_existing(path, overwrite=overwrite)
    # Before the array, whose being there says that all is done.
    write_text(path.with_suffix(INFO_SUFFIX), json.dumps(info, indent=2), overwrite=True)
    with atomic_path(path, overwrite=overwrite) as temporary:
        np.save(temporary, np.ascontiguousarray(values))


def read_array(
    path: Path,
    spec: SpectrogramSpec | None,
    codec: Foreign | None = None,
    notes: list[str] | None = None,
) -> Spectrogram:
    """Read an array; its meaning comes from the ``.spec.json`` beside it or from ``spec``.

    Parameters
    ----------
    path : Path
        Holds one array, ``(bins, frames)`` or ``(1, bins, frames)``: ``.npy``, ``.npz``, ``.pt``.
    codec : Foreign or None
        What its numbers mean, where not what the spec says (magnitudes, powers or ``compression``).
    notes : list of str, optional
        Takes what speaks against that.
    """
    about = path.with_suffix(INFO_SUFFIX)
    if codec is not None and about.exists():
        raise BadInput(
            f"{about} says what the numbers of {path.name} mean; leave codec= out",
            key="codec.conflict",
        )
    spec, n_samples = meaning(path, spec)
    values = read_numbers(path)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiu":
        raise BadInput(
            f"{path}: the array holds {values.dtype} of shape {values.shape}; expected numbers of "
            "two dimensions",
            key="array.shape",
        )
    if not np.isfinite(values).all():
        raise BadInput(f"{path}: the array holds NaN or infinity", key="array.range")
    if codec is not None:
        try:
            decoded = codec.decode_array(values, spec)
        except BadInput as error:
            raise BadInput(f"{path}: {error}", error.key) from error
        return Spectrogram(torch.from_numpy(decoded)[None], spec, n_samples)
    if values.shape[0] != spec.bins:
        hint = ""
        if values.shape[1] == spec.bins:
            hint = "; it seems to be transposed: save its transpose"
        raise BadInput(
            f"{path}: the array has shape {values.shape}; expected ({spec.bins}, frames){hint}",
            key="array.shape",
        )
    if values.dtype.kind != "f":
        raise BadInput(
            f"{path}: the array holds {values.dtype}; expected floating-point numbers",
            key="array.type",
        )
    with np.errstate(over="ignore"):  # told below
        values = values.astype(np.float32, copy=False)  # an hour is large enough once
        if spec.compression == "log" and notes is not None and not about.exists():
            notes += _other_law(path, values, spec)
        if spec.compression == "log":
            np.exp(values, out=values)
    if not np.isfinite(values).all():
        raise BadInput(
            f"{path}: the array holds values too large to be magnitudes", key="array.range"
        )
    if spec.compression == "log":
        # What was clipped there is silence.
        values[values <= np.float32(spec.floor) * np.float32(1.0001)] = 0
    elif float(values.min()) < 0:
        raise BadInput(
            f"{path}: the array holds values down to {float(values.min()):g}; expected "
            f"magnitudes, which are not negative; vocoder identify input={path} tells whether they "
            "are decibels or logarithms",
            key="array.range",
        )
    decibels = torch.from_numpy(values)[None]
    for strip in strips(values):
        decibels[:, :, strip] = to_decibels(decibels[:, :, strip], spec)
    return Spectrogram(decibels, spec, n_samples)


def _other_law(path: Path, values: np.ndarray, spec: SpectrogramSpec) -> list[str]:
    """Why numbers cannot be natural logarithms of what speech has, if they cannot."""
    values = middle_columns(values)
    low, high, floor = float(values.min()), float(values.max()), math.log(spec.floor)
    if values.shape[1] < MIN_FRAMES or abs(low - floor) < _NEAR:
        return []
    clipped = float((values == low).mean()) > _CLIPPED_SHARE
    if high - low > _MAX_SPAN:
        why = "decibels: codec=foreign codec.reference="
        why += "max" if abs(high) < _NEAR else "one"
    elif abs(float(values.mean())) < _NEAR and abs(float(values.std()) - 1) < _NEAR:
        why = "standardised: codec=log_mel with their codec.mean and codec.deviation"
    elif clipped and min(abs(low - end) for end in (math.log10(spec.floor), *_LOG10_FLOORS)) < 1e-3:
        why = f"decimal logarithms: codec=log_mel codec.unit=log10 codec.min={low:.4g}"
    elif low > floor and (clipped or high - low < _MIN_SPAN):
        why = "scaled to a range: codec=foreign with its codec.at_min and codec.at_max"
    else:
        return []
    return [
        f"its numbers, from {low:.4g} to {high:.4g}, do not seem to be what the spec says, natural "
        f"logarithms from {floor:.4g} on, and become noise; perhaps {why}; vocoder identify "
        f"input={path} tells what they may be"
    ]


def read_numbers(path: Path) -> np.ndarray:
    """What the file holds, without axes of one before the last two; nothing in it is run."""
    try:
        if path.suffix == TENSOR_SUFFIX:
            values = torch.load(path, map_location="cpu", weights_only=True)
            values = values.detach().numpy() if isinstance(values, torch.Tensor) else None
        else:
            with path.open("rb") as file:
                values = np.load(file, allow_pickle=False)
                if isinstance(values, NpzFile):
                    values = _only(path, values)
    except BadInput:
        raise
    except _DAMAGED as error:
        raise BadInput(f"{path}: not an array of numbers ({error})", "array.damaged") from error
    if not isinstance(values, np.ndarray):
        raise BadInput(
            f"{path}: holds no array alone; save the spectrogram alone, with numpy.save say",
            key="array.archive",
        )
    if np.iscomplexobj(values):
        raise BadInput(
            f"{path}: the array holds {values.dtype}; expected floating-point numbers, such as its "
            "numpy.abs",
            key="array.type",
        )
    while values.ndim > 2 and values.shape[0] == 1:
        values = values.reshape(values.shape[1:])
    return values


def _only(path: Path, archive: NpzFile) -> np.ndarray:
    """The one array of an archive, or the one that can be a spectrogram."""
    names = archive.files
    if len(names) == 1:
        return np.asarray(archive[names[0]])
    found = {name: archive[name] for name in names}
    able = [
        name
        for name, one in found.items()
        if one.dtype.kind == "f" and one.ndim > 1 and min(one.shape[-2:]) > 1
    ]
    if len(able) == 1:
        return np.asarray(found[able[0]])
    shapes = ", ".join(f"{name} {one.shape}" for name, one in found.items()) or "nothing"
    raise BadInput(
        f"{path}: holds {shapes}; expected one array of two dimensions. Save the spectrogram "
        "alone, with numpy.save say",
        key="array.archive",
    )


def meaning(path: Path, spec: SpectrogramSpec | None) -> tuple[SpectrogramSpec, int | None]:
    """What an array's numbers mean, by the file beside it or by ``spec``, and its samples."""
    about = path.with_suffix(INFO_SUFFIX)
    if not about.exists():
        if spec is None:
            raise BadInput(
                f"{path} does not say how it was made; give spec=, such as spec=mel256, and codec= "
                "where its numbers are not the magnitudes or logarithms that the spec says; "
                "vocoder identify tells what it may be",
                key="spec.missing",
            )
        return spec, None
    info = read_record(about, "array.damaged", "remove it and give spec=")
    if missing := {"spec", "samples"} - info.keys():
        raise BadInput(
            f"{about} lacks {', '.join(sorted(missing))}; remove it and give spec=",
            key="array.damaged",
        )
    found, n_samples = SpectrogramSpec.from_dict(info["spec"], str(about)), info["samples"]
    if spec is not None:
        spec.require_same(found, "spec=", str(about))
    if n_samples is not None and (type(n_samples) is not int or n_samples < 1):
        raise BadInput(
            f"{about}: samples is {n_samples!r}; expected a whole number above 0",
            key="array.damaged",
        )
    return found, n_samples
