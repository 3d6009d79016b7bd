"""Entering exceptions and disputes as the commands do, at any moment of a test."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from secmon.exceptions.model import Kind, Record, Scope, begins, ends, fiscal_year
from secmon.store import exceptions
from secmon.store.schema import findings, transitions
from secmon.store.settling import settle
from tests.support.office import Office

TELNET = "ports.exposed-high-risk"


def enter(
    office: Office,
    scope: Scope,
    now: datetime,
    *,
    kind: Kind = "exception",
    first: date = date(2026, 4, 1),
    last: date = date(2027, 3, 31),
) -> Record:
    wanted = exceptions.Wanted(
        kind=kind,
        scope=scope,
        reason="後継機の納品待ち",
        measure="通信を庁内に限定",
        approver="総務課長" if kind == "exception" else "",
        valid_from=begins(first, office.config.tz),
        valid_to=ends(last, office.config.tz),
    )
    with office.database.write() as connection:
        record = exceptions.add(connection, wanted, year=fiscal_year(first), actor="test", now=now)
        settle(connection, now, "attributes")
    return record


def take_back(office: Office, record: Record, now: datetime) -> None:
    with office.database.write() as connection:
        exceptions.end(connection, record, reason="不要になった", actor="test", now=now)
        settle(connection, now, "attributes")


def pass_midnight(office: Office, now: datetime) -> int:
    """What the job `exceptions` does."""
    with office.database.write() as connection:
        return settle(connection, now, "time")


def state_of(office: Office, item: str) -> str:
    with office.database.read() as connection:
        query = sa.select(findings.c.state).where(findings.c.item == item).order_by(findings.c.opened_at.desc())
        return str(connection.execute(query.limit(1)).scalar_one())


def happened(office: Office, item: str) -> list[Row[Any]]:
    """(event, cause) of the item's transitions, in order."""
    columns = (transitions.c.event, transitions.c.cause, transitions.c.observed_at)
    with office.database.read() as connection:
        query = sa.select(*columns).where(transitions.c.item == item).order_by(transitions.c.transition_id)
        return list(connection.execute(query))
