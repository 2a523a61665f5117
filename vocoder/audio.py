"""Audio files: reading at a given rate, and writing in blocks without half-written results."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import soundfile
import soxr

from vocoder.audio_file import BLOCK_FRAMES, open_audio, read_blocks, require_utf8
from vocoder.errors import BadInput, expect
from vocoder.files import atomic_path

MIX, PEAK = "mix", "peak"
# Peak of what is probably noise, in dB of full scale. Noise at full scale hurts; this is about as
# loud as quiet speech.
NOISE_PEAK_DB = -20.0
# Bits of the integer subtypes; FLOAT is written as it is.
SUBTYPE_BITS = {"PCM_16": 16, "PCM_24": 24, "FLOAT": None}
_MAX_GAIN_DB = 100.0  # 16 bits hold 96
# No recording goes so far beyond full scale; numbers of 16 bits stored as floating point do.
MAX_PEAK = 64.0
_FULL_SCALE_16 = 32768.0
# Of full scale: the least constant offset that counts; real recordings stay below 0.04 %.
MIN_OFFSET = 5e-4
# Channels whose mix is so far below them cancel each other; what has nothing in common loses 3 dB.
_CANCELLED_DB = 15.0
_EMPTY_DB = 40.0  # below the loudest channel: there is nothing in it


def read_audio(
    path: Path,
    sample_rate: int,
    channel: str | int = MIX,
    *,
    keep_offset: bool = False,
    changes: list[str] | None = None,
) -> np.ndarray:
    """Read an audio file at any rate as one channel.

    Any format that libsndfile knows, and any that ffmpeg knows, where that is installed. A WAV
    file shorter than its header says is read as far as it goes, as libsndfile does. Floating-point
    files that hold numbers of 16 bits (a peak of 64 to 32 768) are divided by 32 768.

    Parameters
    ----------
    sample_rate : int
        Wanted rate in Hz; other rates are converted by soxr's high-quality resampler.
    channel : "mix" or int
        The mean of all channels, or one of them, counted from 1.
    keep_offset : bool
        Whether to leave a `constant_offset` as it is.
    changes : list of str, optional
        Takes what was done to the file's samples, in the same words for all files.

    Returns
    -------
    ndarray
        float32, ``(samples,)``; -1 to 1 for integer formats.
    """
    changes = [] if changes is None else changes
    with open_audio(path) as file:
        index = _channel_index(path, channel, file.channels)
        resampler = (
            soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32", quality="HQ")
            if file.samplerate != sample_rate
            else None
        )
        energies, mixed = np.zeros(file.channels), 0.0
        pieces, peak, n_read = [], 0.0, 0
        for block in read_blocks(file, path):
            n_read += len(block)
            peak = max(peak, float(np.abs(block).max()))
            mono = block.mean(axis=1) if index is None else np.ascontiguousarray(block[:, index])
            energies += np.einsum("tc,tc->c", block, block, dtype=np.float64)
            mixed += float(np.einsum("t,t->", mono, mono, dtype=np.float64))
            if resampler is not None:
                mono = resampler.resample_chunk(mono, last=n_read >= file.frames)
            pieces.append(mono)
    if index is None and len(energies) > 1:
        changes.append(_mixed(path, energies, mixed))
    if resampler is not None:
        changes.append(f"converted from {file.samplerate} Hz")
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
    if peak > MAX_PEAK:
        changes.append("16-bit numbers in a floating-point file divided by 32 768")
        samples /= np.float32(_FULL_SCALE_16)
    if not keep_offset and (offset := constant_offset(samples, sample_rate)):
        changes.append("a constant offset taken away")
        samples -= np.float32(offset)
    return samples


def _mixed(path: Path, energies: np.ndarray, mixed: float) -> str:
    """What mixing channels did, by their energies and that of the mix; refused where they cancel
    each other."""
    if mixed < energies.mean() * 10 ** (-_CANCELLED_DB / 10):
        raise BadInput(
            f"{path}: its {len(energies)} channels cancel each other (antiphase), so their mix "
            "is nearly silent; take one of them: audio_channel=1 where a command has that, else a "
            "file of one channel",
            key="audio.antiphase",
        )
    n_empty = int((energies < energies.max() * 10 ** (-_EMPTY_DB / 10)).sum())
    quieter_db = 20 * math.log10(len(energies) / (len(energies) - n_empty))
    empty = f", {n_empty} of them empty, so {quieter_db:.0f} dB quieter" if n_empty else ""
    return f"{len(energies)} channels mixed into one{empty}; audio_channel=split keeps them apart"


def constant_offset(samples: np.ndarray, sample_rate: int) -> float:
    """The constant that a recording's pauses lie at; 0 below `MIN_OFFSET` or where they differ.

    It is inaudible, but moves the floor of every spectral measure, and an image shows it as a hum.
    The median of the means of the quietest tenth of blocks of 20 ms: the mean of all samples of a
    short utterance is often 0.1 % of full scale without any offset.
    """
    length = max(1, sample_rate // 50)
    blocks = samples[: len(samples) // length * length].reshape(-1, length)
    blocks = blocks[blocks.any(axis=1)]  # padding with zeros says nothing
    if not len(blocks):
        return 0.0
    quietest = np.argsort(blocks.std(axis=1), kind="stable")[: -(-len(blocks) // 10)]
    means = blocks[quietest].mean(axis=1, dtype=np.float64)
    offset = float(np.median(means))
    spread = float(np.median(np.abs(means - offset)))
    return offset if abs(offset) > max(MIN_OFFSET, 3 * spread) else 0.0


@dataclass(frozen=True)
class AudioInfo:
    """What an audio file's header says."""

    channels: int
    sample_rate: int  # in Hz
    samples: int  # length at that rate

    def samples_at(self, sample_rate: int) -> int:
        """Length after conversion to another rate, within a sample."""
        return round(self.samples * sample_rate / self.sample_rate)


