"""``vocoder open``: look at images and hear them, on a page that this machine alone can reach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vocoder.cli.codes import DONE
from vocoder.cli.compare import require_packages


def run(
    *,
    input: str | None,
    manifest: str | None,
    label: str | None,
    program: str | None,
    output: str,
    port: int,
    browser: bool,
) -> int:
    """Serve the page until interrupted; the keys are those of ``conf/open.yaml``."""
    require_packages(("starlette", "uvicorn"), "a page")
    from vocoder.compare.server import serve
    from vocoder.image.source import ImageSource
    from vocoder.window.server import make_app
    from vocoder.window.workbench import Workbench

    source = None
    if input is not None:
        source = ImageSource(input=input, manifest=manifest, label=label, program=program)
    bench = Workbench(source)

    def tell(url: str) -> None:
        print(f"{len(bench.items)} images at {url}  (Ctrl+C ends)", flush=True)

    app = make_app(bench, Path(output), _invert)
    serve(app, port=port, browser=browser, tell=tell)
    return DONE


def _invert(words: Sequence[str]) -> int:
    from vocoder.cli.main import dispatch

    return dispatch(["invert", *words])
