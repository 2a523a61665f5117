"""Sound files: reading at a given rate, and writing in blocks without half-written results."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile
import soxr

from vocoder.errors import BadInput
from vocoder.files import atomic_path

MIX = "mix"
# Bits of the integer subtypes; FLOAT is written as it is.
SUBTYPE_BITS = {"PCM_16": 16, "PCM_24": 24, "FLOAT": None}
# Blocks bound the memory of reading a long recording of many channels at a high rate.
_BLOCK_FRAMES = 1 << 18


def read_audio(path: Path, sample_rate: int, channel: str | int = MIX) -> np.ndarray:
    """Read a sound file of any format that libsndfile knows, at any rate, as one channel.

    Parameters
    ----------
    path : Path
    sample_rate : int
        Wanted rate in Hz; other rates are converted by soxr's high-quality resampler.
    channel : "mix" or int
        The mean of all channels, or one of them, counted from 1.

    Returns
    -------
    ndarray
        float32, ``(samples,)``; -1 to 1 for integer formats.

    Raises
    ------
    BadInput
        Not a sound file, no samples in it, damaged, NaN or infinity, or no such channel. (A WAV
        file shorter than its header says is read as far as it goes, as libsndfile does.)
    """
    blocks = []
    with _open(path) as file:
        index = _channel_index(path, channel, file.channels)
        resampler = (
            soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32", quality="HQ")
            if file.samplerate != sample_rate
            else None
        )
        n_read = 0
        while n_read < file.frames:
            try:
                block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise BadInput(
                    f"{path} is damaged after sample {n_read}: {error.error_string}"
                ) from error
            if not len(block):
                raise BadInput(
                    f"{path} is cut short: its header promises {file.frames} samples, "
                    f"{n_read} are there"
                )
            n_read += len(block)
            mono = block.mean(axis=1) if index is None else np.ascontiguousarray(block[:, index])
            if not np.isfinite(mono).all():
                raise BadInput(f"{path} holds NaN or infinite samples; export it again")
            if resampler is not None:
                mono = resampler.resample_chunk(mono, last=n_read >= file.frames)
            blocks.append(mono)
    samples = np.concatenate(blocks)
    if not samples.size:
        raise BadInput(f"{path} is too short to have samples at {sample_rate} Hz")
    return samples


@dataclass(frozen=True)
class AudioInfo:
    """What a sound file's header says.

    Parameters
    ----------
    channels : int
    sample_rate : int
        In Hz.
    samples : int
        Length at that rate.
    """

    channels: int
    sample_rate: int
    samples: int

    def samples_at(self, sample_rate: int) -> int:
        """Length after conversion to another rate, within a sample."""
        return round(self.samples * sample_rate / self.sample_rate)


def read_info(path: Path) -> AudioInfo:
    """Read a sound file's header alone.

    Raises
    ------
    BadInput
        Not a sound file, or no samples in it.
    """
    with _open(path) as file:
        return AudioInfo(file.channels, file.samplerate, file.frames)


def _open(path: Path) -> soundfile.SoundFile:
    if not path.is_file():
        raise BadInput(f"{path} is not a file; expected a sound file")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is an empty file; expected a sound file")
    _require_utf8(path)
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: .raw without a header
        reason = getattr(error, "error_string", "no header that says rate and channels")
        raise BadInput(
            f"{path} cannot be read as sound ({str(reason).rstrip('.')}); convert it to WAV or FLAC"
        ) from error
    if file.frames == 0:
        file.close()
        raise BadInput(f"{path} holds no samples; expected a recording")
    return file


def _require_utf8(path: Path) -> None:
    """Refuse names that Python makes do with and libsndfile doesn't."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{path}: its name is not UTF-8; rename it") from error


def _channel_index(path: Path, channel: str | int, n_channels: int) -> int | None:
    if channel == MIX:
        return None
    if type(channel) is not int or not 1 <= channel <= n_channels:
        raise BadInput(
            f"{path} has no channel {channel!r}, but {n_channels}; give {MIX} or 1 to {n_channels}"
        )
    return channel - 1


class AudioWriter:
    """Write one channel in blocks; the file gets its name only when all went well.

    A context manager. The container follows the suffix (``.wav``, ``.flac``, …).

    Parameters
    ----------
    path : Path
    sample_rate : int
        In Hz.
    subtype : {"PCM_16", "PCM_24", "FLOAT"}
        Integers are rounded to the nearest step, not truncated as libsndfile would.
    overwrite : bool
        Whether an existing file may be replaced.

    Attributes
    ----------
    n_samples : int
        Written so far.
    n_clipped : int
        Of these, samples beyond full scale that the integer format cut off.

    Raises
    ------
    BadInput
        The file exists, its folder cannot be written, or the format is none that can be written;
        from `write`, NaN or infinity.
    """

    def __init__(
        self, path: Path, sample_rate: int, subtype: str = "PCM_16", *, overwrite: bool
    ) -> None:
        if subtype not in SUBTYPE_BITS:
            raise BadInput(f"subtype is {subtype!r}; expected one of {', '.join(SUBTYPE_BITS)}")
        container = path.suffix.removeprefix(".").upper()
        if container not in soundfile.available_formats() or not soundfile.check_format(
            container, subtype
        ):
            raise BadInput(f"{path} cannot hold {subtype}; name it .wav")
        _require_utf8(path)
        self.n_samples = 0
        self.n_clipped = 0
        self._path, self._overwrite = path, overwrite
        self._sample_rate, self._subtype = sample_rate, subtype
        self._stack = ExitStack()
        self._file: soundfile.SoundFile

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path, overwrite=self._overwrite))
            try:
                file = soundfile.SoundFile(temporary, "w", self._sample_rate, 1, self._subtype)
            except soundfile.LibsndfileError as error:
                raise BadInput(f"cannot write {self._path}: {error.error_string}") from error
            self._file = stack.enter_context(file)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def write(self, samples: np.ndarray) -> None:
        """Append a block: ``(samples,)``, floating point, full scale at 1."""
        if not np.isfinite(samples).all():
            raise BadInput(f"{self._path} would hold NaN or infinite samples; nothing is written")
        block = np.asarray(samples, dtype=np.float32)
        bits = SUBTYPE_BITS[self._subtype]
        if bits is not None:
            self.n_clipped += int(np.count_nonzero(np.abs(block) > 1))
            block = _quantise(block, bits)
        try:
            self._file.write(block)
        except soundfile.LibsndfileError as error:
            raise BadInput(f"cannot write {self._path}: {error.error_string}") from error
        self.n_samples += len(samples)


def _quantise(samples: np.ndarray, bits: int) -> np.ndarray:
    """Nearest of the 2^bits levels, clipped, in the upper bits of an int32 as libsndfile has it."""
    half = float(1 << (bits - 1))
    levels = np.rint(samples * np.float64(half)).clip(-half, half - 1)
    return np.asarray(levels, dtype=np.int32) << (32 - bits)


def write_audio(
    path: Path,
    samples: np.ndarray,
    sample_rate: int,
    subtype: str = "PCM_16",
    *,
    overwrite: bool,
) -> int:
    """Write a whole sound, ``(samples,)``; parameters and errors as for `AudioWriter`.

    Returns
    -------
    int
        Samples beyond full scale that the integer format cut off.
    """
    with AudioWriter(path, sample_rate, subtype, overwrite=overwrite) as writer:
        writer.write(samples)
    return writer.n_clipped
