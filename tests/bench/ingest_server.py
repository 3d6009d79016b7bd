"""The processes that `bench_ingest` drives, pinned to one core: a whole collector, and a listener that does nothing.

`python -m tests.bench.ingest_server collector FOLDER AGENTS` prints a line of JSON once it listens: the port, and key
and stream of each enrolled agent. `… bare FOLDER 0` prints the port alone.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from nacl.signing import SigningKey

from secmon import certificates
from secmon.app import Collector
from secmon.config import Config, Console, Ingest
from secmon.ingest.server import IngestListener
from secmon.serving import bind
from secmon.store.hosts import create_host
from secmon.store.schema import agent_keys, agents, host_agents
from secmon_agent import wire
from secmon_agent.collect import collect
from secmon_agent.recorded import recorded_host
from tests.support.office import ZONES

HOST = Path(__file__).parents[1] / "hosts" / "debian-12"


class Known(Struct, frozen=True):
    """An enrolled agent that the driver speaks for."""

    seed: bytes
    stream: bytes


class Ready(Struct, frozen=True):
    port: int
    agents: tuple[Known, ...] = ()


def sections() -> Mapping[str, wire.Section]:
    """What a real Debian server says, from the recording."""
    return collect(recorded_host(HOST))


def main(kind: str, folder: Path, count: int) -> None:
    os.sched_setaffinity(0, {0})
    ready = _collector(folder, count) if kind == "collector" else _bare(folder)
    sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
    sys.stdout.flush()
    threading.Event().wait()


def _config(folder: Path) -> Config:
    address = "127.0.0.1:0"
    return Config(data_dir=str(folder), ingest=Ingest(address=address), console=Console(address=address), zones=ZONES)


def _collector(folder: Path, count: int) -> Ready:
    collector = Collector(_config(folder))
    started = collector.start()
    now = collector.clock()
    known = []
    with collector.database.write() as connection:
        for number in range(count):
            key = SigningKey(hashlib.sha256(f"bench {number}".encode()).digest())
            agent_id = uuid.uuid4()
            host_id = create_host(connection, hostname=f"pc{number}", now=now, attributes={"zone": "lgwan"})
            connection.execute(sa.insert(agents).values(agent_id=agent_id, enrolled_at=now))
            connection.execute(
                sa.insert(agent_keys).values(
                    key_id=wire.key_id(bytes(key.verify_key)), agent_id=agent_id,
                    public_key=bytes(key.verify_key), valid_from=now,
                )
            )  # fmt: skip
            connection.execute(
                sa.insert(host_agents).values(host_id=host_id, agent_id=agent_id, valid_from=now, recorded_at=now)
            )
            known.append(Known(bytes(key), hashlib.sha256(bytes(key)).digest()[:16]))
    return Ready(started.ingest[1], tuple(known))


def _bare(folder: Path) -> Ready:
    """The same server program and TLS, an application that reads the body and says yes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    found = certificates.ensure(_config(folder), datetime.now(UTC))
    listener = IngestListener(app, bind("127.0.0.1:0", "ingest"), found)
    listener.start()
    return Ready(listener.address[1])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
