"""Machines that forget themselves at every start enroll each time: which record goes on with whom.

A seat is one record, whose history goes on: the one with the same serial number, else the same asset number, else the
same name. Where serial numbers contradict each other the name decides only if its record has fallen silent: a virtual
desktop is made anew with another number each time, while two PCs that are on at once are two. Only records of pools are
taken over; one of any other machine waits for a person, as ever. Machine ids say nothing, all have that of their image.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from secmon.store import life
from secmon.store.hosts import POOL, attributes_of, in_pool, set_attribute
from secmon.store.schema import agents, contacts, enrollments, host_agents, hosts

SILENT_INTERVALS: Final = 2
SILENT: Final = timedelta(minutes=30)
"""A machine that was not heard of for so many of its intervals, and at least so long, is off."""

Evidence = Iterable[tuple[str, sa.ColumnElement[bool]]]
"""What may show that a host is the machine, the best first: what it is, and the hosts of which it is true."""


def place(
    connection: Connection, evidence: Evidence, serial: str | None, now: datetime
) -> tuple[uuid.UUID | None, uuid.UUID | None, str]:
    """(record that goes on, host that it collides with, by what); nothing at all for a seat that is new."""
    for what, same in evidence:
        rows = _records(connection, same)
        seat = next((row for row in rows if row.pool and _may_go_on(row, serial, now)), None)
        if seat is not None:
            return seat.host_id, None, ""
        other = next((row for row in rows if not row.pool), None)
        if other is not None:
            return None, other.host_id, f"same {what} as {other.name}"
    return None, None, ""


def take_seat(connection: Connection, host_id: uuid.UUID, attributes: Mapping[str, str], now: datetime) -> None:
    """The record goes on, out of retirement if need be. What the office has said of the seat meanwhile stays."""
    life.take_back(connection, host_id, now)
    said = attributes_of(connection, [host_id]).get(host_id, {})
    for name, value in attributes.items():
        if name == POOL or name not in said:
            set_attribute(connection, host_id, name, value, now)


def withdraw(connection: Connection, asked: Mapping[str, Any]) -> None:
    """The same machine waits already, under a key that it has forgotten."""
    connection.execute(
        sa.update(enrollments)
        .where(
            enrollments.c.status == "pending",
            enrollments.c.token_hash == asked["token_hash"],
            enrollments.c.hostname == asked["hostname"],
            enrollments.c.serial.is_not_distinct_from(asked["serial"]),
        )
        .values(status="refused", reason="asked again under another key", decided_at=asked["requested_at"],
                decided_by="collector")
    )  # fmt: skip


def _records(connection: Connection, same: sa.ColumnElement[bool]) -> list[Row[Any]]:
    """Hosts of which it is true, those that are in service first; retired ones of pools wait to be used again."""
    pool = in_pool(hosts.c.host_id)
    query = (
        sa.select(
            hosts.c.host_id,
            hosts.c.name,
            hosts.c.serial,
            hosts.c.retired_at,
            contacts.c.received_at,
            contacts.c.interval_s,
            agents.c.enrolled_at,
            pool.label("pool"),
        )
        .outerjoin(contacts, contacts.c.host_id == hosts.c.host_id)
        .outerjoin(host_agents, sa.and_(host_agents.c.host_id == hosts.c.host_id, host_agents.c.valid_to.is_(None)))
        .outerjoin(agents, agents.c.agent_id == host_agents.c.agent_id)
        .where(same, sa.or_(hosts.c.retired_at.is_(None), pool))
        .order_by(hosts.c.retired_at.is_not(None), hosts.c.created_at)
        .with_for_update(of=hosts, key_share=True)
    )
    return list(connection.execute(query))


def _may_go_on(record: Row[Any], serial: str | None, now: datetime) -> bool:
    if serial is None or record.serial is None or record.serial.lower() == serial.lower():
        return True
    heard = max(filter(None, (record.received_at, record.enrolled_at)), default=None)
    if heard is None or record.retired_at is not None:
        return True
    return bool(now - heard > max(SILENT, SILENT_INTERVALS * timedelta(seconds=record.interval_s or 0)))
