"""A corpus in the making, which may be interrupted and goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from vocoder.errors import BadInput
from vocoder.files import write_text

PARTIAL_NAME = ".partial"
_SETTINGS = "settings.json"


class Partial:
    """The hidden folder that exists inside an output as long as it is not whole.

    Parameters
    ----------
    output : Path
        New, empty or half-done.
    settings : dict
        JSON values that the pieces depend on.

    Raises
    ------
    BadInput
        The output holds something else, or was begun with other settings.
    """

    def __init__(self, output: Path, settings: dict[str, Any]) -> None:
        self._folder = output / PARTIAL_NAME
        if output.is_file() or (
            output.exists() and not self._folder.is_dir() and any(output.iterdir())
        ):
            raise BadInput(f"{output} exists and is no half-done corpus; choose a new folder")
        kept = self._folder / _SETTINGS
        if kept.is_file():
            if (begun := json.loads(kept.read_text(encoding="utf-8"))) != settings:
                differing = ", ".join(
                    f"{name} {begun.get(name)!r} instead of {value!r}"
                    for name, value in settings.items()
                    if begun.get(name) != value
                )
                raise BadInput(
                    f"{output} was begun with other settings ({differing}); give the same, or "
                    "another folder"
                )
        else:
            self._write(kept, settings)

    def done(self, name: str, key: str) -> Any:
        """What was noted of a piece, if its key is the same still; ``None`` if not."""
        path = self._path(name)
        if not path.is_file():
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        return content["content"] if content["key"] == key else None

    def note(self, name: str, key: str, content: Any) -> None:
        """A piece is finished.

        Parameters
        ----------
        name : str
            A plain file name.
        key : str
            What identifies the input that it was made of.
        content : Any
            JSON values.
        """
        self._write(self._path(name), {"key": key, "content": content})

    def finish(self) -> None:
        """The output is whole."""
        shutil.rmtree(self._folder)

    def _path(self, name: str) -> Path:
        return self._folder / f"piece-{name}.json"

    def _write(self, path: Path, content: Any) -> None:
        write_text(path, json.dumps(content, ensure_ascii=False), overwrite=True)
