"""What commands leave in their folder."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote


def report(output: Path) -> dict[str, Any]:
    """``report.json``, which any program can read."""

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = (output / "report.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text, parse_constant=no_constant)
    return found


def linked(output: Path) -> list[Path]:
    """The files that ``index.html`` shows and plays."""
    page = (output / "index.html").read_text(encoding="utf-8")
    return [(output / unquote(link)).resolve() for link in re.findall(r'src="([^"]+)"', page)]
