"""The server of a study: the page, opaque audio, and answers that are kept at once."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from vocoder.compare.page import ASSETS, FOLDER, INDEX_NAME, STUDY_SCRIPT, study_script
from vocoder.compare.sessions import AnsweredBefore, Sessions
from vocoder.errors import BadInput

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


def make_app(sessions: Sessions, folder: Path, key: str = "") -> Starlette:
    """The web application of a study in a folder.

    Parameters
    ----------
    sessions : Sessions
    folder : Path
    key : str
        Part of every address, that nobody guesses who was not given the link; empty for a server
        that this machine alone can reach.
    """

    async def index(request: Request) -> Response:
        return FileResponse(FOLDER / INDEX_NAME, headers=_HEADERS)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name == STUDY_SCRIPT:
            script = study_script(sessions.study.public())
            return Response(script, media_type="text/javascript", headers=_HEADERS)
        if name not in ASSETS:
            return _error(HTTPStatus.NOT_FOUND, "there is no such page")
        return FileResponse(FOLDER / name, media_type=ASSETS[name], headers=_HEADERS)

    async def begin(request: Request) -> Response:
        said = await _body(request)
        if isinstance(said, Response):
            return said
        details = said.get("details", {})
        return await _done(lambda: {"token": sessions.begin(details)})

    async def state(request: Request) -> Response:
        listener = _listener(request)
        return _UNKNOWN if listener is None else _json(sessions.state(listener))

    async def sound(request: Request) -> Response:
        listener = _listener(request)
        if listener is None:
            return _UNKNOWN
        file = sessions.file(listener, request.path_params["name"])
        if file is None:
            return _error(HTTPStatus.NOT_FOUND, "there is no such sound in this session")
        path = folder / file
        if not path.is_file():
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "a sound of the study is gone")
        # No FileResponse: its ETag and date are those of the file, and would tell X from A.
        return Response(path.read_bytes(), media_type="audio/wav", headers=_HEADERS)

    async def answer(request: Request) -> Response:
        listener = _listener(request)
        if listener is None:
            return _UNKNOWN
        said = await _body(request)
        if isinstance(said, Response):
            return said
        position = said.pop("position", None)

        def keep() -> dict[str, Any]:
            sessions.answer(listener, position, said)
            return sessions.state(listener)

        return await _done(keep)

    def _listener(request: Request) -> str | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return sessions.listener(token) if scheme == "Bearer" else None

    routes: list[Any] = [
        Route("/", index),
        Route("/api/session", begin, methods=["POST"]),
        Route("/api/session", state, methods=["GET"]),
        Route("/api/sound/{name}", sound),
        Route("/api/answer", answer, methods=["POST"]),
        Route("/{name}", asset),
    ]
    # Against pages elsewhere that have their name resolved to this machine; who knows the key
    # may call it what he likes.
    hosts = ["*"] if key else [HOST, "localhost"]
    return Starlette(
        routes=[Mount(f"/{key}", routes=routes)] if key else routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
    )


def serve(
    sessions: Sessions,
    folder: Path,
    *,
    port: int,
    browser: bool,
    network: bool,
    tell: Callable[[str], object],
) -> None:
    """Serve until interrupted (Ctrl+C), which is the usual end and raises nothing.

    Parameters
    ----------
    sessions : Sessions
    folder : Path
        Of the study.
    port : int
        0 takes a free one.
    browser : bool
        Whether to open the page, if there is a browser to open it with.
    network : bool
        Whether other machines may listen, by an address with a key in it.
    tell : callable
        Gets the page's address once it can be reached.
    """
    key = sessions.study.sign("network") if network else ""
    with bound(port, EVERYWHERE if network else HOST) as listening:
        host = _own_address() if network else HOST
        url = f"http://{host}:{listening.getsockname()[1]}/{key}{'/' * bool(key)}"
        tell(url)
        app = make_app(sessions, folder, key)
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
    if not 0 <= port < 1 << 16:
        raise BadInput(f"port is {port}; expected 0 to 65535", key="port.range")
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen()
        except OSError as error:
            raise BadInput(
                f"port {port} cannot be used ({error.strerror}), by another study perhaps; give "
                "port=, or port=0 for any that is free",
                key="port.taken",
            ) from error
        yield listening


def _own_address() -> str:
    """The address that other machines of the network know this one by, as far as it is known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # reserved for documentation: nothing is sent
        return str(probe.getsockname()[0])
    return socket.gethostname()


async def _body(request: Request) -> dict[str, Any] | Response:
    """The JSON object that was sent, or what is wrong with it."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the answer is too long")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):  # the last from thousands of brackets
        said = None
    if not isinstance(said, dict):
        return _error(HTTPStatus.BAD_REQUEST, "expected a JSON object")
    return said


async def _done(work: Callable[[], dict[str, Any]]) -> Response:
    """The result of what reads and writes the disk, or why there is none."""
    try:
        return _json(await anyio.to_thread.run_sync(work))
    except AnsweredBefore as error:
        return _error(HTTPStatus.CONFLICT, str(error))
    except BadInput as error:
        if error.key != "answers.write":
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        _LOG.error("%s", error)
        message = "Your answer could not be saved. It is still here; tell whoever runs this."
        return _error(HTTPStatus.INSUFFICIENT_STORAGE, message)


def _json(values: Mapping[str, Any]) -> Response:
    return JSONResponse(values, headers=_HEADERS)


def _error(status: HTTPStatus, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status, headers=_HEADERS)


_UNKNOWN = _error(
    HTTPStatus.UNAUTHORIZED, "This link names no session of this study. Begin a new one."
)
