"""Writing files so that nothing half-written is ever left under a final name."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vocoder.errors import BadInput

_MAX_DEPTH = 100  # of brackets in YAML; specs and tests of people have a handful


@contextmanager
def atomic_path(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; renamed to ``path`` when all went well.

    The temporary name keeps the suffix, since writers choose their format by it, and begins with
    a dot, the machine and the process number. It is removed when the block raises; after a kill
    it stays until `remove_leftovers`, and is never taken for a result.
    """
    refuse_existing(path, overwrite=overwrite)
    if not path.name:
        raise BadInput(
            f"cannot write {path}: it is a folder; give the name of a file", key="output.type"
        )
    temporary = path.with_name(f".{_machine()}-{os.getpid()}-{path.name}")
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


@contextmanager
def reading(path: Path, key: str) -> Iterator[None]:
    """Refuse a file that cannot be read, in the system's words."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}", key=key) from error


def remove_leftovers(folder: Path) -> None:
    """Delete what processes that were killed have left of `atomic_path` in a folder and below it.

    Only of those of this machine that no longer run.
    """
    pattern = re.compile(rf"\.{_machine()}-(\d+)-.")
    for path in folder.rglob(f".{_machine()}-*") if folder.is_dir() else ():
        found = pattern.match(path.name)
        if found and not _runs(int(found[1])):
            with suppress(OSError):  # another run removes it too
                path.unlink()


def _machine() -> str:
    """A few digits that differ from machine to machine: they may write to one folder."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is somebody else's, or none that can be asked for
        return True
    return True


def write_text(path: Path, text: str, *, overwrite: bool) -> None:
    """Write text in UTF-8, whole or not at all; what of a file's name is not UTF-8 is escaped."""
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_record(path: Path, key: str, advice: str = "remove it") -> dict[str, Any]:
    """The JSON object that an earlier run left, such as a report; anything else is refused."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"cannot read {path} ({error}); {advice}", key=key) from error
    if not isinstance(record, dict):
        raise BadInput(f"{path} holds {type(record).__name__}, not named values; {advice}", key=key)
    return record


def parse_yaml(text: str) -> Any:
    """Parse YAML of plain values; `ValueError` where brackets are nested too deeply.

    PyYAML takes seconds to find out that a file of some thousand brackets is none.
    """
    import yaml

    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > _MAX_DEPTH:
            raise ValueError(f"brackets are nested more than {_MAX_DEPTH} deep")
    return yaml.safe_load(text)


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise `BadInput` when ``path`` exists, unless told to overwrite."""
    if not overwrite and path.exists():
        raise BadInput(
            f"{path} exists; choose another output or add overwrite=true", key="output.exists"
        )
