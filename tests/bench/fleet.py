"""A fleet in a collector's own database: the recorded machines, many times over, each with other ports and updates.

Stored in bulk, judged by the collector's own functions; signed reports would tell the same and take far longer.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from nacl.signing import SigningKey
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.evaluate.ruleset import RuleSet
from secmon.rejudging import repair
from secmon.store.database import Database
from secmon.store.schema import (
    agent_keys,
    agents,
    contacts,
    dispatches,
    host_agents,
    host_attributes,
    hosts,
    section_versions,
    transitions,
)
from secmon.store.types import Instant
from secmon_agent import facts, wire
from secmon_agent.collect import collect
from secmon_agent.recorded import recorded_host

RECORDED = Path(__file__).parents[1] / "hosts"
ROLES, ZONES = ("office-pc", "server", "kiosk"), ("lgwan", "mynumber", "internet", "")
CHUNK = 500


class Speaker(Struct, frozen=True):
    """A machine of the fleet whose agent the driver speaks for."""

    seed: bytes
    stream: bytes
    state: bytes


def fill(database: Database, config: Config, rules: RuleSet, count: int, speaking: int) -> list[Speaker]:
    """Store `count` machines and judge them by `rules` for the first time; the first `speaking` of them can report."""
    recorded = [collect(recorded_host(path.parent)) for path in sorted(RECORDED.glob("*/host.json"))]
    now = datetime.now(UTC)
    speakers: list[Speaker] = []
    for start in range(0, count, CHUNK):
        with database.write() as connection:
            for number in range(start, min(start + CHUNK, count)):
                sections = dict(_varied(recorded[number % len(recorded)], number, now))
                speaker = _store(connection, number, sections, now)
                if number < speaking:
                    speakers.append(speaker)
    repair(database, rules, config, now)
    with database.write() as connection:  # nobody wants to be told of them all
        told = sa.select(transitions.c.transition_id, sa.literal(now, Instant), sa.literal("none"))
        connection.execute(sa.insert(dispatches).from_select(["transition_id", "decided_at", "outcome"], told))
    return speakers


def _varied(recorded: Mapping[str, wire.Section], number: int, now: datetime) -> Iterator[tuple[str, wire.Section]]:
    """Another port, another day on which its updates began to wait, and one update less on some."""
    for name, section in recorded.items():
        if name not in ("ports", "patches") or section.status != "ok" or section.data is msgspec.UNSET:
            yield name, section
            continue
        known = wire.decode_facts(name, section.data)
        if isinstance(known, facts.Ports) and known.listening is not msgspec.UNSET:
            more = facts.ListeningPort(protocol="tcp", address="0.0.0.0", port=20000 + number % 9000, reach="network")
            known = msgspec.structs.replace(known, listening=(*known.listening, more))
        if isinstance(known, facts.Patches) and known.pending is not msgspec.UNSET:
            since = now - timedelta(days=number % 60)
            waiting = [msgspec.structs.replace(each, pending_since=since) for each in known.pending]
            known = msgspec.structs.replace(known, pending=tuple(waiting[number % 2 :]))
        yield name, wire.ok_section(known, section.collected_at)


def _store(connection: Connection, number: int, sections: Mapping[str, wire.Section], now: datetime) -> Speaker:
    key = SigningKey(hashlib.sha256(f"fleet {number}".encode()).digest())
    host_id, agent_id, stream = uuid.uuid4(), uuid.uuid4(), hashlib.sha256(bytes(key)).digest()[:16]
    name, state = f"pc{number:05}", wire.state_digest(sections)
    said = {"zone": ZONES[number % len(ZONES)], "role": ROLES[number % len(ROLES)]}
    connection.execute(
        sa.insert(hosts).values(host_id=host_id, name=name, hostname=name, created_at=now, revision=1, state=state)
    )
    connection.execute(
        sa.insert(contacts).values(
            host_id=host_id, stream=stream, sequence=1, observed_at=now, received_at=now, collected_at=now,
            interval_s=900, boot_id=stream,
        )
    )  # fmt: skip
    connection.execute(
        sa.insert(host_attributes),
        [
            {"host_id": host_id, "name": name, "value": value, "valid_from": now, "recorded_at": now}
            for name, value in said.items()
            if value
        ],
    )
    connection.execute(sa.insert(agents).values(agent_id=agent_id, enrolled_at=now))
    connection.execute(
        sa.insert(agent_keys).values(
            key_id=wire.key_id(bytes(key.verify_key)), agent_id=agent_id, public_key=bytes(key.verify_key),
            valid_from=now,
        )
    )  # fmt: skip
    connection.execute(
        sa.insert(host_agents).values(host_id=host_id, agent_id=agent_id, valid_from=now, recorded_at=now)
    )
    connection.execute(
        sa.insert(section_versions),
        [
            {
                "host_id": host_id, "section": name, "revision": 1, "status": it.status, "reason": it.reason,
                "digest": it.digest, "data": None if it.data is msgspec.UNSET else it.data, "collected_at": now,
                "observed_from": now, "recorded_at": now,
            }
            for name, it in sections.items()
        ],
    )  # fmt: skip
    return Speaker(bytes(key), stream, state)
