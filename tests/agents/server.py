"""A small collector over real TLS, in a thread: it verifies, remembers and acknowledges like the real one.

`script` holds answers to give instead, first in, first out; each may also break the connection. With `rotate` every Ack
asks for another key; `unheard` are keys that were taken and have not spoken yet, with the ones that they end then.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from msgspec import UNSET

from secmon_agent import wire
from secmon_agent.invitation import Invitation

TLS = Path(__file__).parent / "tls"
CA = ssl.PEM_cert_to_DER_cert((TLS / "ca.pem").read_text("ascii"))
TOKEN = "token-of-the-tests-0123"

Answer = tuple[int, bytes, dict[str, str]]
Scripted = Callable[["Handler"], Answer | None]
"""Called instead of the usual answer; None when it has dealt with the connection itself."""


class Collector:
    """Context manager. `received` holds every accepted report in order, repetitions left out."""

    def __init__(self, certificate: str = "server.pem", port: int = 0) -> None:
        self.keys: dict[bytes, bytes] = {}
        self.received: list[wire.Report] = []
        self.bodies: dict[tuple[bytes, int], str] = {}
        self.paths: list[str] = []
        self.sections: dict[str, tuple[str, bytes]] = {}
        self.stored: set[bytes] = set()
        self.script: list[Scripted] = []
        self.ca = CA
        self.pending = False
        self.rotate = False
        self.unheard: dict[bytes, bytes] = {}
        self.ended: set[bytes] = set()
        self.said_of_keys = ""
        self.repeated = 0
        self.connections = 0
        self.generation = 1
        self.interval_s = 3600
        self.clock_ahead_s = 0.0
        self.lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / certificate)
        self._server = Server(self, context, port)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def invitation(self, host: str = "127.0.0.1") -> Invitation:
        return Invitation(host=host, port=self.port, ca_sha256=hashlib.sha256(self.ca).digest(), token=TOKEN)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.clock_ahead_s)

    def enroll(self, body: bytes) -> Answer:
        request = wire.read_enrollment(wire.read_envelope(body))
        if request.token != TOKEN:
            return refusal("token-unknown", 403)
        if not self.pending:
            self.keys[wire.key_id(request.public_key)] = request.public_key
        answer = wire.EnrollmentAnswer(
            status="pending" if self.pending else "enrolled",
            collector_id=b"c" * 16,
            generation=self.generation,
            interval_s=self.interval_s,
            server_time=self.now(),
            reason="the name is taken" if self.pending else "",
        )
        return (202 if self.pending else 200), wire.encode(answer), {}

    def take(self, body: bytes, key_id: str) -> Answer:
        public_key = self.keys.get(bytes.fromhex(key_id))
        if public_key is None:
            return refusal("unknown-key", 401)
        if bytes.fromhex(key_id) in self.ended:
            return refusal("revoked-key", 401)
        try:
            report = wire.open_envelope(body, public_key)
        except wire.WireError as error:
            return refusal("malformed", error.status, error.detail)
        if bytes.fromhex(key_id) in self.unheard:
            self.ended.add(self.unheard.pop(bytes.fromhex(key_id)))
        place, content = (report.stream, report.sequence), hashlib.sha256(body).hexdigest()
        if self.bodies.setdefault(place, content) != content:
            return refusal("fork", 409)
        want: tuple[str, ...] = ()
        if any((one.stream, one.sequence) == place for one in self.received):
            self.repeated += 1
        else:
            self.received.append(report)
            want = self.apply(report)
        return 200, self.ack(report, want), {}

    def standing(self, headers: Message) -> str:
        key_id = bytes.fromhex(headers[wire.KEY_ID_HEADER])
        return self.said_of_keys or ("ended" if key_id in self.ended else "known" if key_id in self.keys else "unknown")

    def follow(self, body: bytes) -> Answer:
        envelope = wire.read_envelope(body)
        if envelope.key_id not in self.keys:
            return refusal("unknown-key", 401)
        if envelope.key_id in self.ended:
            return refusal("revoked-key", 401)
        wire.verify(envelope, self.keys[envelope.key_id])
        message = wire.read_rotation(envelope)
        new = wire.key_id(message.public_key)
        self.keys[new] = message.public_key
        self.unheard[new] = envelope.key_id
        return 200, wire.encode(wire.RotationAnswer(key_id=new, server_time=self.now())), {}

    def apply(self, report: wire.Report) -> tuple[str, ...]:
        """Take the sections over; answers which of them have no known data."""
        if report.sections is UNSET:
            rows = {
                name: wire.Section(status=row[0], digest=row[1], collected_at=self.now())
                for name, row in self.sections.items()
            }
            return () if wire.state_digest(rows) == report.state else (wire.FULL_STATE,)
        self.sections = {name: (section.status, section.digest) for name, section in report.sections.items()}
        self.stored |= {section.digest for section in report.sections.values() if section.data is not UNSET}
        lacking = [
            name for name, (status, digest) in self.sections.items() if status == "ok" and digest not in self.stored
        ]
        return tuple(lacking)

    def ack(self, report: wire.Report, want: tuple[str, ...] = ()) -> bytes:
        return wire.encode(
            wire.Ack(
                stream=report.stream,
                sequence=report.sequence,
                interval_s=self.interval_s,
                server_time=self.now(),
                collector_id=b"c" * 16,
                generation=self.generation,
                want=want,
                rotate=self.rotate,
            )
        )


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, collector: Collector, context: ssl.SSLContext, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.collector = collector
        self.context = context

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                self.collector.connections += 1
                super().finish_request(secured, client_address)
        except OSError:
            return

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    server: Server
    body = b""

    def do_GET(self) -> None:
        collector = self.server.collector
        collector.paths.append(self.path)
        if self.path == "/v1/key":
            self.answer((200, wire.encode(wire.KeyAnswer(status=collector.standing(self.headers))), {}))
        else:
            self.answer((200, collector.ca, {}))

    def do_POST(self) -> None:
        collector = self.server.collector
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        with collector.lock:
            collector.paths.append(self.path)
            scripted = collector.script.pop(0) if collector.script else None
            answer = scripted(self) if scripted else self.usual(collector)
        if answer is not None:
            self.answer(answer)

    def usual(self, collector: Collector) -> Answer:
        if self.headers["Content-Type"] != wire.CONTENT_TYPE:
            return refusal("malformed", 400, "content type")
        if self.path == "/v1/enrollments":
            return collector.enroll(self.body)
        if self.path == "/v1/rotations":
            return collector.follow(self.body)
        return collector.take(self.body, self.headers[wire.KEY_ID_HEADER])

    def answer(self, answer: Answer) -> None:
        status, body, headers = answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.collector.now(), usegmt=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Quiet."""


def refusal(name: str, status: int, detail: str = "", **headers: str) -> Answer:
    body = wire.problem(name, status, detail)
    return (
        status,
        body,
        {"Content-Type": wire.PROBLEM_CONTENT_TYPE, **{k.replace("_", "-"): v for k, v in headers.items()}},
    )


def refuse(name: str, status: int, detail: str = "", **headers: str) -> Scripted:
    """To put into `script`."""
    return lambda _: refusal(name, status, detail, **headers)


def cut(handler: Handler) -> None:
    """The report is taken, but the connection breaks before the answer."""
    handler.usual(handler.server.collector)
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
