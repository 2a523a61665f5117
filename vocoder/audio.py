"""Audio files: reading at a given rate, and writing in blocks without half-written results."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
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
# In Hz. Speech needs more and no microphone gives more; a damaged header asks for hours of samples.
MIN_RATE, MAX_RATE = 1000, 1_000_000
# Bits of the integer subtypes; FLOAT is written as it is.
SUBTYPE_BITS = {"PCM_16": 16, "PCM_24": 24, "FLOAT": None}
# No recording goes so far beyond full scale; numbers of 16 bits stored as floating point do.
MAX_PEAK = 64.0
_FULL_SCALE_16 = 32768.0
# Blocks bound the memory of reading a long recording of many channels at a high rate.
_BLOCK_FRAMES = 1 << 18
_STANDARD_ERROR = 2
_one_at_a_time = threading.Lock()


def read_audio(path: Path, sample_rate: int, channel: str | int = MIX) -> np.ndarray:
    """Read an audio file at any rate as one channel.

    Any format that libsndfile knows, and any that ffmpeg knows, where that is installed. A WAV
    file shorter than its header says is read as far as it goes, as libsndfile does. Floating-point
    files that hold numbers of 16 bits (a peak of 64 to 32 768) are divided by 32 768.

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
    """
    with _open(path) as file:
        index = _channel_index(path, channel, file.channels)
        resampler = (
            soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32", quality="HQ")
            if file.samplerate != sample_rate
            else None
        )
        pieces, peak, n_read = [], 0.0, 0
        for block in _blocks(file, path):
            n_read += len(block)
            peak = max(peak, float(np.abs(block).max()))
            mono = block.mean(axis=1) if index is None else np.ascontiguousarray(block[:, index])
            if resampler is not None:
                mono = resampler.resample_chunk(mono, last=n_read >= file.frames)
            pieces.append(mono)
    samples = np.concatenate(pieces)
    if not samples.size:
        raise BadInput(
            f"{path} is too short to have samples at {sample_rate} Hz", key="audio.short"
        )
    if peak > _FULL_SCALE_16:
        raise BadInput(
            f"{path} has a peak of {peak:g}; expected numbers of -1 to 1, or of 16 bits; export "
            "it again",
            key="audio.range",
        )
    return samples / np.float32(_FULL_SCALE_16) if peak > MAX_PEAK else samples


def blocks(path: Path) -> Iterator[np.ndarray]:
    """Read an audio file piece by piece as it is: float32, ``(samples, channels)``."""
    with _open(path) as file:
        yield from _blocks(file, path)


@dataclass(frozen=True)
class AudioInfo:
    """What an audio file's header says."""

    channels: int
    sample_rate: int  # in Hz
    samples: int  # length at that rate
    is_float: bool = False  # floating-point numbers, which full scale does not limit

    def samples_at(self, sample_rate: int) -> int:
        """Length after conversion to another rate, within a sample."""
        return round(self.samples * sample_rate / self.sample_rate)


def read_info(path: Path) -> AudioInfo:
    """Read an audio file's header alone."""
    with _open(path) as file:
        is_float = file.subtype in ("FLOAT", "DOUBLE")
        return AudioInfo(file.channels, file.samplerate, file.frames, is_float)


@contextmanager
def _open(path: Path) -> Iterator[soundfile.SoundFile]:
    if not path.is_file():
        raise BadInput(f"{path} is not a file; expected an audio file", key="audio.missing")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is an empty file; expected an audio file", key="audio.empty")
    _require_utf8(path)
    with ExitStack() as stack:
        try:
            with _quiet():
                file = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: .raw without a header
            reason = getattr(error, "error_string", "no header that says rate and channels")
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            file = soundfile.SoundFile(_converted(path, folder, str(reason).rstrip(".")))
        stack.enter_context(closing(file))
        if file.frames == 0:
            raise BadInput(f"{path} holds no samples; expected a recording", key="audio.empty")
        if not MIN_RATE <= file.samplerate <= MAX_RATE:
            raise BadInput(
                f"{path} says that it has {file.samplerate} Hz; expected {MIN_RATE} to {MAX_RATE}; "
                "its header is damaged",
                key="audio.sample_rate",
            )
        yield file


