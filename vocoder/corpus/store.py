"""Decoded audio in one file that is mapped into memory, so that any stretch is read at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vocoder.audio import read_audio, read_info
from vocoder.corpus.levels import levels
from vocoder.corpus.manifest import SILENCE_DBFS, Utterance
from vocoder.errors import BadInput
from vocoder.files import atomic_path, read_record, write_text

FORMAT = 3
FULL_SCALE = 32768.0  # of 16 bits, which are kept whatever the file has
SAMPLE = np.dtype("<i2")
_NAME_DIGITS = 16


def open_store(
    folder: Path, utterances: Sequence[Utterance], cache: Path
) -> tuple[Path, list[int], list[str]]:
    """Decode the utterances of a corpus, or find what an earlier call has decoded.

    Neither names nor splits make it decode anew; a file that was put right does.

    ``cache`` is a folder for the decoded audio, made if need be; two bytes a sample.

    Returns
    -------
    path : Path
        16-bit samples of all utterances, one after the other, to be mapped (`SAMPLE`).
    offsets : list of int
        First sample of each utterance in it; -1 for those that cannot be used.
    reasons : list of str
        Why, for each utterance; empty where all is well.
    """
    total = hashlib.sha256(f"{FORMAT}\n".encode())
    for one in utterances:
        size = (folder / one.path).stat().st_size
        key = f"{one.sha256} {size} {one.start_sample} {one.samples} {one.sample_rate}\n"
        total.update(key.encode())
    data = cache / f"{total.hexdigest()[:_NAME_DIGITS]}.i16"
    if (known := _read_index(data, utterances)) is not None:
        return data, *known
    try:
        with atomic_path(data, overwrite=True) as temporary:
            offsets, reasons = _decode(folder, utterances, temporary)
        # The index comes last: whoever finds it finds the audio that it speaks of.
        content = {"bytes": data.stat().st_size, "offsets": offsets, "reasons": reasons}
        write_text(_index(data), json.dumps(content, ensure_ascii=False), overwrite=True)
    except BadInput as error:
        megabytes = sum(one.samples for one in utterances) * SAMPLE.itemsize / 1e6
        raise BadInput(
            f"{error}; the decoded audio needs {megabytes:.0f} MB in a folder that can be "
            "written; give another with data.cache=",
            key="data.cache.unwritable",
        ) from error
    return data, offsets, reasons


def _index(data: Path) -> Path:
    return data.with_suffix(".json")


def _read_index(data: Path, utterances: Sequence[Utterance]) -> tuple[list[int], list[str]] | None:
    """What an earlier call left; ``None`` if it is not there, half there or not ours."""
    try:
        content = read_record(_index(data), "data.cache.damaged")
        size, offsets, reasons = (content[name] for name in ("bytes", "offsets", "reasons"))
        whole = size == data.stat().st_size and all(
            type(reason) is str
            and type(offset) is int
            and (reason or 0 <= offset <= size // SAMPLE.itemsize - one.samples)
            for one, offset, reason in zip(utterances, offsets, reasons, strict=True)
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return (offsets, reasons) if whole else None


def _decode(
    folder: Path, utterances: Sequence[Utterance], target: Path
) -> tuple[list[int], list[str]]:
    offsets, reasons = [], []
    position = 0
    path, samples, reason = "", np.empty(0, SAMPLE), ""
    with target.open("wb") as file:
        for one in tqdm(utterances, desc="decode", unit="utterance", disable=None):
            if one.path != path:  # utterances of one file follow each other
                path = one.path
                samples, reason = _read(folder / path, one)
            piece = samples[one.start_sample : one.start_sample + one.samples]
            fault = reason or _fault(piece, folder / path, one, len(samples))
            offsets.append(-1 if fault else position)
            reasons.append(fault)
            if not fault:
                file.write(piece.tobytes())
                position += one.samples
        if position == 0:
            file.write(np.zeros(1, SAMPLE).tobytes())  # an empty file cannot be mapped
    return offsets, reasons


def _read(path: Path, utterance: Utterance) -> tuple[np.ndarray, str]:
    """A whole file as 16 bits, or why it cannot be used."""
    nothing = np.empty(0, SAMPLE)
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != utterance.sha256:
                return nothing, f"{path} is not the file that the table was made for (sha256)"
        info = read_info(path)
        if info.channels != 1:
            return nothing, f"{path} has {info.channels} channels; expected one"
        if info.sample_rate != utterance.sample_rate:
            return nothing, (
                f"{path} has {info.sample_rate} Hz; the table says {utterance.sample_rate}"
            )
        samples = read_audio(path, utterance.sample_rate)
    except OSError as error:
        return nothing, f"{path} cannot be read ({error.strerror or error})"
    except BadInput as error:
        return nothing, str(error)
    # Exact for files of 16 bits.
    return np.rint(samples * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(SAMPLE), ""


def _fault(piece: np.ndarray, path: Path, utterance: Utterance, length: int) -> str:
    if len(piece) < utterance.samples:
        end = utterance.start_sample + utterance.samples
        return f"{path} has {length} samples, but the utterance reaches to {end}"
    if levels(piece / FULL_SCALE).rms_dbfs < SILENCE_DBFS:
        return f"{path} is silent from sample {utterance.start_sample}"
    return ""
