"""The collector on one core: signed heartbeats and full reports per second with durable commits, and time to the Ack.

The driver has the other core. The baseline is the same server program with TLS that does nothing with what it gets.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import multiprocessing
import os
import socket
import ssl
import subprocess  # noqa: TID251 — the server that is measured is a process of its own
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import msgspec
import psutil
import uvloop
from msgspec import Struct
from nacl.signing import SigningKey

from secmon_agent import facts, wire
from tests.bench import vegeta
from tests.bench.figures import Figure, Note
from tests.bench.ingest_server import Known, Ready, sections

AGENTS = 400
KEPT_CONNECTIONS, FULL_CONNECTIONS = 400, 32
NEW_FEW, NEW_CONNECTIONS = 16, 64
"""At once. With 16 the rate asks how long one commit takes, with 64 how much a core can do."""
ROUNDS_KEPT, ROUNDS_NEW, ROUNDS_FULL = 60, 8, 2
CHECKOUT = Path(__file__).parents[2]
_Told = tuple[list[float], int]
"""Seconds that each request of a lane took, and how many were refused."""


class Measured(Struct, frozen=True):
    """One run of the driver: requests, seconds, and the sorted seconds each took."""

    seconds: float
    took: Sequence[float]
    refused: int
    server_cpu_s: float = 0.0
    driver_cpu_s: float = 0.0

    @property
    def cpu_us(self) -> float:
        """The server's processor time for each request, microseconds."""
        return self.server_cpu_s / len(self.took) * 1e6

    @property
    def allowed(self) -> float:
        """Requests a second that the server's processor time leaves room for on its core, were the driver no limit."""
        return max(self.rate, 1e6 / self.cpu_us)

    @property
    def rate(self) -> float:
        return len(self.took) / self.seconds

    def percentile_ms(self, part: float) -> float:
        return self.took[min(len(self.took) - 1, int(len(self.took) * part))] * 1000


def figures() -> Iterator[Figure | Note]:
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        yield Note(text="the collector is measured on Linux with two processors or more")
        return
    whole = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, whole - {0})
        yield from _measured()
    finally:
        os.sched_setaffinity(0, whole)


def _measured() -> Iterator[Figure | Note]:
    with tempfile.TemporaryDirectory() as folder:
        server, ready = _start("bare", Path(folder), 0)
        heartbeat = [_request(bytes(16), bytes(300))]
        baseline = {
            "kept connections": _drive(
                ready.port, [heartbeat * 60] * AGENTS, KEPT_CONNECTIONS, kept=True, pid=server.pid
            ),
            "new connections": _drive(
                ready.port, [heartbeat * 6] * AGENTS, NEW_CONNECTIONS, kept=False, pid=server.pid
            ),
        }
        _stop(server)
    with tempfile.TemporaryDirectory(dir=_disk()) as folder:
        server, ready = _start("collector", Path(folder), AGENTS)
        full = _Fleet(ready)
        _drive(ready.port, full.reports(1), FULL_CONNECTIONS, kept=True, pid=server.pid)
        runs = {
            ("full reports", "kept connections"): _drive(
                ready.port, full.reports(ROUNDS_FULL), FULL_CONNECTIONS, kept=True, pid=server.pid
            ),
            ("heartbeats", "kept connections"): _drive(
                ready.port, full.heartbeats(ROUNDS_KEPT), KEPT_CONNECTIONS, kept=True, pid=server.pid
            ),
            ("heartbeats", "new connections"): _drive(
                ready.port, full.heartbeats(ROUNDS_NEW), NEW_CONNECTIONS, kept=False, pid=server.pid
            ),
            ("heartbeats", "new connections, few"): _drive(
                ready.port, full.heartbeats(ROUNDS_NEW), NEW_FEW, kept=False, pid=server.pid
            ),
        }
        _stop(server)
    for how, run in baseline.items():
        yield Figure(measure=f"requests, {how}", subject="bare listener", value=run.rate, unit="/s")
    bars = {
        ("heartbeats", "kept connections"): 4000.0,
        ("heartbeats", "new connections"): 1200.0,
        ("full reports", "kept connections"): 100.0,
    }
    for (what, how), run in runs.items():
        bar = bars.get((what, how))
        yield Figure(measure=f"{what}, {how}", subject="secmon", value=run.rate, unit="/s", at_least=bar)
        if what == "heartbeats" and how in baseline:
            yield Figure(
                measure=f"requests, {how}", subject="secmon heartbeats", value=run.rate, unit="/s",
                against="bare listener",
            )  # fmt: skip
        for part in (0.5, 0.99):
            yield Figure(
                measure=f"time to the ack, {what}, {how}", subject=f"p{part * 100:g}",
                value=run.percentile_ms(part), unit="ms",
            )  # fmt: skip
        yield Figure(measure=f"server's processor time, {what}, {how}", subject="secmon", value=run.cpu_us, unit="µs")
        if how == "new connections":
            yield Figure(
                measure=f"{what}, {how}, that its core has time for", subject="secmon", value=run.allowed, unit="/s",
            )  # fmt: skip
            busy = min(1.0, run.driver_cpu_s / run.seconds)
            driver = "vegeta" if vegeta.found() else "a driver in Python"
            yield Note(
                text=f"with a new TLS connection for each, {driver} spent {busy:.0%} of its processor's time on its "
                "side of the handshakes; at 100% it is the limit"
            )
            if not vegeta.found():
                yield Note(text="vegeta (https://github.com/tsenart/vegeta), found on the PATH, would drive faster")
        if run.refused:
            yield Note(text=f"{run.refused} of {len(run.took)} {what} were refused: the figure does not count")


