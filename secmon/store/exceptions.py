"""The register of exceptions and disputes in the database. A row is written once and ended at most once."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.engine import Connection, Row

from secmon.evaluate.model import Item, Standing
from secmon.exceptions.model import COVERED, Cover, Kind, Record, Register, Scope, failing_items, standing
from secmon.store import turns
from secmon.store.results import decode_items
from secmon.store.schema import asset_findings, exceptions, findings, results

_LETTERS: Final[Mapping[Kind, str]] = {"exception": "E", "dispute": "D"}


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be recorded."""

    kind: Kind
    scope: Scope
    reason: str
    measure: str = ""
    approver: str = ""
    valid_from: datetime
    valid_to: datetime


def add(connection: Connection, wanted: Wanted, *, year: int, actor: str, now: datetime) -> Record:
    """Enter it under the next number of the fiscal year `year`."""
    lock(connection)
    record = Record(
        exception_id=uuid.uuid4(),
        number=_next_number(connection, f"{year}-{_LETTERS[wanted.kind]}"),
        kind=wanted.kind,
        scope=wanted.scope,
        reason=wanted.reason,
        measure=wanted.measure,
        approver=wanted.approver,
        valid_from=wanted.valid_from,
        valid_to=wanted.valid_to,
        recorded_at=now,
        recorded_by=actor,
    )
    connection.execute(sa.insert(exceptions).values(**_row(record)))
    return record


def end(connection: Connection, record: Record, *, reason: str, actor: str, now: datetime) -> None:
    """It covers nothing from now on. What it covered until now stays covered in every report of that time."""
    connection.execute(
        sa.update(exceptions)
        .where(exceptions.c.exception_id == record.exception_id, exceptions.c.ended_at.is_(None))
        .values(ended_at=now, ended_by=actor, ended_reason=reason)
    )


def move(connection: Connection, source: uuid.UUID, target: uuid.UUID, *, actor: str, now: datetime) -> None:
    """Two records of machines turned out to be one: what is about `source` alone is entered anew for `target`."""
    lock(connection)
    for record in _of_host(connection, source, now):
        wanted = Wanted(
            kind=record.kind,
            scope=replace(record.scope, host_id=target),
            reason=record.reason,
            measure=record.measure,
            approver=record.approver,
            valid_from=max(record.valid_from, now),
            valid_to=record.valid_to,
        )
        add(connection, wanted, year=int(record.number.partition("-")[0]), actor=actor, now=now)


def end_of_host(connection: Connection, host_id: uuid.UUID, *, reason: str, actor: str, now: datetime) -> None:
    """The machine is history, and what was about it alone with it."""
    for record in _of_host(connection, host_id, now):
        end(connection, record, reason=reason, actor=actor, now=now)


def _of_host(connection: Connection, host_id: uuid.UUID, now: datetime) -> list[Record]:
    """In force or to come."""
    query = sa.select(exceptions).where(
        exceptions.c.host_id == host_id, exceptions.c.valid_to > now, exceptions.c.ended_at.is_(None)
    )
    return [_record(row) for row in connection.execute(query.order_by(exceptions.c.number))]


def find(connection: Connection, number: str) -> Record | None:
    row = connection.execute(sa.select(exceptions).where(exceptions.c.number == number)).first()
    return None if row is None else _record(row)


def read_all(connection: Connection, known_at: datetime | None = None) -> list[Record]:
    """By number; with `known_at` only those that were recorded by then."""
    query = sa.select(exceptions).order_by(exceptions.c.number)
    if known_at is not None:
        query = query.where(exceptions.c.recorded_at <= known_at)
    return [_record(row) for row in connection.execute(query)]


def register(connection: Connection, at: datetime, known_at: datetime | None = None) -> Register:
    """What holds at `at`, as it was known at `known_at`."""
    query = sa.select(exceptions).where(exceptions.c.valid_from <= at, exceptions.c.valid_to > at)
    records = (_record(row) for row in connection.execute(query))
    return Register(record for record in records if record.holds(at, known_at))