def read_info(path: Path) -> AudioInfo:
    """Read an audio file's header alone."""
    with open_audio(path) as file:
        return AudioInfo(file.channels, file.samplerate, file.frames)


def _channel_index(path: Path, channel: str | int, n_channels: int) -> int | None:
    if channel == MIX:
        return None
    if type(channel) is not int or not 1 <= channel <= n_channels:
        raise BadInput(
            f"{path} has no channel {channel!r}, but {n_channels}; give {MIX} or 1 to {n_channels}",
            key="audio.channel",
        )
    return channel - 1


def require_subtype(subtype: str) -> None:
    """Refuse a subtype that is not written."""
    expect(
        subtype in SUBTYPE_BITS, "subtype", subtype, f"one of {', '.join(SUBTYPE_BITS)}", "unknown"
    )


def require_level(gain: float | str, peak_db: float | None) -> None:
    """Refuse a level that `AudioWriter` cannot give."""
    most = _MAX_GAIN_DB
    known = gain == PEAK if isinstance(gain, str) else -most <= gain <= most
    expect(known, "gain", gain, f"{-most:g} to {most:g} dB, or {PEAK}")
    if peak_db is None:
        expect(gain != PEAK, "peak_db", peak_db, f"a number for gain={PEAK}", "missing")
    else:
        expect(-most <= peak_db <= 0, "peak_db", peak_db, f"{-most:g} to 0 dB")


