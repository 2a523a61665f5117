"""The server of the page: on this machine alone, the pieces of the listening test's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vocoder.compare.page import FOLDER as SHARED
from vocoder.compare.page import assets
from vocoder.compare.server import application, json_body
from vocoder.errors import BadInput
from vocoder.files import atomic_path
from vocoder.image.array import ARCHIVE_SUFFIX, ARRAY_SUFFIX, TENSOR_SUFFIX
from vocoder.image.codec.base import IMAGE_SUFFIXES
from vocoder.image.codec.maps import USUAL
from vocoder.image.source import ImageSource
from vocoder.window.settings import GROUPS, changed, choices, parse, shown
from vocoder.window.workbench import Workbench, jobs

FOLDER = Path(__file__).parent / "page"
MAX_DROP = 1 << 30  # bytes
DROPPED = (*IMAGE_SUFFIXES, ARRAY_SUFFIX, ARCHIVE_SUFFIX, TENSOR_SUFFIX)
# What only this page sends: other pages in the same browser would have to ask for it first.
OWN_HEADER = "X-Vocoder"
Invert = Callable[[Sequence[str]], object]


class Rendering:
    """All items rendered, in a thread.

    Parameters
    ----------
    invert : callable
        Does what ``vocoder invert`` does with the words after it.
    """

    def __init__(self, bench: Workbench, output: Path, invert: Invert) -> None:
        self.bench, self.output, self.invert = bench, output, invert
        self.root = output
        self.running = False
        self.problems: list[str] = []

    def start(self, given: dict[str, Any], alike: dict[str, Any] | None, *, peak: bool) -> None:
        """Begin in a folder that is not there yet; see `jobs`."""
        if self.running:
            raise BadInput("it is rendering already", key="render.running")
        number = 1
        while (root := self.output / f"heard-{number}").exists():
            number += 1
        self.root, self.running, self.problems = root, True, []
        lines = jobs(self.bench, given, alike=alike, peak=peak, output=root)
        threading.Thread(target=self._run, args=(lines,), daemon=True).start()

    def _run(self, lines: Iterable[list[str]]) -> None:
        try:
            for line in lines:
                try:
                    self.invert(line)
                except BadInput as error:
                    self.problems.append(str(error))
        except BadInput as error:
            self.problems.append(str(error))
        finally:
            self.running = False

    def state(self) -> dict[str, Any]:
        """How far it is."""
        done = sum(1 for _ in self.root.rglob("*.wav")) if self.root != self.output else 0
        return {
            "running": self.running,
            "done": done,
            "count": len(self.bench.items),
            "folder": str(self.root),
            "problems": self.problems,
        }


def make_app(bench: Workbench, output: Path, invert: Invert) -> Starlette:
    """The web application.

    Parameters
    ----------
    output : Path
        Folder for what is rendered, and for files that are dropped on the page.
    invert : callable
        See `Rendering`.
    """
    rendering = Rendering(bench, output, invert)

    def state(request: Request) -> Response:
        return JSONResponse({"names": list(bench.items), "left_out": bench.left_out})

    def controls(request: Request) -> Response:  # apart, since all options take seconds to load
        named = {group: choices(group) for group in GROUPS} | {"codec.cmap": list(USUAL[1:])}
        return JSONResponse({"choices": named, "shown": shown({}, is_array=False)})

    def original(request: Request) -> Response:
        name = request.query_params.get("name", "")
        return Response(bench.original(name), media_type="image/png")

    async def begin(request: Request) -> Response:
        said = await _said(request)
        return JSONResponse(await run_in_threadpool(bench.begin, _name(said)))

    async def doctor(request: Request) -> Response:
        said = await _said(request)
        found = await run_in_threadpool(bench.findings, _name(said), _settings(said))
        return JSONResponse(found)

    async def hear(request: Request) -> Response:
        said = await _said(request)
        start_s = said.get("start", 0)
        if not isinstance(start_s, int | float):
            raise HTTPException(400, "expected start as a number")
        return JSONResponse(
            await run_in_threadpool(bench.hear, _name(said), _settings(said), float(start_s))
        )

    async def render(request: Request) -> Response:
        if request.method == "POST":
            said = await _said(request)
            given, alike = said.get("given", {}), said.get("alike")
            rendering.start(given, alike, peak=bool(said.get("peak")))
        return JSONResponse(await run_in_threadpool(rendering.state))

    async def drop(request: Request) -> Response:
        _require_own(request)
        source = ImageSource(input=await _kept(request, output / "dropped"))
        return JSONResponse({"names": await run_in_threadpool(bench.add, source)})

    return application(
        [
            Route("/api/state", state),
            Route("/api/controls", controls),
            Route("/api/original", original),
            Route("/api/begin", begin, methods=["POST"]),
            Route("/api/doctor", doctor, methods=["POST"]),
            Route("/api/hear", hear, methods=["POST"]),
            Route("/api/render", render, methods=["GET", "POST"]),
            Route("/api/drop", drop, methods=["POST"]),
        ],
        assets(SHARED, FOLDER),
        {"words": {}},  # what the shared scripts expect: English
    )


def _require_own(request: Request) -> None:
    if OWN_HEADER not in request.headers:
        raise HTTPException(403, "only the page itself may ask for this")


async def _said(request: Request) -> dict[str, Any]:
    _require_own(request)
    return await json_body(request)


def _name(said: dict[str, Any]) -> str:
    return str(said.get("name", ""))


def _settings(said: dict[str, Any]) -> dict[str, Any]:
    """The settings as they were, or as a line of words, after what was changed."""
    given, changes = said.get("values", {}), said.get("changes", {})
    values = parse(given) if isinstance(given, str) else given
    if not isinstance(values, dict) or not isinstance(changes, dict):
        raise HTTPException(400, "expected settings by their names")
    for key, value in changes.items():
        values = changed(values, key, value)
    return values


async def _kept(request: Request, folder: Path) -> Path:
    """Keep a file that was sent, under its own name or the next one that is free."""
    name = Path(request.query_params.get("name", "").replace("\\", "/")).name
    stem, suffix = Path(name).stem, Path(name).suffix.lower()
    if suffix not in DROPPED or name.startswith("."):
        raise BadInput(f"{name!r} is neither an image nor an array", key="drop.type")
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    with atomic_path(path, overwrite=False) as temporary, temporary.open("wb") as file:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_DROP:
                raise BadInput(f"{name} is too large to be dropped; give it as input=", "drop.size")
            file.write(chunk)
    return path
