"""A corpus in the making, which may be interrupted and goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vocoder.errors import BadInput, differences, some_of
from vocoder.files import read_record, write_text

PARTIAL_NAME = ".partial"
_SETTINGS = "settings"


class Partial:
    """The hidden folder that exists inside an output as long as it is not whole.

    ``output`` is new, empty or half-done with the same ``settings``, JSON values that the pieces
    depend on.
    """

    def __init__(self, output: Path, settings: dict[str, Any]) -> None:
        self._folder = output / PARTIAL_NAME
        if output.is_file() or (
            output.exists() and not self._folder.is_dir() and any(output.iterdir())
        ):
            raise BadInput(
                f"{output} exists and is not a half-done corpus; choose a new folder",
                key="output.exists",
            )
        begun = self._noted(_SETTINGS, "")
        if begun is None:
            self._note(_SETTINGS, "", settings)
        elif faults := [
            f"{name} {before!r} instead of {now!r}"
            for name, before, now in differences(begun, settings)
        ]:
            raise BadInput(
                f"{output} was begun with other settings ({some_of(faults, ', ')}); give the same, "
                "or another folder",
                key="output.conflict",
            )

    def piece(self, name: str, key: str, make: Callable[[], Any]) -> Any:
        """JSON values that an earlier call noted of a piece, or that are made and noted now.

        ``name`` is a plain file name; ``key`` identifies the input that the piece is made of.
        """
        if (content := self._noted(f"piece-{name}", key)) is None:
            content = make()
            self._note(f"piece-{name}", key, content)
        return content

    def finish(self) -> None:
        """Remove the folder: the output is whole."""
        shutil.rmtree(self._folder)

    def _noted(self, name: str, key: str) -> Any:
        """``None`` if nothing was noted, or of another input."""
        try:
            noted = read_record(self._folder / f"{name}.json", "partial.damaged")
        except BadInput:
            return None
        return noted.get("content") if noted.get("key") == key else None

    def _note(self, name: str, key: str, content: Any) -> None:
        noted = json.dumps({"key": key, "content": content})
        write_text(self._folder / f"{name}.json", noted, overwrite=True)