def _disk() -> Path:
    """Beside the checkout: a real disk, where a commit costs what it costs."""
    return CHECKOUT.parent


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────────────────────────


class _Fleet:
    """Seals requests ahead of time for every agent, so that the driver only sends."""

    def __init__(self, ready: Ready) -> None:
        self._agents = ready.agents
        self._keys = [SigningKey(each.seed) for each in ready.agents]
        self._sequence = itertools.count(1)
        self._sections = dict(sections())
        self._states: list[bytes] = []

    def reports(self, rounds: int) -> list[list[bytes]]:
        """Full reports, each of other ports than the one before; all sections come with their data."""
        requests: list[list[bytes]] = [[] for _ in self._agents]
        for _ in range(rounds):
            number = next(self._sequence)
            changed = {**self._sections, "ports": _ports(number)}
            state = wire.state_digest(changed)
            for agent, key, mine in zip(self._agents, self._keys, requests, strict=True):
                mine.append(self._seal(agent, key, number, state, changed))
            self._states = [state] * len(self._agents)
        return requests

    def heartbeats(self, rounds: int) -> list[list[bytes]]:
        requests: list[list[bytes]] = [[] for _ in self._agents]
        for _ in range(rounds):
            number = next(self._sequence)
            for agent, key, state, mine in zip(self._agents, self._keys, self._states, requests, strict=True):
                mine.append(self._seal(agent, key, number, state, None))
        return requests

    def _seal(
        self, agent: Known, key: SigningKey, number: int, state: bytes, said: Mapping[str, wire.Section] | None
    ) -> bytes:
        report = wire.Report(
            stream=agent.stream, sequence=number, boot_id=agent.stream, collected_at=datetime.now(UTC), interval_s=900,
            state=state, offset_s=0.0, sections=msgspec.UNSET if said is None else dict(said),
        )  # fmt: skip
        return _request(wire.key_id(bytes(key.verify_key)), wire.seal(wire.REPORT_TYPE, report, key))


def _ports(number: int) -> wire.Section:
    listening = [22, 80, 443, 5432, 8000 + number]
    return wire.ok_section(
        facts.Ports(
            listening=tuple(
                facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=port, reach="network", process="bench")
                for port in listening
            )
        ),
        datetime.now(UTC),
    )