class AudioWriter:
    """Write in blocks, as a context manager.

    The file gets its name only when all went well. The container follows the suffix (``.wav``,
    ``.flac``, …).

    Parameters
    ----------
    sample_rate : int
        In Hz.
    subtype : {"PCM_16", "PCM_24", "FLOAT"}
        Integers are rounded to the nearest step, not truncated as libsndfile would.
    overwrite : bool
        Whether an existing file may be replaced.
    gain : float or "peak"
        In dB, of all that is written; or what brings the peak to ``peak_db``.
    peak_db : float, optional
        Of full scale: integer files that would be louder are brought down to this peak as a whole.
        Without it, what is beyond full scale is cut off.
    noise : bool
        Whether it is probably noise, which is brought down to `NOISE_PEAK_DB` in any format.

    Attributes
    ----------
    n_samples : int
        Of each channel, written so far.
    n_clipped : int
        Of these, samples beyond full scale that the integer format cut off; known at the end.
    gain_db : float
        What the peak has changed the level by; known at the end.
    peak : float
        The largest sample of the file, full scale at 1; known at the end.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        subtype: str = "PCM_16",
        *,
        overwrite: bool,
        gain: float | str = 0.0,
        peak_db: float | None = None,
        noise: bool = False,
        channels: int = 1,
    ) -> None:
        require_subtype(subtype)
        require_level(gain, peak_db)
        if noise:
            peak_db = min(NOISE_PEAK_DB, peak_db or 0.0)
        container = path.suffix.removeprefix(".").upper()
        if container not in soundfile.available_formats() or not soundfile.check_format(
            container, subtype
        ):
            raise BadInput(f"{path} cannot hold {subtype}; name it .wav", key="output.format")
        require_utf8(path)
        self.n_samples = 0
        self.n_clipped = 0
        self.gain_db = 0.0
        self.peak = 0.0
        self._factor = np.float32(1 if isinstance(gain, str) else 10 ** (gain / 20))
        self._to_peak, self._peak = gain == PEAK, 0.0
        self._target = None if peak_db is None else 10 ** (peak_db / 20)
        limited = noise or SUBTYPE_BITS[subtype] is not None
        self._waits = self._to_peak or (peak_db is not None and limited)
        self._path, self._overwrite = path, overwrite
        self._sample_rate, self._subtype, self._channels = sample_rate, subtype, channels
        self._stack = ExitStack()
        self._file: soundfile.SoundFile
        self._waiting: IO[bytes]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path, overwrite=self._overwrite))
            try:
                file = soundfile.SoundFile(
                    temporary, "w", self._sample_rate, self._channels, self._subtype
                )
            except soundfile.LibsndfileError as error:
                raise BadInput(
                    f"cannot write {self._path}: {error.error_string}", key="output.unwritable"
                ) from error
            self._file = stack.enter_context(file)
            if self._waits:  # for the peak, in a file without a name
                self._waiting = stack.enter_context(
                    tempfile.TemporaryFile(dir=temporary.parent, buffering=0)
                )
                stack.push(self._write_waiting)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def _write_waiting(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write what waited for its peak to be known, unless something was raised."""
        if kind is not None:
            return
        gain = 1.0
        if self._target is not None and (self._to_peak or self._peak > self._target):
            gain = self._target / self._peak if self._peak else 1.0
        self.gain_db = 20 * math.log10(gain)
        self._waiting.seek(0)
        n_values = BLOCK_FRAMES * self._channels
        while len(block := np.fromfile(self._waiting, np.float32, n_values)):
            self._encode(block.reshape(-1, self._channels) * np.float32(gain))

    def write(self, samples: np.ndarray) -> None:
        """Append a block: ``(samples,)`` or ``(samples, channels)``, floating point, full scale
        at 1."""
        if not np.isfinite(samples).all():
            raise BadInput(
                f"{self._path} would hold NaN or infinite samples; nothing is written",
                key="output.nan",
            )
        block = np.asarray(samples, dtype=np.float32) * self._factor
        self.n_samples += len(block)
        if self._waits:
            self._peak = max(self._peak, float(np.abs(block).max(initial=0)))
            self._waiting.write(block.tobytes())
        else:
            self._encode(block)

    def _encode(self, block: np.ndarray) -> None:
        bits = SUBTYPE_BITS[self._subtype]
        self.peak = max(self.peak, float(np.abs(block).max(initial=0)))
        if bits is not None:
            self.n_clipped += int(np.count_nonzero(np.abs(block) > 1))
            block = _quantise(block, bits)
        try:
            self._file.write(block)
        except soundfile.LibsndfileError as error:
            raise BadInput(
                f"cannot write {self._path}: {error.error_string}", key="output.unwritable"
            ) from error


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
) -> None:
    """Write ``(samples,)`` whole, with the parameters of `AudioWriter`."""
    with AudioWriter(path, sample_rate, subtype, overwrite=overwrite) as writer:
        writer.write(samples)
