"""HTTP listeners: sockets that are bound before anything starts, each served by uvicorn on a thread of its own."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import threading
from typing import Any

import uvicorn

from secmon.config import parse_address
from secmon.errors import Failure, UsageError

BACKLOG = 1024


def bind(address: str, what: str) -> socket.socket:
    """A listening socket. Raises UsageError when the address is taken or not ours."""
    host, port = parse_address(address, what)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot listen on {address} ({what}): {reason}; choose another with --{what}") from None
    listener.setblocking(False)
    return listener


class HttpListener:
    """One ASGI application on one socket."""

    def __init__(self, name: str, app: Any, listener: socket.socket, context: ssl.SSLContext | None = None) -> None:
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._listener = listener
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="httptools",
                loop="uvloop" if sys.platform != "win32" else "asyncio",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
                ssl_context_factory=None if context is None else lambda _config, _default: context,
            )
        )
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])

    def start(self) -> None:
        """Returns when the listener answers. Raises Failure when it does not come up."""
        self._thread.start()
        while not self._server.started:
            self._thread.join(timeout=0.01)
            if not self._thread.is_alive():
                raise Failure(f"the listener {self._thread.name} did not start; see the log")

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self._listener.close()


def quiet_uvicorn() -> None:
    """uvicorn says what matters; its greetings do not."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