def _converted(path: Path, folder: Path, reason: str) -> Path:
    """Have ffmpeg decode what libsndfile cannot, such as m4a, wma, webm and G.722."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise BadInput(
            f"{path} cannot be read as audio ({reason}); install ffmpeg, which reads more formats "
            "(m4a, wma, webm, ...), or convert it to WAV or FLAC",
            key="audio.format",
        )
    target = folder / "decoded.w64"  # WAV ends at 4 GB
    source = ["-protocol_whitelist", "file", "-i", f"file:{path}", "-map", "0:a:0"]
    command = [program, "-nostdin", "-v", "error", *source, "-c:a", "pcm_f32le", str(target)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or not target.exists():
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise BadInput(
            f"{path} cannot be read as audio (libsndfile: {reason}; ffmpeg: {said[-1]}); convert "
            "it to WAV or FLAC",
            key="audio.format",
        )
    return target


def _blocks(file: soundfile.SoundFile, path: Path) -> Iterator[np.ndarray]:
    n_read = 0
    while n_read < file.frames:
        try:
            if file.format == "MP3":
                with _quiet():
                    block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
            else:
                block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise BadInput(
                f"{path} is damaged after sample {n_read}: {error.error_string}",
                key="audio.damaged",
            ) from error
        if not len(block):
            raise BadInput(
                f"{path} is cut short: its header promises {file.frames} samples, {n_read} are "
                "there",
                key="audio.damaged",
            )
        if not np.isfinite(block).all():
            raise BadInput(
                f"{path} holds NaN or infinite samples; export it again", key="audio.nan"
            )
        n_read += len(block)
        yield block


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off standard error what libmpg123 writes there; what is wrong is raised."""
    with _one_at_a_time, ExitStack() as stack:
        try:
            shown = os.dup(_STANDARD_ERROR)
        except OSError:  # it is closed
            yield
            return
        stack.callback(os.close, shown)
        stack.callback(os.dup2, shown, _STANDARD_ERROR)
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), _STANDARD_ERROR)
        yield


def _require_utf8(path: Path) -> None:
    """Refuse names that Python makes do with and libsndfile doesn't."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{path}: its name is not UTF-8; rename it", key="audio.name") from error


def _channel_index(path: Path, channel: str | int, n_channels: int) -> int | None:
    if channel == MIX:
        return None
    if type(channel) is not int or not 1 <= channel <= n_channels:
        raise BadInput(
            f"{path} has no channel {channel!r}, but {n_channels}; give {MIX} or 1 to {n_channels}",
            key="audio.channel",
        )
    return channel - 1


class AudioWriter:
    """Write one channel in blocks, as a context manager.

    The file gets its name only when all went well. The container follows the suffix (``.wav``,
    ``.flac``, …).

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
    """

    def __init__(
        self, path: Path, sample_rate: int, subtype: str = "PCM_16", *, overwrite: bool
    ) -> None:
        if subtype not in SUBTYPE_BITS:
            raise BadInput(
                f"subtype is {subtype!r}; expected one of {', '.join(SUBTYPE_BITS)}",
                key="subtype.unknown",
            )
        container = path.suffix.removeprefix(".").upper()
        if container not in soundfile.available_formats() or not soundfile.check_format(
            container, subtype
        ):
            raise BadInput(f"{path} cannot hold {subtype}; name it .wav", key="output.format")
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
                raise BadInput(
                    f"cannot write {self._path}: {error.error_string}", key="output.unwritable"
                ) from error
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
            raise BadInput(
                f"{self._path} would hold NaN or infinite samples; nothing is written",
                key="output.nan",
            )
        block = np.asarray(samples, dtype=np.float32)
        bits = SUBTYPE_BITS[self._subtype]
        if bits is not None:
            self.n_clipped += int(np.count_nonzero(np.abs(block) > 1))
            block = _quantise(block, bits)
        try:
            self._file.write(block)
        except soundfile.LibsndfileError as error:
            raise BadInput(
                f"cannot write {self._path}: {error.error_string}", key="output.unwritable"
            ) from error
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
    """Write ``(samples,)`` whole, with the parameters of `AudioWriter`.

    Returns
    -------
    int
        Samples beyond full scale that the integer format cut off.
    """
    with AudioWriter(path, sample_rate, subtype, overwrite=overwrite) as writer:
        writer.write(samples)
    return writer.n_clipped
