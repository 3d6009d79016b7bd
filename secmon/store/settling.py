"""Findings follow the register: what a record covers becomes excepted or disputed, and open again when it no longer is.

`findings.state` is the present only. What a past month says is told from the records themselves, which are intervals.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from secmon.exceptions.model import COVERS, Record, Register
from secmon.store import exceptions as store
from secmon.store.hosts import attributes_of
from secmon.store.results import DUE_DAYS, Cause, Judged, write_transitions
from secmon.store.schema import exceptions as table
from secmon.store.schema import findings, hosts

_CHUNK: Final = 200
_Event = tuple[str, str, str, uuid.UUID, str, str]


def settle_judged(connection: Connection, judged: Collection[Judged]) -> None:
    """Machines that were just judged, locked by the caller. Where nothing is excepted this costs one look."""
    together: defaultdict[tuple[datetime, Cause], list[uuid.UUID]] = defaultdict(list)
    for each in judged:
        together[each.recorded_at, each.cause].append(each.host_id)
    for (now, cause), host_ids in together.items():
        register = store.register(connection, now)
        if register:
            _settle(connection, register, host_ids, now, cause)


def settle(connection: Connection, now: datetime, cause: Cause) -> int:
    """Every machine: after the register changed, and once a day since records begin and end. Findings that changed."""
    register = store.register(connection, now)
    concerned = (
        sa.select(findings.c.host_id)
        .where(
            findings.c.resolved_at.is_(None),
            sa.or_(findings.c.check_id.in_(sorted(register.checks)), findings.c.exception_id.is_not(None)),
        )
        .distinct()
        .order_by(findings.c.host_id)
    )
    host_ids = list(connection.execute(concerned).scalars())
    changed = 0
    for start in range(0, len(host_ids), _CHUNK):
        some = host_ids[start : start + _CHUNK]
        wanted = sa.select(hosts.c.host_id).where(hosts.c.host_id.in_(some)).order_by(hosts.c.host_id)
        connection.execute(wanted.with_for_update(key_share=True))
        changed += _settle(connection, register, some, now, cause)
    return changed


def _settle(
    connection: Connection, register: Register, host_ids: Collection[uuid.UUID], now: datetime, cause: Cause
) -> int:
    rows = connection.execute(
        sa.select(findings).where(
            findings.c.host_id.in_(host_ids),
            findings.c.resolved_at.is_(None),
            sa.or_(findings.c.check_id.in_(sorted(register.checks)), findings.c.exception_id.is_not(None)),
        )
    ).all()
    attributes = attributes_of(connection, {row.host_id for row in rows})
    moves: list[tuple[Row[Any], Record | None]] = []
    for row in rows:
        record = register.find(row.host_id, attributes.get(row.host_id, {}), row.check_id, row.item)
        if (record and record.exception_id) != row.exception_id:
            moves.append((row, record))
    lapsed = _lapsed(connection, {row.exception_id for row, record in moves if record is None}, now)
    events: defaultdict[tuple[uuid.UUID, Cause, datetime], list[_Event]] = defaultdict(list)
    for row, record in moves:
        if record is None:
            ended = lapsed.get(row.exception_id)
            key = (row.host_id, cause, now) if ended is None else (row.host_id, "time", ended)
            events[key].append(_reopen(connection, row, now))
        elif row.state != COVERS[record.kind]:  # otherwise one record takes over from another of its kind
            event = (COVERS[record.kind], row.check_id, row.item, row.finding_id, row.severity, record.number)
            events[row.host_id, "attributes", now].append(event)
    _cover(connection, moves)
    for (host_id, why, at), those in events.items():
        zone = attributes.get(host_id, {}).get("zone", "")
        write_transitions(connection, _circumstances(host_id, why, at, now, zone), those)
    _touch(connection, {row.host_id for row, _ in moves})
    return len(moves)


def _cover(connection: Connection, moves: Collection[tuple[Row[Any], Record | None]]) -> None:
    """One statement for each record: a zone may hold thousands of machines."""
    covered: defaultdict[tuple[str, uuid.UUID], list[uuid.UUID]] = defaultdict(list)
    host_ids = {row.host_id for row, _ in moves}
    for row, record in moves:
        if record is not None:
            covered[COVERS[record.kind], record.exception_id].append(row.finding_id)
    for (state, exception_id), ids in covered.items():
        connection.execute(
            sa.update(findings)
            .where(findings.c.host_id.in_(host_ids), findings.c.finding_id.in_(ids))
            .values(state=state, exception_id=exception_id)
        )


def _reopen(connection: Connection, row: Row[Any], now: datetime) -> _Event:
    """It is news again: with the time that a new one has, and unknown to whoever had acknowledged it."""
    due_at = max(row.due_at, now + timedelta(days=DUE_DAYS.get(row.severity, DUE_DAYS["medium"])))
    _update(connection, row, state="open", exception_id=None, due_at=due_at, acknowledged_at=None, acknowledged_by=None)
    return ("reopened", row.check_id, row.item, row.finding_id, row.severity, row.evidence)


def _update(connection: Connection, row: Row[Any], **values: object) -> None:
    connection.execute(
        sa.update(findings)
        .where(findings.c.host_id == row.host_id, findings.c.finding_id == row.finding_id)
        .values(**values)
    )


def _lapsed(connection: Connection, ids: Collection[uuid.UUID], now: datetime) -> Mapping[uuid.UUID, datetime]:
    """Of these records those whose time is over, with the moment: nobody took them back."""
    query = sa.select(table.c.exception_id, table.c.valid_to).where(
        table.c.exception_id.in_(ids), table.c.valid_to <= now, table.c.ended_at.is_(None)
    )
    return {row.exception_id: row.valid_to for row in connection.execute(query)}


def _touch(connection: Connection, host_ids: Iterable[uuid.UUID]) -> None:
    """What is remembered of these machines' answers is read again."""
    connection.execute(
        sa.update(hosts).where(hosts.c.host_id.in_(list(host_ids))).values(revision=hosts.c.revision + 1)
    )


def _circumstances(host_id: uuid.UUID, cause: Cause, at: datetime, now: datetime, zone: str) -> Judged:
    return Judged(host_id=host_id, revision=0, cause=cause, observed_at=at, recorded_at=now, ruleset="", zone=zone)
