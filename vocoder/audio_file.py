"""Opening audio files of any format: by libsndfile, or else by ffmpeg, where that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import soundfile

from vocoder.errors import BadInput

# In Hz. Speech needs more and no microphone gives more; a damaged header asks for hours of samples.
MIN_RATE, MAX_RATE = 1000, 1_000_000
# Blocks bound the memory of reading a long recording of many channels at a high rate.
BLOCK_FRAMES = 1 << 18
_STANDARD_ERROR = 2
_one_at_a_time = threading.Lock()


@contextmanager
def open_audio(path: Path) -> Iterator[soundfile.SoundFile]:
    if not path.is_file():
        raise BadInput(f"{path} is not a file; expected an audio file", key="audio.missing")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is an empty file; expected an audio file", key="audio.empty")
    require_utf8(path)
    with ExitStack() as stack:
        try:
            with quiet():
                file = soundfile.SoundFile(path)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: .raw without a header
            reason = getattr(error, "error_string", "no header that says rate and channels")
            if "does not exist" in reason:  # libsndfile's words for an MP3 without a frame
                reason = "it is damaged, or something else"
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


def read_blocks(file: soundfile.SoundFile, path: Path) -> Iterator[np.ndarray]:
    n_read = 0
    while n_read < file.frames:
        try:
            with quiet() if file.format == "MP3" else nullcontext():
                block = file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
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
def quiet() -> Iterator[None]:
    """Keep off standard error what libraries in C write there; what is wrong is raised."""
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


def require_utf8(path: Path) -> None:
    """Refuse names that Python makes do with and libsndfile doesn't."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{path}: its name is not UTF-8; rename it", key="audio.name") from error
