"""Decoded sound in one file that is mapped into memory, so that any stretch is read at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vocoder.audio import read_audio, read_info
from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import SILENCE_DBFS, Clip
from vocoder.errors import BadInput
from vocoder.files import atomic_path, write_text

FORMAT = 2
_SAMPLE = np.dtype("<i2")
FULL_SCALE = 32768.0  # of 16 bits, which are kept whatever the file has
_NAME_DIGITS = 16


@dataclass(frozen=True)
class Store:
    """Where the decoded clips lie.

    Parameters
    ----------
    path : Path
        16-bit samples of all clips, one after the other.
    offsets : tuple of int
        First sample of each clip in it; -1 for clips that could not be used.
    reasons : tuple of str
        Why, for each clip; empty where all is well.
    strangers : tuple of str
        Files that could not be read, or were not those of the table. They may be put right; what
        is wrong with any other lies in the file itself.
    """

    path: Path
    offsets: tuple[int, ...]
    reasons: tuple[str, ...]
    strangers: tuple[str, ...]

    def map(self) -> np.ndarray:
        """All samples, int16, mapped from disk, read-only."""
        return np.memmap(self.path, dtype=_SAMPLE, mode="r")


def open_store(folder: Path, clips: Sequence[Clip], cache: Path) -> Store:
    """The decoded clips: those of an earlier call if the contents are the same, or made now.

    Parameters
    ----------
    folder : Path
        Of the corpus.
    clips : sequence of Clip
    cache : Path
        Folder for the decoded sound; made if need be. Two bytes a sample.

    Raises
    ------
    BadInput
        The cache folder cannot be written, or is full.
    """
    digest = _digest(clips)
    data = cache / f"{digest[:_NAME_DIGITS]}.i16"
    index = data.with_suffix(".json")
    known = _read_index(index, data, digest, len(clips))
    if known is not None:
        by_path = {clip.path: clip for clip in clips if clip.path in known.strangers}
        if all(_estrangement(folder / path, clip) for path, clip in by_path.items()):
            return known
    try:
        with atomic_path(data, overwrite=True) as temporary:
            store = _decode(folder, clips, temporary)
        content = {"format": FORMAT, "digest": digest, **vars(store), "path": data.name}
        # The index comes last: whoever finds it finds the sound that it speaks of.
        content["bytes"] = data.stat().st_size
        write_text(index, json.dumps(content, ensure_ascii=False), overwrite=True)
    except BadInput as error:
        raise BadInput(
            f"{error}; the decoded sound needs {_megabytes(clips):.0f} MB in a folder that can be "
            "written; give another with data.cache="
        ) from error
    return replace(store, path=data)


def _digest(clips: Sequence[Clip]) -> str:
    """Of contents alone: neither names nor splits make it decode again."""
    total = hashlib.sha256(f"{FORMAT}\n".encode())
    for clip in clips:
        key = f"{clip.sha256} {clip.start_sample} {clip.samples} {clip.sample_rate}\n"
        total.update(key.encode())
    return total.hexdigest()


def _read_index(index: Path, data: Path, digest: str, n_clips: int) -> Store | None:
    try:
        content: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
        told = (tuple(content[name]) for name in ("offsets", "reasons", "strangers"))
        store = Store(data, *told)
        whole = (
            content["digest"] == digest
            and content["bytes"] == data.stat().st_size
            and len(store.offsets) == len(store.reasons) == n_clips
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, half there or not ours: it is made anew
    return store if whole else None


def _decode(folder: Path, clips: Sequence[Clip], target: Path) -> Store:
    offsets, reasons, strangers = [], [], []
    position = 0
    path, sound, reason = "", np.empty(0, _SAMPLE), ""
    with target.open("wb") as file:
        for clip in tqdm(clips, desc="decode", unit="clip", disable=None):
            if clip.path != path:  # clips of one file follow each other
                path = clip.path
                if reason := _estrangement(folder / path, clip):
                    strangers.append(path)
                else:
                    sound, reason = _read(folder / path, clip)
            piece = sound[clip.start_sample : clip.start_sample + clip.samples]
            wrong = reason or _fault(piece, folder / path, clip, len(sound))
            offsets.append(-1 if wrong else position)
            reasons.append(wrong)
            if not wrong:
                file.write(piece.tobytes())
                position += clip.samples
        if position == 0:
            file.write(np.zeros(1, _SAMPLE).tobytes())  # an empty file cannot be mapped
    return Store(target, tuple(offsets), tuple(reasons), tuple(strangers))


def _estrangement(path: Path, clip: Clip) -> str:
    """Why a file is not the one that the table was made for; empty if it is."""
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != clip.sha256:
                return f"{path} is not the file that the table was made for (sha256)"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror or error})"
    return ""


def _read(path: Path, clip: Clip) -> tuple[np.ndarray, str]:
    """A whole file as 16 bits, or why it cannot be used."""
    nothing = np.empty(0, _SAMPLE)
    try:
        info = read_info(path)
        if info.channels != 1:
            return nothing, f"{path} has {info.channels} channels; expected one"
        if info.sample_rate != clip.sample_rate:
            return nothing, f"{path} has {info.sample_rate} Hz; the table says {clip.sample_rate}"
        sound = read_audio(path, clip.sample_rate)
    except OSError as error:
        return nothing, f"{path} cannot be read ({error.strerror or error})"
    except BadInput as error:
        return nothing, str(error)
    # Exact for files of 16 bits.
    return np.rint(sound * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(_SAMPLE), ""


def _fault(piece: np.ndarray, path: Path, clip: Clip, length: int) -> str:
    if len(piece) < clip.samples:
        end = clip.start_sample + clip.samples
        return f"{path} has {length} samples, but the clip reaches to {end}"
    if levels(piece / FULL_SCALE).rms_dbfs < SILENCE_DBFS:
        return f"{path} is silent from sample {clip.start_sample}"
    return ""


def _megabytes(clips: Sequence[Clip]) -> float:
    return sum(clip.samples for clip in clips) * _SAMPLE.itemsize / 1e6
