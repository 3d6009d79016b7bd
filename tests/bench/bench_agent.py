"""The agent's full cycle, a fresh process each, side by side with the two inventory agents that Debian ships.

Ours reads, signs, keeps and hands over to a collector over TLS; the others only inventory, into a file. *Cold*: nothing
cached, everything sent. *Warm*: nothing changed since the cycle before, as every quarter of an hour. *Idle*: what stays
in memory between two cycles of the resident agent, and how often it wakes. *Bytes*: what one warm cycle puts on the
wire, 96 times, TLS included and without TCP's own headers.

Ours is measured as its package installs it: the system's interpreter (where it has one of this version) without the
`site` module, and a folder that holds the agent and its dependencies alone, with the byte code compiled before the
first measurement.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import statistics
import subprocess  # noqa: TID251 - a bench starts the programs that it measures
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
from msgspec.structs import replace

from tests.agents.installed import installed_agent
from tests.agents.server import Collector
from tests.bench.child import Cost, cost
from tests.bench.figures import Figure, Note

ROUNDS = 5
PEERS = {
    "ocsinventory-agent": ["ocsinventory-agent", "--local={folder}", "--force"],
    "fusioninventory-agent": ["fusioninventory-agent", "--local={folder}", "--force"],
}
COLD, WARM, IDLE = "secmon-agent, cold", "secmon-agent, warm", "secmon-agent, idle"
IDLE_S = 10.0
CYCLES_A_DAY = 96


def figures() -> Iterator[Figure | Note]:
    if sys.platform != "linux":
        yield Note(text="the agent's cycle is measured on Linux only")
        return
    peers = [name for name in PEERS if shutil.which(name)]
    for name in PEERS.keys() - set(peers):
        yield Note(text=f"{name} is not installed, so nothing is held against it (apt-get install {name})")
    if os.geteuid() != 0:
        yield Note(text="not run as root: every agent here reads less than it would on duty")
    costs = _measured(peers)
    cpu = {name: statistics.median(each.cpu_s for each in several) for name, several in costs.items()}
    peak = {name: statistics.median(each.peak_bytes for each in several) / 2**20 for name, several in costs.items()}
    for name in peers:
        yield Figure(measure="agent CPU", subject=name, value=cpu[name], unit="s")
    yield Figure(
        measure="agent CPU", subject=COLD, value=cpu[COLD], unit="s", against="ocsinventory-agent", at_most=1.0
    )
    yield Figure(
        measure="agent CPU", subject=WARM, value=cpu[WARM], unit="s", against="fusioninventory-agent", at_most=0.2
    )
    yield Figure(measure="agent CPU, by itself", subject=WARM, value=cpu[WARM], unit="s", at_most=0.1)
    for name in peers:
        yield Figure(measure="agent peak memory", subject=name, value=peak[name], unit="MiB")
    for name in (COLD, WARM):
        yield Figure(measure="agent peak memory", subject=name, value=peak[name], unit="MiB", at_most=40.0)
    yield from _at_rest()


def _at_rest() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, Collector() as collector, Relay(collector.port) as relay:
        program, state_dir = installed_agent(Path(folder) / "installed"), Path(folder) / "state"
        _run(program, state_dir, "enroll", str(replace(collector.invitation(), port=relay.port)))
        for _ in range(3):
            before = relay.both()
            _run(program, state_dir, "once")
        sent, received = ((now - then) * CYCLES_A_DAY / 1024 for now, then in zip(relay.both(), before, strict=True))
        with psutil.Popen([program, "run", "--now", "--state-dir", state_dir], stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            process.stderr.readline()
            while process.children():
                time.sleep(0.1)
            time.sleep(0.5)
            woken, memory = sum(process.num_ctx_switches()), process.memory_full_info()
            time.sleep(IDLE_S)
            woken = sum(process.num_ctx_switches()) - woken
            process.terminate()
    for kind, size in (("RSS", memory.rss), ("PSS", memory.pss)):
        bar = 20.0 if kind == "RSS" else None
        yield Figure(measure=f"agent memory, {kind}", subject=IDLE, value=size / 2**20, unit="MiB", at_most=bar)
    yield Figure(measure=f"agent wake-ups in {IDLE_S:g} s", subject=IDLE, value=woken, unit="times", at_most=0.0)
    yield Figure(measure="agent bytes sent a day", subject=WARM, value=sent, unit="KiB", at_most=192.0)
    yield Figure(measure="agent bytes received a day", subject=WARM, value=received, unit="KiB")


def _measured(peers: list[str]) -> dict[str, list[Cost]]:
    """Costs of each, one after the other in every round, so that a busy moment of the machine meets all alike."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, Collector() as collector:
        program = installed_agent(Path(folder) / "installed")
        _cycle(program, Path(folder) / "first", collector)  # fills the page cache and compiles
        for number in range(ROUNDS):
            for name in peers:
                into = Path(folder) / f"{name}-{number}"
                into.mkdir()
                costs[name].append(cost([part.format(folder=into) for part in PEERS[name]]))
            cold, warm = _cycle(program, Path(folder) / f"state-{number}", collector)
            costs[COLD].append(cold)
            costs[WARM].append(warm)
    return costs


def _run(program: Path, state_dir: Path, *arguments: str) -> Cost:
    return cost([str(program), *arguments, "--state-dir", str(state_dir)])


def _cycle(program: Path, state_dir: Path, collector: Collector) -> tuple[Cost, Cost]:
    """A newly enrolled agent's first cycle, and a later one when all has settled."""
    collector.sections = {}
    _run(program, state_dir, "enroll", str(collector.invitation()))
    cold = _run(program, state_dir, "once")
    _run(program, state_dir, "once")
    return cold, _run(program, state_dir, "once")


class Relay:
    """Passes connections on to a port of this machine and counts the bytes of both directions."""

    def __init__(self, port: int) -> None:
        self._counts = {"sent": 0, "received": 0}
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Relay:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for ends in ((client, server, "sent"), (server, client, "received")):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def both(self) -> tuple[int, int]:
        """Bytes sent and received by those who connected."""
        return self._counts["sent"], self._counts["received"]

    def _pump(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._counts[way] += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