def covers_of(
    row: Row[Any], items: Sequence[Item], borne: Register, attributes: Mapping[str, str]
) -> dict[str, Record]:
    """Of a row of `results` whose check fails: by failing item the record that covers it."""
    if row.status != "fail" or row.check_id not in borne.checks:
        return {}
    found = {key: borne.find(row.host_id, attributes, row.check_id, key) for key in failing_items(items)}
    return {key: record for key, record in found.items() if record is not None}


def lock(connection: Connection) -> None:
    """SQLite has one writer anyway."""
    turns.take(connection, "exceptions")


def _next_number(connection: Connection, prefix: str) -> str:
    used = connection.execute(sa.select(exceptions.c.number).where(exceptions.c.number.startswith(prefix))).scalars()
    return f"{prefix}{max((int(number.removeprefix(prefix)) for number in used), default=0) + 1:02}"


def _row(record: Record) -> dict[str, object]:
    fields: dict[str, object] = {name: getattr(record, name) for name in record.__struct_fields__ if name != "scope"}
    scope = {name: getattr(record.scope, name) for name in record.scope.__struct_fields__ if name != "check"}
    return fields | scope | {"check_id": record.scope.check}


def _record(row: Row[Any]) -> Record:
    values = dict(row._mapping)
    scope = {name: values.pop(name) for name in Scope.__struct_fields__ if name != "check"}
    return Record(scope=Scope(check=values.pop("check_id"), **scope), **values)


# ── how present answers stand ─────────────────────────────────────────────────────────────────────────────────────────

Place = tuple[uuid.UUID, str]
"""Machine and check."""


def is_covered(table: sa.Table = findings) -> sa.ColumnElement[bool]:
    """Of a query over `findings` or `asset_findings`: unresolved, and somebody said that it is borne with."""
    return sa.and_(table.c.resolved_at.is_(None), table.c.exception_id.is_not(None))


def count_covered(connection: Connection) -> Mapping[uuid.UUID, int]:
    """By exception or dispute, how many findings it covers now, those of assets among them."""
    counts: Counter[uuid.UUID] = Counter()
    for table in (findings, asset_findings):
        query = sa.select(table.c.exception_id, sa.func.count()).where(is_covered(table))
        counts.update({row[0]: row[1] for row in connection.execute(query.group_by(table.c.exception_id))})
    return counts


def is_due(table: sa.Table = findings) -> sa.ColumnElement[bool]:
    """Of a query over `findings` or `asset_findings`: unresolved, and something is to be done about it."""
    return sa.and_(table.c.resolved_at.is_(None), table.c.exception_id.is_(None))


def softened(
    connection: Connection, host_ids: Iterable[uuid.UUID] | None = None, checks: Collection[str] | None = None
) -> Mapping[Place, tuple[Standing, str]]:
    """Present answers that fail and yet count as excepted or unknown, and why these are unknown."""
    borne = sa.select(findings.c.host_id, findings.c.check_id).where(is_covered()).distinct().subquery()
    here = sa.and_(results.c.host_id == borne.c.host_id, results.c.check_id == borne.c.check_id)
    query = (
        sa.select(results.c.host_id, results.c.check_id, results.c["items"], findings.c["item"], findings.c.state)
        .join(borne, here)
        .join(findings, sa.and_(findings.c.host_id == results.c.host_id, findings.c.check_id == results.c.check_id))
        .where(results.c.observed_to.is_(None), results.c.status == "fail", findings.c.resolved_at.is_(None))
    )
    if host_ids is not None:
        query = query.where(results.c.host_id.in_(list(host_ids)))
    if checks is not None:
        query = query.where(results.c.check_id.in_(sorted(checks)))
    covers: defaultdict[Place, dict[str, Cover]] = defaultdict(dict)
    failing: dict[Place, str] = {}
    for row in connection.execute(query).all():
        place = (row.host_id, row.check_id)
        failing[place] = row[2]
        if row.state in COVERED:
            covers[place][row.item] = row.state
    found: dict[Place, tuple[Standing, str]] = {}
    for place, items in failing.items():
        counts_as, reason = standing("fail", decode_items(items), covers[place].get)
        if counts_as != "fail":
            found[place] = (counts_as, reason or "")
    return found
