"""An application served on this machine while a test lasts."""

import threading
import time
from contextlib import contextmanager

import uvicorn

from vocoder.compare.server import bound


@contextmanager
def served(app):
    """Serve it; gives the address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with bound(0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
