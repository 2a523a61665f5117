"""Writing files so that nothing half-written is ever left under a final name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vocoder.errors import BadInput


@contextmanager
def atomic_path(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; renamed to ``path`` when all went well.

    The temporary name keeps the suffix, since writers choose their format by it, and begins with
    a dot and the process number. It is removed when the block raises; after a kill it stays and
    is never taken for a result.
    """
    refuse_existing(path, overwrite=overwrite)
    if not path.name:
        raise BadInput(
            f"cannot write {path}: it is a folder; give the name of a file", key="output.type"
        )
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise BadInput(
            f"cannot write {path}: {error.strerror or error}", key="output.unwritable"
        ) from error
    finally:
        with suppress(OSError):  # the parent is no folder, say: the error above tells
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, overwrite: bool) -> None:
    """Write text in UTF-8, whole or not at all; what of a file's name is not UTF-8 is escaped."""
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise `BadInput` when ``path`` exists, unless told to overwrite."""
    if not overwrite and path.exists():
        raise BadInput(
            f"{path} exists; choose another output or add overwrite=true", key="output.exists"
        )
