"""HTTP/1.1 as the agent speaks it, over a plain pair of sockets: whole answers, and everything that is none."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence

import pytest

from secmon_agent import http1
from secmon_agent.http1 import Connection, HttpError, Response, TooLongError


class Plain:
    """Stands in for TLS."""

    def wrap_socket(self, plain: socket.socket, server_hostname: str | bytes) -> socket.socket:
        self.name = server_hostname
        return plain


def asked(pieces: Sequence[bytes], *, proxy: bool = False, method: str = "POST") -> tuple[Response, bytes]:
    """The answer to a request when it arrives in these pieces, and what was sent."""
    sent: list[bytes] = []

    def serve() -> None:
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):
            sent.append(client.recv(65536))
            for number, piece in enumerate(pieces):
                client.sendall(piece)
                if proxy and number == 0:
                    sent.append(client.recv(65536))
            client.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        place = ("127.0.0.1", listener.getsockname()[1])
        try:
            via = place if proxy else None
            context: object = Plain()
            host, port = ("collector.example", 8443) if proxy else place
            connection = Connection(host, port, context, via, 5)  # type: ignore[arg-type]
            response = connection.request(method, "/v1/reports", {"X-One": "1"}, b"body", 1000)
            connection.close()
        finally:
            thread.join(5)
    return response, b"".join(sent)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After:  7 \r\n\r\n"


@pytest.mark.parametrize("pieces", [[OK + b"hello"], [OK, b"he", b"llo"], [bytes([one]) for one in OK + b"hello"]])
def test_it_reads_an_answer_in_whatever_pieces_it_comes(pieces: list[bytes]) -> None:
    response, sent = asked(pieces)
    assert (response.status, response.body, response.closes) == (200, b"hello", False)
    assert response.headers["retry-after"] == "7"
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"POST /v1/reports HTTP/1.1"
    assert {b"X-One: 1", b"Content-Length: 4"} < set(head.splitlines())
    assert body == b"body"


def test_it_passes_over_an_interim_answer() -> None:
    response, _ = asked([b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"hello"])
    assert (response.status, response.body) == (200, b"hello")


def test_it_notices_that_the_connection_will_close() -> None:
    response, _ = asked([b"HTTP/1.0 503 Busy\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n"])
    assert (response.status, response.closes) == (503, True)


@pytest.mark.parametrize("field", [b"Transfer-Encoding: chunked", b"Content-Length: 5, 6", b"X: y"])
def test_it_understands_the_status_alone_where_the_length_is_unknown(field: bytes) -> None:
    response, _ = asked([b"HTTP/1.1 502 Bad Gateway\r\n" + field + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"])
    assert (response.status, response.body, response.closes) == (502, b"", True)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "ends in the middle"),
        (OK[:-9], "ends in the middle"),
        (OK + b"hell", "ends in the middle"),
        (OK + b"hello, and more", "more than it announced"),
        (b"SSH-2.0\r\n\r\n", "begins with something else"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (http1.MAX_HEADERS + 1) + b"\r\n", "headers"),
        (b"HTTP/1.1 200 " + b"y" * (http1.MAX_HEAD_BYTES + 20000), "head is longer"),
    ],
)
def test_it_takes_nothing_else_for_an_answer(answer: bytes, why: str) -> None:
    with pytest.raises(HttpError, match=why):
        asked([answer])


@pytest.mark.parametrize("length", [b"1001", b"9" * 5000])
def test_it_takes_no_more_than_its_caller_wants(length: bytes) -> None:
    with pytest.raises(TooLongError, match="longer than 1000"):
        asked([b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n"])


def test_it_asks_a_proxy_for_a_tunnel_and_says_nothing_else_to_it() -> None:
    response, sent = asked([b"HTTP/1.1 200 Connection established\r\n\r\n", OK + b"hello"], proxy=True)
    assert response.status == 200
    asking, _, rest = sent.partition(b"\r\n\r\n")
    assert asking.splitlines() == [b"CONNECT collector.example:8443 HTTP/1.1", b"Host: collector.example:8443"]
    assert rest.startswith(b"POST ")


def test_it_says_that_a_proxy_refuses() -> None:
    with pytest.raises(OSError, match="proxy refuses the tunnel with HTTP status 407"):
        asked([b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"], proxy=True)
