"""As much of HTTP/1.1 over TLS as the agent speaks: one request at a time, answers with a length, everything bounded.

`http.client` knows more and imports `email` for it, which costs a cycle as much as its signature and all of its TLS.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Mapping

from msgspec import Struct

MAX_HEAD_BYTES = 1 << 15
MAX_HEADERS = 100
_HEAD_END = b"\r\n\r\n"


class HttpError(ValueError):
    """What came is no answer. Its text travels into a journal."""


class TooLongError(HttpError):
    """The body of an answer has more than the caller takes."""


class Response(Struct, frozen=True, kw_only=True):
    status: int
    headers: Mapping[str, str]
    """Names in lower case; of several with one name the last."""
    body: bytes
    """Empty where its length is not known: then nothing but the status is understood."""
    closes: bool
    """The connection cannot be used any more."""


class Connection:
    """To `host:port`, through `proxy` (host and port) where one is given. Raises OSError and HttpError."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext, proxy: tuple[str, int] | None, timeout_s: float
    ) -> None:
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        with contextlib.ExitStack() as undo:
            plain = undo.enter_context(socket.create_connection(_bytes(proxy or (host, port)), timeout_s))
            if proxy is not None:
                self._pass(plain)
            self._socket = context.wrap_socket(plain, server_hostname=_name(host))
            undo.pop_all()

    def _pass(self, plain: socket.socket) -> None:
        plain.sendall(f"CONNECT {self._authority} HTTP/1.1\r\nHost: {self._authority}\r\n\r\n".encode("ascii"))
        status, _, rest = _head(plain)
        if status != 200 or rest:
            raise OSError(f"the proxy refuses the tunnel with HTTP status {status}")

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, max_bytes: int) -> Response:
        """`max_bytes` of the answer's body are taken."""
        fields = {"Host": self._authority, "Accept-Encoding": "identity", **headers}
        if body or method == "POST":
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        self._socket.sendall("\r\n".join(lines).encode("ascii") + _HEAD_END + body)
        status, received, rest = _head(self._socket)
        length = received.get("content-length", "")
        if "transfer-encoding" in received or not (length.isascii() and length.isdigit()):
            return Response(status=status, headers=received, body=b"", closes=True)
        if len(length) > 12 or int(length) > max_bytes:
            raise TooLongError(f"the answer is longer than {max_bytes} bytes")
        content = _rest(self._socket, rest, int(length))
        closes = received.get("connection", "").lower() == "close"
        return Response(status=status, headers=received, body=content, closes=closes)

    def close(self) -> None:
        self._socket.close()


def _head(stream: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers, and what came behind them. Interim answers are passed over."""
    data = b""
    while True:
        while _HEAD_END not in data:
            if len(data) > MAX_HEAD_BYTES:
                raise HttpError(f"its head is longer than {MAX_HEAD_BYTES} bytes")
            data += _some(stream)
        head, _, data = data.partition(_HEAD_END)
        first, *lines = head.decode("latin-1").split("\r\n")
        status = _status(first)
        if len(lines) > MAX_HEADERS:
            raise HttpError(f"more than {MAX_HEADERS} headers")
        if status >= 200:
            pairs = (each.partition(":") for each in lines)
            return status, {name.strip().lower(): value.strip() for name, _, value in pairs}, data


def _status(line: str) -> int:
    version, _, rest = line.partition(" ")
    number = rest.partition(" ")[0]
    known = version in ("HTTP/1.0", "HTTP/1.1") and len(number) == 3 and number.isascii() and number.isdecimal()
    if not known or number[0] == "0":
        raise HttpError("it begins with something else")
    return int(number)


def _rest(stream: socket.socket, data: bytes, length: int) -> bytes:
    while len(data) < length:
        data += _some(stream)
    if len(data) > length:
        raise HttpError("more than it announced")
    return data


def _some(stream: socket.socket) -> bytes:
    data = stream.recv(1 << 14)
    if not data:
        raise HttpError("it ends in the middle")
    return data


def _bytes(address: tuple[str, int]) -> tuple[str, int]:
    """A name in ASCII as bytes, which the resolver takes as they are: a str loads the tables of IDNA first."""
    return _name(address[0]), address[1]  # type: ignore[return-value]


def _name(host: str) -> str | bytes:
    return host.encode("ascii") if host.isascii() else host
