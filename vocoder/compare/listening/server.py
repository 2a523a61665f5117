"""The local server of a study: the page, opaque sounds, and answers that are saved at once."""

from __future__ import annotations

import fcntl
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
from starlette.routing import Route

from vocoder.compare.listening.page import (
    ASSETS,
    FOLDER,
    INDEX_NAME,
    STUDY_SCRIPT,
    study_script,
)
from vocoder.compare.listening.session import NotSaved, Sessions
from vocoder.compare.listening.study import STUDY_NAME
from vocoder.errors import BadInput

HOST = "127.0.0.1"
_LOG = logging.getLogger(__name__)
_LARGEST_ANSWER = 100_000  # bytes
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


def make_app(sessions: Sessions, folder: Path) -> Starlette:
    """The web application of a study in a folder."""

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
        return _json({"token": sessions.begin()})

    async def state(request: Request) -> Response:
        listener = _listener(request)
        return _UNKNOWN if listener is None else _json(sessions.state(listener))

    async def sound(request: Request) -> Response:
        listener = _listener(request)
        if listener is None:
            return _UNKNOWN
        file = sessions.sound(listener, request.path_params["name"])
        if file is None:
            return _error(HTTPStatus.NOT_FOUND, "there is no such sound in this session")
        path = folder / file
        if not path.is_file():
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "a sound of the study is gone")
        return FileResponse(path, media_type="audio/wav", headers=_HEADERS)

    async def answer(request: Request) -> Response:
        listener = _listener(request)
        if listener is None:
            return _UNKNOWN
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_ANSWER:
                return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the answer is too long")
        try:
            said = json.loads(body)
            position = said.pop("position") if isinstance(said, dict) else None
        except (ValueError, KeyError, RecursionError):  # the last from thousands of brackets
            return _error(HTTPStatus.BAD_REQUEST, "the answer is no JSON object with a position")
        try:
            await anyio.to_thread.run_sync(sessions.answer, listener, position, said)
        except NotSaved as error:
            _LOG.error("%s", error)
            message = "Your answer could not be saved. It is still here; tell whoever runs this."
            return _error(HTTPStatus.INSUFFICIENT_STORAGE, message)
        except BadInput as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        return _json(sessions.state(listener))

    def _listener(request: Request) -> str | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return sessions.listener(token) if scheme == "Bearer" else None

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/session", begin, methods=["POST"]),
            Route("/api/session", state, methods=["GET"]),
            Route("/api/sound/{name}", sound),
            Route("/api/answer", answer, methods=["POST"]),
            Route("/{name}", asset),
        ],
        # Against pages elsewhere that have their name resolved to this machine.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
    )


def serve(
    sessions: Sessions, folder: Path, *, port: int, browser: bool, tell: Callable[[str], object]
) -> None:
    """Serve until interrupted (Ctrl+C), which is the usual end and raises nothing.

    Parameters
    ----------
    sessions : Sessions
    folder : Path
        Of the study.
    port : int
        On 127.0.0.1; 0 takes a free one.
    browser : bool
        Whether to open the page, if there is a browser to open it with.
    tell : callable
        Gets the page's address once it can be reached.

    Raises
    ------
    BadInput
        The port is taken, or another server runs this study.
    """
    with _alone(folder), _bound(port) as listening:
        url = f"http://{HOST}:{listening.getsockname()[1]}/"
        tell(url)
        config = uvicorn.Config(
            make_app(sessions, folder), log_level="warning", timeout_graceful_shutdown=2
        )
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
def _bound(port: int) -> Iterator[socket.socket]:
    if not 0 <= port < 1 << 16:
        raise BadInput(f"port is {port}; expected 0 to 65535")
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen()
        except OSError as error:
            raise BadInput(
                f"port {port} cannot be used ({error.strerror}), by another study perhaps; give "
                "port=, or port=0 for any that is free"
            ) from error
        yield listening


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One server a study: two would not know of each other's answers."""
    with (folder / STUDY_NAME).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInput(f"another server runs the study in {folder}; use that one") from error
        yield


def _json(values: Mapping[str, Any]) -> Response:
    return JSONResponse(values, headers=_HEADERS)


def _error(status: HTTPStatus, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status, headers=_HEADERS)


_UNKNOWN = _error(
    HTTPStatus.UNAUTHORIZED, "This link names no session of this study. Begin a new one."
)
