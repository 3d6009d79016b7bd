"""HTTPS to the collector: whom it trusts, what it refuses, how it says why."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from secmon_agent import identity, transport, wire
from secmon_agent.config import Config
from secmon_agent.errors import AgentError
from secmon_agent.transport import TransportError, fetch_ca, retry_after
from tests.agents.desk import Desk
from tests.agents.server import CA, TLS, Collector, Handler, refuse


def connected(collector: Collector, host: str = "127.0.0.1", proxy: str | None = None) -> transport.Collector:
    return transport.Collector(host, collector.port, [CA], proxy=proxy, timeout_s=5)


@pytest.mark.parametrize("certificate", ["other-ca.pem", "other-name.pem"])
def test_it_sends_nothing_to_a_server_that_the_ca_does_not_vouch_for(certificate: str) -> None:
    with Collector(certificate) as impostor:
        with pytest.raises(TransportError, match="certificate is not accepted"):
            connected(impostor).post("/v1/reports", b"secret", b"k" * 16)
        assert impostor.paths == []


def test_it_trusts_no_other_ca_than_the_one_it_was_given(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that the system trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "ca.pem"))
    other = ssl.PEM_cert_to_DER_cert("-----BEGIN" + (TLS / "other-ca.pem").read_text("ascii").split("-----BEGIN")[2])
    stranger = transport.Collector("127.0.0.1", collector.port, [other], proxy=None, timeout_s=5)
    with pytest.raises(TransportError, match="certificate is not accepted"):
        stranger.post("/v1/reports", b"", b"k" * 16)


def test_it_does_not_run_without_a_ca_or_with_rubbish(collector: Collector) -> None:
    for ca in ([], [b"rubbish"]):
        with pytest.raises(AgentError, match="CA certificate"):
            transport.Collector("127.0.0.1", collector.port, ca, proxy=None, timeout_s=5)


def test_it_ignores_the_system_s_proxies(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert connected(collector).post("/v1/reports", b"", b"k" * 16).status == 401


class Tunnel:
    """A proxy that knows CONNECT, for one connection."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.asked = ""
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        client, _ = self.listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.asked = head.split(b"\r\n")[0].decode()
        host, port = self.asked.split()[1].split(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=pump, args=(server, client), daemon=True).start()
        pump(client, server)


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_it_goes_through_a_proxy_that_is_named(desk: Desk, collector: Collector) -> None:
    proxy = Tunnel()
    desk.config = Config(proxy=proxy.url)
    assert desk.agent().cycle().delivered == 1
    assert proxy.asked.startswith(f"CONNECT 127.0.0.1:{collector.port} ")


def raw(answer: bytes) -> Callable[[Handler], None]:
    def send(handler: Handler) -> None:
        handler.connection.sendall(answer)
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    return send


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Header: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 " + b"y" * 70_000,
    ],
)
def test_it_takes_no_broken_answer_for_an_acknowledgement(desk: Desk, collector: Collector, answer: bytes) -> None:
    collector.script = [raw(answer)]
    outcome = desk.agent().cycle()
    assert (outcome.delivered, outcome.waiting) == (0, 1)
    assert outcome.trouble.startswith(f"collector 127.0.0.1:{collector.port}")
    assert "\n" not in outcome.trouble
    assert desk.agent().drain().delivered == 1


def test_it_says_when_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError, match=rf"collector 127.0.0.1:{port}: ."):
        transport.Collector("127.0.0.1", port, [CA], proxy=None, timeout_s=5).post("/", b"", b"k" * 16)


def test_it_says_when_the_name_is_unknown() -> None:
    unknown = transport.Collector("collector.invalid", 1, [CA], proxy=None, timeout_s=5)
    with pytest.raises(TransportError, match="name cannot be resolved"):
        unknown.post("/", b"", b"k" * 16)


@pytest.fixture
def silent() -> Iterator[int]:
    """Port of somebody who accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_it_gives_up_on_a_collector_that_does_not_answer(silent: int) -> None:
    with pytest.raises(TransportError, match="no answer in time"):
        fetch_ca("127.0.0.1", silent, b"x" * 32, proxy=None, timeout_s=0.2)


def test_it_shows_a_problem_as_one_printable_line(collector: Collector) -> None:
    collector.script = [refuse("busy", 503, "\x1b[31mred\r\nnext " + "x" * 1000), lambda _: (502, b"<html>", {})]
    connection = connected(collector)
    line = connection.post("/v1/reports", b"", b"k" * 16).says()
    assert line.startswith(wire.PROBLEMS["busy"])
    assert line.isprintable()
    assert len(line) <= 500
    assert connection.post("/v1/reports", b"", b"k" * 16).says() == "HTTP status 502"


def test_it_fetches_a_ca_of_bounded_size_only(collector: Collector) -> None:
    collector.ca = b"x" * 70_000
    with pytest.raises(TransportError, match="longer than"):
        fetch_ca("127.0.0.1", collector.port, b"x" * 32, proxy=None, timeout_s=5)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("0", 0.0),
        (" 30 ", 30.0),
        ("999999999999999999999", transport.MAX_RETRY_AFTER_S),
        ("Thu, 01 Jan 1970 00:17:20 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 -0800", transport.MAX_RETRY_AFTER_S),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_it_understands_retry_after(header: str | None, wait_s: float | None) -> None:
    assert retry_after(header, 1000.0) == wait_s


def test_it_reads_certificates_in_pem_and_der(tmp_path: Path) -> None:
    file = tmp_path / "ca"
    file.write_bytes(b"comment\n" + (TLS / "ca.pem").read_bytes() + b"\n" + (TLS / "ca.pem").read_bytes())
    assert identity.certificates(file) == [CA, CA]
