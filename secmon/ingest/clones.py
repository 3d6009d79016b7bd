"""Telling a cloned disk image from a restored machine: both make a stream fork, only a clone does so again and again.

A machine that lost or was given back an older state draws a new stream, and the one before falls silent. Of two
machines under one key each makes the other draw a new stream, so that streams which were superseded speak on, with
sequences that they never used before. One such return is a machine that was restored to where it once had been. Two
of two streams within a month, both in the very boot in which they were superseded, are two machines that run at the
same time; where each return came with a start of the machine, as when somebody goes back and forth between two
snapshots of a virtual machine, it takes four.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.engine import Connection, Row

from secmon.ingest.admission import Admitted
from secmon.ingest.sections import legible
from secmon.store import audit
from secmon.store.hosts import CLONE, set_attribute
from secmon.store.schema import hosts, streams
from secmon_agent import facts, wire
from secmon_agent.probes.placeholders import meaningful

WITHIN: Final = timedelta(days=30)
RETURNS_RUNNING: Final = 2
RETURNS: Final = 4
UNKNOWN: Final = "?"
_MAX_VALUE_CHARS: Final = 200


def machine_of(report: wire.Report) -> dict[str, str | None]:
    """Serial number and host name as section `host` says them: values of `streams`."""
    section = None if report.sections is UNSET else report.sections.get("host")
    said = facts.Host()
    if section is not None and section.data is not UNSET:
        try:
            decoded = wire.decode_facts("host", section.data)
        except wire.WireError:
            decoded = said
        said = decoded if isinstance(decoded, facts.Host) else said
    serial = UNSET if said.serial is UNSET else meaningful(said.serial)
    return {
        "serial": None if serial is UNSET else legible(serial)[:128],
        "hostname": None if said.hostname is UNSET else legible(said.hostname)[:255],
    }


def is_refused(connection: Connection, host: Row[Any], admitted: Admitted) -> bool:
    """The stream was found to be a clone's before; notes that it spoke again."""
    found = connection.execute(
        sa.update(streams)
        .where(*_this(host, admitted.report.stream), streams.c.refused_at.is_not(None))
        .values(refused_at=admitted.received_at)
    )
    return found.rowcount > 0


def weigh(connection: Connection, host: Row[Any], admitted: Admitted) -> bytes | None:
    """After a fork: the stream that is the clone's, once there is no doubt that there is one; otherwise None.

    `host` is a row of `host_state`. The clone's is the one whose machine says another serial number, else another host
    name, than the host enrolled with; where that tells nothing, the one that speaks now.
    """
    known = _known(connection, host, admitted)
    speaker = next((row for row in known if row.stream == admitted.report.stream), None)
    if speaker is None or not _returns(speaker, admitted.report):
        return None
    stayed_up = speaker.boot_id == admitted.report.boot_id
    connection.execute(
        sa.update(streams)
        .where(*_this(host, speaker.stream))
        .values(returned_at=admitted.received_at, stayed_up=stayed_up)
    )
    others = [row for row in known if row.stream != speaker.stream and _counts(row, admitted)]
    running = sum(row.stayed_up for row in others) + stayed_up
    if running < RETURNS_RUNNING and len(others) + 1 < RETURNS:
        return None
    current = next((row for row in known if row.superseded_at is None), None)
    if current is not None and _is_the_original(connection, host, speaker, current):
        return bytes(current.stream)
    return bytes(speaker.stream)


def _known(connection: Connection, host: Row[Any], admitted: Admitted) -> Sequence[Row[Any]]:
    """Streams of the agent that matter: the present one, the speaking one and those that came back."""
    mattering = sa.or_(
        streams.c.superseded_at.is_(None),
        streams.c.stream == admitted.report.stream,
        streams.c.returned_at >= admitted.received_at - WITHIN,
    )
    of_agent = (streams.c.host_id == host.host_id, streams.c.agent_id == admitted.key.agent_id)
    return connection.execute(sa.select(streams).where(*of_agent, mattering)).all()


def _returns(stream: Row[Any], report: wire.Report) -> bool:
    """It was superseded and goes on where it had stopped. An older sequence is what a restored machine says."""
    return (
        stream.superseded_at is not None and stream.last_sequence is not None and report.sequence > stream.last_sequence
    )


def _counts(stream: Row[Any], admitted: Admitted) -> bool:
    return (
        stream.returned_at is not None
        and stream.refused_at is None
        and stream.returned_at >= admitted.received_at - WITHIN
    )


def _is_the_original(connection: Connection, host: Row[Any], one: Row[Any], other: Row[Any]) -> bool:
    """Whether `one` says the machine that enrolled, and `other` another one."""
    enrolled = connection.execute(sa.select(hosts).where(hosts.c.host_id == host.host_id)).one()
    for what in ("serial", "hostname"):
        own, mine, others = (getattr(row, what) for row in (enrolled, one, other))
        if own and mine and others and _same(mine, own) != _same(others, own):
            return _same(mine, own)
    return False


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def note(connection: Connection, host: Row[Any], clone: bytes, admitted: Admitted) -> None:
    """Write down that `clone` is the stream of another machine; what showed it is used up."""
    now = admitted.received_at
    connection.execute(
        sa.update(streams)
        .where(streams.c.host_id == host.host_id, streams.c.agent_id == admitted.key.agent_id)
        .values(returned_at=None, stayed_up=None)
    )
    connection.execute(sa.update(streams).where(*_this(host, clone)).values(refused_at=now))
    row = connection.execute(
        sa.select(streams.c.hostname, streams.c.serial, hosts.c.name)
        .join(hosts, hosts.c.host_id == streams.c.host_id)
        .where(*_this(host, clone))
    ).one()
    set_attribute(connection, host.host_id, CLONE, _described(row.hostname, row.serial), now)
    detail = {"stream": clone.hex(), "hostname": row.hostname, "serial": row.serial}
    actor = f"agent:{admitted.key.key_id.hex()}"
    audit.write(connection, at=now, actor=actor, action="agent.clone", subject=row.name, detail=detail)


def _described(*names: str | None) -> str:
    said = " ".join(filter(None, names))
    shown = "".join(sign if sign.isprintable() and sign != "," else " " for sign in said)
    return " ".join(shown.split())[:_MAX_VALUE_CHARS] or UNKNOWN


def _this(host: Row[Any], stream: bytes) -> tuple[sa.ColumnElement[bool], ...]:
    return (streams.c.host_id == host.host_id, streams.c.stream == stream)
