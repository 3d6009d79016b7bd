"""HTTPS to the collector: one connection, the site CA alone, every failure in one line.

System proxies are never used; a proxy comes from the configuration or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import time
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from secmon_agent import wire
from secmon_agent.errors import AgentError, printable
from secmon_agent.http1 import Connection, HttpError, TooLongError

MAX_ANSWER_BYTES = 1 << 16
MAX_RETRY_AFTER_S = 6 * 3600.0


class TransportError(AgentError):
    """The collector was not reached, or said something that is no answer. Trying again later may help."""


class Reply(Struct, frozen=True, kw_only=True):
    status: int
    body: bytes
    retry_after_s: float | None
    at_s: float
    """Middle between sending and receiving, by this machine's clock, seconds since 1970."""

    def problem(self) -> wire.Problem:
        """The error body; one made from the status where there is none."""
        try:
            problem = msgspec.json.decode(self.body, type=wire.Problem)
        except (msgspec.DecodeError, ValueError):
            return wire.Problem(type="about:blank", title=f"HTTP status {self.status}", status=self.status)
        return problem

    def says(self) -> str:
        """The problem as one line without control characters."""
        problem = self.problem()
        return printable(f"{problem.title}: {problem.detail}" if problem.detail else problem.title)

    def is_problem(self, name: str) -> bool:
        return self.problem().type == wire.PROBLEM_PREFIX + name


class Collector:
    """A kept connection to one collector, trusted through `ca` (certificates in DER) alone."""

    def __init__(self, host: str, port: int, ca: list[bytes], *, proxy: str | None, timeout_s: float) -> None:
        self._host, self._port = host, port
        self._where = f"collector {host}:{port}"
        self._proxy = proxy
        self._timeout_s = timeout_s
        self._context = _verifying(ca)
        self._connection: Connection | None = None

    def post(self, path: str, body: bytes, key_id: bytes) -> Reply:
        headers = {"Content-Type": wire.CONTENT_TYPE, wire.KEY_ID_HEADER: key_id.hex()}
        kept = self._connection is not None
        try:
            return self._exchange(path, body, headers)
        except TransportError:
            if not kept:
                raise
        # The collector may have closed a connection that had been idle; a repeated report is acknowledged, not applied.
        return self._exchange(path, body, headers)

    def _exchange(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        try:
            if self._connection is None:
                self._connection = _connection(self._host, self._port, self._context, self._proxy, self._timeout_s)
            sent_at = time.time()
            response = self._connection.request("POST", path, headers, body, MAX_ANSWER_BYTES)
            received_at = time.time()
        except (OSError, ValueError) as error:
            self.close()
            raise TransportError(f"{self._where}: {printable(explain(error))}") from None
        if response.closes:
            self.close()
        return Reply(
            status=response.status,
            body=response.body,
            retry_after_s=retry_after(response.headers.get("retry-after"), received_at),
            at_s=(sent_at + received_at) / 2,
        )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def fetch_ca(host: str, port: int, sha256: bytes, *, proxy: str | None, timeout_s: float) -> bytes:
    """The site CA's certificate in DER, over a connection that proves nothing (its SHA-256 does)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    where = f"collector {host}:{port}"
    try:
        connection = _connection(host, port, context, proxy, timeout_s)
        with contextlib.closing(connection):
            response = connection.request("GET", "/v1/ca", {}, b"", MAX_ANSWER_BYTES)
    except (OSError, ValueError) as error:
        raise TransportError(f"{where}: {printable(explain(error))}") from None
    if response.status != 200:
        raise TransportError(f"{where}: asked for its CA certificate it answers HTTP status {response.status}")
    if hashlib.sha256(response.body).digest() != sha256:
        raise AgentError(
            f"{where} shows another CA certificate than the enrollment string names; "
            "nothing was sent. Check the address, and ask for a new enrollment string"
        )
    return response.body


def secured(host: str, port: int, ca: list[bytes], *, proxy: str | None, timeout_s: float) -> Connection:
    """A connection that trusts `ca` (certificates in DER) alone. Raises OSError."""
    return _connection(host, port, _verifying(ca), proxy, timeout_s)


def _verifying(ca: list[bytes]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not ca:
        raise AgentError("there is no CA certificate to trust; enroll again")
    try:
        for certificate in ca:
            context.load_verify_locations(cadata=certificate)
    except ssl.SSLError as error:
        raise AgentError(f"the CA certificate cannot be used: {error.reason or error}") from None
    return context


def _connection(host: str, port: int, context: ssl.SSLContext, proxy: str | None, timeout_s: float) -> Connection:
    if proxy is None:
        return Connection(host, port, context, None, timeout_s)
    from urllib.parse import urlsplit

    parts = urlsplit(proxy)
    return Connection(host, port, context, (parts.hostname or "", parts.port or 0), timeout_s)


def explain(error: Exception) -> str:
    """Why a connection failed, for the person who reads it."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"no TLS connection: {error.reason or error}"
        case socket.gaierror():
            return "its name cannot be resolved"
        case TimeoutError():
            return "no answer in time"
        case OSError():
            return error.strerror or str(error) or type(error).__name__
        case TooLongError():
            return str(error)
        case HttpError():
            return f"the answer is no HTTP: {error}"
        case _:
            return f"no connection: {error}"


def retry_after(header: str | None, now_s: float) -> float | None:
    """Seconds to wait by a Retry-After header (a number or a date), within reason; None when there is none."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header.strip()[:9]), MAX_RETRY_AFTER_S)
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(header)
        wait_s = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def clock_offset_s(server_time: datetime, at_s: float) -> float:
    """Collector's clock minus this machine's."""
    return round(server_time.timestamp() - at_s, 3)