def _request(key_id: bytes, body: bytes) -> bytes:
    head = (
        f"POST /v1/reports HTTP/1.1\r\nhost: localhost\r\n{wire.KEY_ID_HEADER}: {key_id.hex()}\r\n"
        f"content-type: {wire.CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# ── the driver ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _start(kind: str, folder: Path, count: int) -> tuple[subprocess.Popen[bytes], Ready]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(CHECKOUT / "agents"), str(CHECKOUT)))}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.ingest_server", kind, str(folder), str(count)],
        cwd=CHECKOUT, stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip
    assert server.stdout is not None
    return server, msgspec.json.decode(server.stdout.readline(), type=Ready)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.kill()
    server.wait()


def _drive(port: int, requests: Sequence[Sequence[bytes]], connections: int, *, kept: bool, pid: int) -> Measured:
    """Send each agent's requests in their order over so many connections at once, each with one request in flight.

    `pid` is the server's, whose processor time is read before and after.
    """
    lanes = [list(requests[number::connections]) for number in range(min(connections, len(requests)))]
    before, own_before = _cpu_s(pid), _own_cpu_s()
    if kept:
        measured = uvloop.run(_all_lanes(port, lanes))
    elif vegeta.found():
        measured = _vegeta(port, requests, connections)
    else:
        measured = _all_processes(port, lanes)
    return msgspec.structs.replace(measured, server_cpu_s=_cpu_s(pid) - before, driver_cpu_s=_own_cpu_s() - own_before)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _own_cpu_s() -> float:
    """Of this process and of those it has seen end."""
    return sum(os.times()[:4])


def _vegeta(port: int, requests: Sequence[Sequence[bytes]], connections: int) -> Measured:
    in_turn = [request for turn in zip(*requests, strict=True) for request in turn]
    with tempfile.TemporaryDirectory() as folder:
        return Measured(*vegeta.new_connections(port, in_turn, connections, Path(folder)))


def _all_processes(port: int, lanes: Sequence[Sequence[Sequence[bytes]]]) -> Measured:
    """A process for each lane: an event loop's TLS costs the driver more than the handshake costs the server."""
    context = multiprocessing.get_context("fork")
    started = context.Barrier(len(lanes) + 1)
    with contextlib.closing(context.SimpleQueue()) as answers:
        drivers = [
            context.Process(target=_new_connections, args=(port, number, lane, started, answers), daemon=True)
            for number, lane in enumerate(lanes)
        ]
        for driver in drivers:
            driver.start()
        started.wait()
        began = time.perf_counter()
        told = [answers.get() for _ in drivers]
        seconds = time.perf_counter() - began
        for driver in drivers:
            driver.join()
    return Measured(seconds, sorted(each for took, _ in told for each in took), sum(refused for _, refused in told))


def _new_connections(
    port: int, number: int, agents: Sequence[Sequence[bytes]], started: Barrier, answers: SimpleQueue[_Told]
) -> None:
    started.wait()
    took, refused = [], 0
    for turn in zip(*agents, strict=True):
        for request in turn:
            began = time.perf_counter()
            with (
                socket.create_connection(("127.0.0.1", port), source_address=(_source(number), 0)) as plain,
                _context().wrap_socket(plain) as tls,
            ):
                tls.sendall(request)
                refused += not tls.recv(1 << 14).startswith(b"HTTP/1.1 200 ")
            took.append(time.perf_counter() - began)
    answers.put((took, refused))


async def _all_lanes(port: int, lanes: Sequence[Sequence[Sequence[bytes]]]) -> Measured:
    took: list[float] = []
    statuses: list[bytes] = []
    started = time.perf_counter()
    await asyncio.gather(*(_lane(port, number, lane, took, statuses) for number, lane in enumerate(lanes)))
    seconds = time.perf_counter() - started
    return Measured(seconds, sorted(took), len(statuses) - statuses.count(b"200"))


async def _lane(
    port: int, number: int, agents: Sequence[Sequence[bytes]], took: list[float], statuses: list[bytes]
) -> None:
    source = (_source(number), 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_context(), local_addr=source)
    for turn in zip(*agents, strict=True):
        for request in turn:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            statuses.append(head[9:12])
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.perf_counter() - started)
    writer.close()


def _source(number: int) -> str:
    """Another loopback address for each lane: the collector bounds what one address may do at once."""
    return f"127.0.0.{2 + number % 250}"


@functools.cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
