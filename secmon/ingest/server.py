"""Serving the door for agents: granian's embedded server on a socket that is bound before anything starts.

TLS and HTTP are read outside Python, which halves what a heartbeat costs; the application behind it is plain ASGI.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from secmon.certificates import Certificates
from secmon.errors import Failure
from secmon.serving import BACKLOG

MAX_CONNECTIONS: Final = 768
"""Open at once, below the 1,024 files that a process may usually hold open; others wait in the socket's queue."""
IDLE_S: Final = 30
"""A connection on which nothing comes for so long, or no whole head of a request, is closed."""
AGAIN_S: Final = 1.0
BUFFER_BYTES: Final = 64 << 10
"""Of each connection."""
log = logging.getLogger(__name__)


class IngestListener:
    """One ASGI application over TLS, on a thread of its own."""

    def __init__(self, app: Any, listener: socket.socket, certificates: Certificates) -> None:
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._listener = listener
        self._app = app
        self._certificates = certificates
        self._certificate = certificates.certificate.read_bytes()
        self._loop = _new_loop()
        self._server: _Server | None = None
        self._up = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)

    def start(self) -> None:
        """Returns when the listener answers. Raises Failure when it does not come up."""
        self._thread.start()
        while not self._up.wait(timeout=0.01):
            if not self._thread.is_alive():
                raise Failure("the listener for agents did not start; see the log")

    def stop(self) -> None:
        self._stopping.set()
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.stop)
            self._thread.join(timeout=10)
        self._listener.close()

    def take(self, fresh: Certificates) -> None:
        """A renewed certificate: new connections get it, those that are open end in peace. Raises OSError for one that
        does not fit its key, and goes on with the one before."""
        said = fresh.certificate.read_bytes()
        if said == self._certificate or self._server is None:
            return
        fresh.context()
        self._certificate = said
        self._loop.call_soon_threadsafe(self._server.reload)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._stopping.is_set():
            try:
                self._loop.run_until_complete(self._serve())
            except Exception:
                if not self._up.is_set():
                    raise  # the collector does not start without it
                log.exception("the listener for agents has failed")
            if not self._stopping.wait(AGAIN_S):
                log.error("the listener for agents ended by itself and is started again")

    async def _serve(self) -> None:
        self._server = _Server(self._app, self._listener, self._certificates)
        self._server.on_startup(lambda: self._loop.call_soon(self._up.set))
        if self._stopping.is_set():  # which was told to the server before this one
            return
        await self._server.serve()


class _Server(Server):
    """On a socket that we bound: granian would bind one itself, and share its port with whoever comes later."""

    def __init__(self, app: Any, listener: socket.socket, certificates: Certificates) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=IDLE_S * 1000, max_buffer_size=BUFFER_BYTES),
            websockets=False,
            backlog=BACKLOG,
            backpressure=MAX_CONNECTIONS,
            log_level=LogLevels.error,
            log_dictconfig={"handlers": {}, "loggers": {"_granian": {"propagate": True}}},  # to whoever logs for us
            ssl_cert=certificates.certificate,
            ssl_key=certificates.key,
            ssl_protocol_min=SSLProtocols.tls12,
        )
        self._socket = listener

    def _init_shared_socket(self) -> None:
        """Each worker gets a descriptor of its own, below."""

    def _spawn_worker(self, *arguments: Any, **named: Any) -> Any:
        """A worker closes its descriptor when it ends; ours stays open for the one that follows it."""
        setattr(self, "_shd", _holder(self._socket.dup().detach()))  # noqa: B010 — the base says that it stays None
        return super()._spawn_worker(*arguments, **named)


def _holder(descriptor: int) -> Any:
    """As granian unpickles one in a process of its own; its type stub lacks the arguments."""
    make: Any = SocketHolder
    return make(descriptor, False, BACKLOG)


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()
