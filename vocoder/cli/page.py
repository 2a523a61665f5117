"""``index.html`` of an output folder: players and images side by side, for any browser."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import quote

from vocoder.files import write_text

PAGE_NAME = "index.html"
_MARK = '<meta name="generator" content="vocoder">'
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{mark}
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 1rem/1.4 sans-serif; margin: 1rem auto; max-width: 72rem; padding: 0 1rem }}
article {{ border-top: 1px solid #999; padding: .5rem 0 }}
h2 {{ font-size: 1rem; overflow-wrap: anywhere }}
audio {{ display: block; width: 100%; max-width: 40rem }}
img {{ max-width: 100% }} pre {{ overflow-x: auto }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


@dataclass(frozen=True)
class Entry:
    """What the page shows of one thing: a title, figures, audio files by caption, images."""

    title: str
    figures: dict[str, float | str] = field(default_factory=dict)
    audio: dict[str, Path] = field(default_factory=dict)
    images: Sequence[Path] = ()


def write_page(root: Path, title: str, entries: Sequence[Entry], text: str = "") -> None:
    """Write ``index.html``, unless another program's is there.

    Parameters
    ----------
    root : Path
        Links are relative to it.
    text : str
        Shown as it stands above them: a table, say.
    """
    path = root / PAGE_NAME
    if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return
    parts = [f"<pre>{escape(text)}</pre>"] if text else []
    parts += [_article(root, entry) for entry in entries]
    page = _PAGE.format(mark=_MARK, title=escape(title), body="\n".join(parts))
    write_text(path, page, overwrite=True)


def _article(root: Path, entry: Entry) -> str:
    lines = [f"<article><h2>{escape(entry.title)}</h2>"]
    if entry.figures:
        shown = (f"{name} {_figure(value)}" for name, value in entry.figures.items())
        lines.append(f"<p>{escape(', '.join(shown))}</p>")
    lines += [
        f'<p>{escape(caption)} <audio controls preload="none" src="{_link(root, path)}">'
        "</audio></p>"
        for caption, path in entry.audio.items()
    ]
    lines += [
        f'<p><img loading="lazy" alt="{escape(path.stem)}" src="{_link(root, path)}"></p>'
        for path in entry.images
    ]
    return "\n".join([*lines, "</article>"])


def _figure(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.3f}" if math.isfinite(value) else "unknown"


def _link(root: Path, path: Path) -> str:
    """An address that a browser follows from ``root``: no letter of a name is taken for more."""
    try:
        return quote(Path(os.path.relpath(path.resolve(), root.resolve())).as_posix())
    except ValueError:  # on another drive
        return path.resolve().as_uri()
