"""The server of a study: the page, opaque audio, and answers that are kept at once."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from vocoder.compare.page import FOLDER, INDEX_NAME, MEDIA, STUDY_SCRIPT, assets, study_script
from vocoder.compare.sessions import Sessions
from vocoder.errors import BadInput, expect

HOST, EVERYWHERE = "127.0.0.1", "0.0.0.0"
_LOG = logging.getLogger(__name__)
_MAX_BODY = 100_000  # bytes
_HEADERS = {
    # Nothing outside this server can be loaded or told, whatever a page's text says.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_UNKNOWN = "This link names no session of this study. Begin a new one."
_UNSAVED = "Your answer could not be saved. It is still here; tell whoever runs this."
_STATUS = {"answer.exists": 409, "answers.write": 507}  # of errors by key; else 400


def make_app(sessions: Sessions, folder: Path, key: str = "") -> Starlette:
    """The web application of a study in a folder.

    Parameters
    ----------
    key : str
        Part of every address, that nobody guesses who was not given the link; empty for a server
        that this machine alone can reach.
    """

    def listener(request: Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        name = sessions.listener(token) if scheme == "Bearer" else None
        if name is None:
            raise HTTPException(401, _UNKNOWN)
        return name

    async def begin(request: Request) -> Response:
        details = (await json_body(request)).get("details", {})
        return JSONResponse({"token": await run_in_threadpool(sessions.begin, details)})

    def state(request: Request) -> Response:
        return JSONResponse(sessions.state(listener(request)))

    def audio(request: Request) -> Response:
        file = sessions.file(listener(request), request.path_params["name"])
        if file is None:
            raise HTTPException(404, "there is no such audio in this session")
        # No FileResponse: its ETag and date are those of the file, and would tell X from A.
        return Response((folder / file).read_bytes(), media_type="audio/wav")

    async def answer(request: Request) -> Response:
        name, said = listener(request), await json_body(request)
        await run_in_threadpool(sessions.answer, name, said.pop("position", None), said)
        return JSONResponse(await run_in_threadpool(sessions.state, name))

    routes = [
        Route("/api/session", begin, methods=["POST"]),
        Route("/api/session", state, methods=["GET"]),
        Route("/api/audio/{name}", audio),
        Route("/api/answer", answer, methods=["POST"]),
    ]
    return application(routes, assets(FOLDER), sessions.study.public(), key)


def application(
    routes: Sequence[BaseRoute], page: Mapping[str, Path], public: Mapping[str, Any], key: str = ""
) -> Starlette:
    """A page and what it asks for: no words to or from elsewhere, errors as JSON.

    Parameters
    ----------
    page : mapping of str to Path
        Its files by name, an index among them.
    public : mapping
        What its scripts know of the study.
    """

    def asset(request: Request) -> Response:
        name = request.path_params.get("name", INDEX_NAME)
        if name == STUDY_SCRIPT:
            return Response(study_script(public), media_type=MEDIA[".js"])
        if name not in page:
            raise HTTPException(404, "there is no such page")
        return FileResponse(page[name], media_type=MEDIA[page[name].suffix])

    routes = [Route("/", asset), *routes, Route("/{name}", asset)]
    # Against pages elsewhere that have their name resolved to this machine; who knows the key
    # may call it what he likes.
    hosts = ["*"] if key else [HOST, "localhost"]
    return Starlette(
        routes=[Mount(f"/{key}", routes=routes)] if key else routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
            Middleware(BaseHTTPMiddleware, dispatch=_guarded),
        ],
        exception_handlers={HTTPException: _refused, BadInput: _refused},
    )


async def _guarded(request: Request, go_on: Callable[[Request], Any]) -> Response:
    response: Response = await go_on(request)
    response.headers.update(_HEADERS)
    return response


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    key = error.key if isinstance(error, BadInput) else ""
    if key == "answers.write":
        _LOG.error("%s", error)
    said = _UNSAVED if key == "answers.write" else str(error)
    return JSONResponse({"error": said}, _STATUS.get(key, 400))


async def json_body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise HTTPException(413, "the answer is too long")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):  # the last from thousands of brackets
        said = None
    if not isinstance(said, dict):
        raise HTTPException(400, "expected a JSON object")
    return said


def serve(
    app: Starlette,
    *,
    port: int,
    browser: bool,
    tell: Callable[[str], object],
    key: str = "",
) -> None:
    """Serve until interrupted (Ctrl+C), which is the usual end and raises nothing.

    Parameters
    ----------
    port : int
        0 takes a free one.
    tell : callable
        Gets the page's address once it can be reached.
    key : str
        That of the application's addresses; with one, other machines may listen.
    """
    with bound(port, EVERYWHERE if key else HOST) as listening:
        host = _own_address() if key else HOST
        url = f"http://{host}:{listening.getsockname()[1]}/{key}{'/' * bool(key)}"
        tell(url)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        if browser:
            open_browser(url)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def open_browser(url: str) -> bool:
    """Open a page, unless there is no desktop: browsers for text would take over the terminal."""
    has_desktop = sys.platform != "linux" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return has_desktop and webbrowser.open(url)


@contextmanager
def bound(port: int, host: str = HOST) -> Iterator[socket.socket]:
    """A socket that listens on a port of this machine."""
    expect(0 <= port < 1 << 16, "port", port, "0 to 65535")
    try:
        listening = socket.create_server((host, port))
    except OSError as error:
        raise BadInput(
            f"port {port} cannot be used ({error.strerror}), by another page perhaps; give "
            "port=, or port=0 for any that is free",
            key="port.taken",
        ) from error
    with listening:
        yield listening


def _own_address() -> str:
    """The address that other machines of the network know this one by, as far as it is known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # reserved for documentation: nothing is sent
        return str(probe.getsockname()[0])
    return socket.gethostname()
