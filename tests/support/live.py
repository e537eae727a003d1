"""A real server on a free loopback port, in a thread: what a browser needs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from askaudio.search.engine import SearchEngine
from askaudio.server.app import create_app
from askaudio.server.run import bind, make_server
from askaudio.server.settings import ServerSettings


@contextlib.contextmanager
def live_server(engine: SearchEngine, **settings: object) -> Iterator[str]:
    """Serve an engine; yields the address of the page."""
    chosen = ServerSettings(**{"shutdown_grace_s": 1.0, **settings})  # type: ignore[arg-type]
    with bind("127.0.0.1", 0) as listener:
        server = make_server(create_app(engine, chosen), chosen)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(10)
