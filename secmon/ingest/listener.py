"""The door for agents: a small ASGI application that refuses cheaply and answers only after the commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from secmon.ingest.admission import Admitted, KeyRing, KnownKey, Refused, admit
from secmon.ingest.enrollment import Enrollment
from secmon.ingest.rotation import Rotations
from secmon.ingest.writer import RETRY_AFTER_S, Waiting, Writer
from secmon.metrics.runtime import Runtime
from secmon_agent import wire

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_PER_ADDRESS: Final = 256
"""Requests of one address that are handled at once."""
SMALL_BYTES: Final = 16 << 10
"""Bodies up to this are verified on the event loop, larger ones beside it."""

LINGER_BYTES: Final = 4 * wire.MAX_WIRE_BYTES
LINGER_S: Final = 5.0
"""What is still read and thrown away of the body of a refused request: whoever is sending must come to the answer."""

HELD: Final = "secmon.held_bytes"
"""In the scope of a request: bytes of its body, which count as in flight until it is answered."""

WHOLE: Final = "secmon.whole_body"
"""In the scope of a request whose body has been read to its end."""

_OUTCOMES: Final = {401: "unauthorized", 403: "forbidden", 409: "fork", 413: "too_large", 503: "busy"}
log = logging.getLogger(__name__)


class Listener:
    """`POST /v1/reports`, `POST /v1/enrollments`, `POST /v1/rotations`, `GET /v1/key`, `GET /v1/ca`,
    `GET /v1/ca/next`."""

    def __init__(
        self,
        *,
        keys: KeyRing,
        writer: Writer,
        enrollment: Enrollment,
        rotations: Rotations,
        runtime: Runtime,
        ca_der: bytes,
        clock: Callable[[], datetime],
    ) -> None:
        self._keys = keys
        self._writer = writer
        self._enrollment = enrollment
        self._rotations = rotations
        self._runtime = runtime
        self.ca_der = ca_der
        self.successor: bytes | None = None
        """What vouches for the CA that is to succeed: a `Successor` in msgpack."""
        self._clock = clock
        self._in_flight_bytes = 0
        self._addresses: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        address = (scope.get("client") or ("", 0))[0]
        self._addresses[address] += 1
        lingers = False
        try:
            await self._route(scope, receive, send, address)
        except Refused as refused:
            await _problem(send, refused)
            lingers = self._addresses[address] <= MAX_PER_ADDRESS
        except Exception:
            log.exception("request failed")
            await _problem(send, Refused("busy", 503))
        finally:
            self._addresses[address] -= 1
            if self._addresses[address] <= 0:
                del self._addresses[address]
            self._in_flight_bytes -= scope.pop(HELD, 0)
        if lingers:
            await _linger(scope, receive)

    async def _route(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        if self._addresses[address] > MAX_PER_ADDRESS:
            raise Refused("busy", 503, "too many requests from this address at once")
        match scope["method"], scope["path"]:
            case "POST", "/v1/reports":
                await self._report(scope, receive, send)
            case "POST", "/v1/enrollments":
                await self._enroll(scope, receive, send, address)
            case "POST", "/v1/rotations":
                await self._rotate(scope, receive, send)
            case "GET", "/v1/key":
                await self._tell(scope, send)
            case "GET", "/v1/ca/next" if self.successor is not None:
                await _answer(send, 200, self.successor, b"application/msgpack")
            case "GET", "/v1/ca":
                date = format_datetime(self._clock(), usegmt=True).encode()  # an agent's self-test compares its clock
                await _answer(send, 200, self.ca_der, b"application/pkix-cert", (b"date", date))
            case _:
                raise Refused("not-found", 404)

    async def _report(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            key = await self._known_key(scope)
            body = await self._body(scope, receive, wire.MAX_WIRE_BYTES)
            started = time.perf_counter()
            received_at = self._clock()
            if len(body) <= SMALL_BYTES:
                admitted = admit(body, key, received_at)
            else:
                admitted = await asyncio.to_thread(admit, body, key, received_at)
            ack = await self._commit(admitted)
        except Refused as refused:
            self._runtime.reports.labels(outcome=_OUTCOMES.get(refused.status, "malformed")).inc()
            if refused.problem in ("revoked-key", "unknown-key"):
                self._keys.forget(_key_id(scope))
            raise
        self._runtime.ingest_duration.observe(time.perf_counter() - started)
        await _answer(send, 200, ack, wire.ACK_CONTENT_TYPE.encode())

    async def _known_key(self, scope: Scope) -> KnownKey:
        """Before the body is read."""
        key_id = _key_id(scope)
        known = self._keys.cached(key_id)
        if known is None:
            known = await self._asked(self._keys.find, key_id)
        if known is None:
            raise Refused("unknown-key", 401)
        return known

    async def _commit(self, admitted: Admitted) -> bytes:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | Refused] = loop.create_future()
        self._writer.submit(Waiting(admitted, loop, future))
        outcome = await future
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def _enroll(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        body = await self._body(scope, receive, wire.MAX_WIRE_BYTES)
        answer = await asyncio.to_thread(self._enrollment.request, body, address, self._clock())
        await _answer(send, 200 if answer.status == "enrolled" else 202, wire.encode(answer),
                      wire.ACK_CONTENT_TYPE.encode())  # fmt: skip

    async def _rotate(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = await self._known_key(scope)
        body = await self._body(scope, receive, wire.MAX_ROTATION_BYTES)
        answer = await asyncio.to_thread(self._rotations.request, body, key, self._clock())
        await _answer(send, 200, wire.encode(answer), wire.ACK_CONTENT_TYPE.encode())

    async def _tell(self, scope: Scope, send: Send) -> None:
        status = await self._asked(self._rotations.standing, _key_id(scope))
        await _answer(send, 200, wire.encode(wire.KeyAnswer(status=status)), wire.ACK_CONTENT_TYPE.encode())

    async def _asked(self, look_up: Callable[[bytes], T], key_id: bytes) -> T:
        try:
            return await asyncio.to_thread(look_up, key_id)
        except sa.exc.SQLAlchemyError:
            log.exception("cannot look up a key")
            raise Refused("busy", 503) from None

    async def _body(self, scope: Scope, receive: Receive, max_bytes: int) -> bytes:
        """The whole body within its limits of size and time; all bodies that are not yet answered are bounded, too."""
        announced = _header(scope, b"content-length")
        if announced is not None and (not announced.isdigit() or int(announced) > max_bytes):
            raise Refused("too-large", 413, f"the limit is {max_bytes} bytes")
        with _deadline(f"the body took longer than {wire.MAX_BODY_S:.0f} s"):
            return await self._chunks(scope, receive, max_bytes)

    async def _chunks(self, scope: Scope, receive: Receive, max_bytes: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused("malformed", 400, "the connection ended inside the body")
            chunk = message.get("body", b"")
            size += len(chunk)
            self._in_flight_bytes += len(chunk)
            scope[HELD] = size
            chunks.append(chunk)
            if size > max_bytes:
                raise Refused("too-large", 413, f"the limit is {max_bytes} bytes")
            if self._in_flight_bytes > wire.MAX_IN_FLIGHT_BYTES:
                raise Refused("busy", 503, "too many bytes in flight")
            if not message.get("more_body", False):
                scope[WHOLE] = True
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _deadline:  # noqa: N801 — used like a function
    """Refuses as slow what takes longer than a body may; a tenth of what `asyncio.timeout` costs every heartbeat."""

    def __init__(self, detail: str) -> None:
        self._detail = detail
        self._expired = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(wire.MAX_BODY_S, self._expire)

    def _expire(self) -> None:
        self._expired = True
        if self._task is not None:
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        self._timer.cancel()
        if self._expired and kind is asyncio.CancelledError and self._task is not None:
            self._task.uncancel()
            raise Refused("slow", 408, self._detail) from None


def _header(scope: Scope, name: bytes) -> bytes | None:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def _key_id(scope: Scope) -> bytes:
    value = _header(scope, wire.KEY_ID_HEADER.encode()) or b""
    try:
        found = bytes.fromhex(value.decode("ascii"))
    except ValueError:
        found = b""
    if len(found) != 16:
        raise Refused("unknown-key", 401, f"header {wire.KEY_ID_HEADER} is missing or no key id")
    return found


async def _answer(send: Send, status: int, body: bytes, content_type: bytes, *extra: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _problem(send: Send, refused: Refused) -> None:
    body = wire.problem(refused.problem, refused.status, refused.detail)
    extra = [(b"retry-after", b"%d" % RETRY_AFTER_S)] if refused.status == 503 else []
    if refused.status in (400, 401, 408, 413, 503):
        extra.append((b"connection", b"close"))
    await _answer(send, refused.status, body, wire.PROBLEM_CONTENT_TYPE.encode(), *extra)


async def _linger(scope: Scope, receive: Receive) -> None:
    """Until the sender is through, hangs up, or has had its time."""
    if scope["method"] != "POST" or WHOLE in scope:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            size = 0
            while size < LINGER_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
