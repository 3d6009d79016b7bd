"""The present answers of every machine in service, read in small bites, as plain values for every format."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.evaluate.check import Check
from secmon.evaluate.model import Item, Severity, Text
from secmon.exceptions.borne import Borne, borne
from secmon.exceptions.model import COVERS, Register, standing
from secmon.rulebook import Rules
from secmon.store.database import Database
from secmon.store.exceptions import covers_of, register
from secmon.store.hosts import attributes_of
from secmon.store.results import items_of
from secmon.store.scanners import current, last_runs
from secmon.store.schema import assets, contacts, host_assets, hosts, results

BITE = 50
"""Machines read in one transaction."""


class Answer(Struct, frozen=True, kw_only=True):
    check: str
    status: str
    """As the machine's facts have it."""
    standing: str = ""
    """As it counts: `excepted` where an exception covers every failing item, `unknown` where it is disputed."""
    borne: tuple[Borne, ...] = ()
    since: datetime
    """Observed: since when the answer is what it is, in every detail."""
    cause: str
    ruleset: str
    reason: str = ""
    evidence: str = ""
    items: tuple[Item, ...] = ()


class Scanned(Struct, frozen=True, kw_only=True):
    """What another scanner said."""

    scanner: str
    rule: str
    title: str
    status: str
    said: str
    severity: str
    since: datetime
    observed_at: datetime | None = None
    """When the scanner last looked at the machine."""


class Machine(Struct, frozen=True, kw_only=True):
    host_id: uuid.UUID
    name: str
    asset_number: str | None
    attributes: Mapping[str, str]
    observed_at: datetime | None
    """Newest moment at which the facts are known to be true; None: never reported."""
    answers: tuple[Answer, ...]
    scanned: tuple[Scanned, ...] = ()


class CheckWords(Struct, frozen=True, kw_only=True):
    """A check as a reader elsewhere must know it."""

    id: str
    area: str
    title: Text
    severity: Severity
    controls: Mapping[str, tuple[str, ...]]
    """Framework → its controls that this check bears on."""


class Export(Struct, frozen=True, kw_only=True):
    format: str
    collector_id: uuid.UUID
    generation: int
    exported_at: datetime
    office: str
    ruleset: str
    checks: tuple[CheckWords, ...]
    machines: tuple[Machine, ...]


def checks_of(rules: Rules) -> tuple[CheckWords, ...]:
    return tuple(_words(check, rules) for check in rules.checks.checks.values())


def _words(check: Check, rules: Rules) -> CheckWords:
    controls = {
        framework.id: tuple(control.id for control in framework.controls_of(check.id)) for framework in rules.frameworks
    }
    return CheckWords(
        id=check.id,
        area=check.area,
        title=check.title,
        severity=check.severity,
        controls={name: ids for name, ids in controls.items() if ids},
    )


def machines(database: Database, now: datetime, tz: tzinfo) -> Iterator[Machine]:
    """In the order of names, under the exceptions and disputes that hold at `now`."""
    with database.read() as connection:
        query = sa.select(hosts.c.host_id).where(hosts.c.retired_at.is_(None)).order_by(hosts.c.name)
        ids = list(connection.execute(query).scalars())
    for start in range(0, len(ids), BITE):
        with database.read() as connection:
            bite = _bite(connection, ids[start : start + BITE], register(connection, now), tz)
        yield from bite


def _bite(connection: Connection, ids: list[uuid.UUID], held: Register, tz: tzinfo) -> list[Machine]:
    rows = connection.execute(
        sa.select(hosts.c.host_id, hosts.c.name, assets.c.asset_number, contacts.c.observed_at)
        .outerjoin(contacts, contacts.c.host_id == hosts.c.host_id)
        .outerjoin(host_assets, sa.and_(host_assets.c.host_id == hosts.c.host_id, host_assets.c.valid_to.is_(None)))
        .outerjoin(assets, assets.c.asset_id == host_assets.c.asset_id)
        .where(hosts.c.host_id.in_(ids))
        .order_by(hosts.c.name)
    ).all()
    attributes, scanned = attributes_of(connection, ids), _scanned(connection, ids)
    answers = _answers(connection, ids, attributes, held, tz)
    return [
        Machine(
            host_id=row.host_id,
            name=row.name,
            asset_number=row.asset_number,
            attributes=dict(sorted(attributes.get(row.host_id, {}).items())),
            observed_at=row.observed_at,
            answers=tuple(answers.get(row.host_id, ())),
            scanned=tuple(scanned.get(row.host_id, ())),
        )
        for row in rows
    ]


def _answers(
    connection: Connection,
    ids: list[uuid.UUID],
    attributes: Mapping[uuid.UUID, Mapping[str, str]],
    held: Register,
    tz: tzinfo,
) -> dict[uuid.UUID, list[Answer]]:
    found: dict[uuid.UUID, list[Answer]] = {}
    query = sa.select(results).where(results.c.host_id.in_(ids), results.c.observed_to.is_(None))
    for row in connection.execute(query.order_by(results.c.check_id)):
        items = items_of(row)
        covers = covers_of(row, items, held, attributes.get(row.host_id, {}))
        counts_as, reason = standing(row.status, items, {key: COVERS[each.kind] for key, each in covers.items()}.get)
        found.setdefault(row.host_id, []).append(
            Answer(
                check=row.check_id,
                status=row.status,
                standing=counts_as,
                borne=tuple(borne(key, record, tz) for key, record in sorted(covers.items())),
                since=row.observed_from,
                cause=row.cause,
                ruleset=row.ruleset,
                reason=reason or row.reason,
                evidence=row.evidence,
                items=items,
            )
        )
    return found


def _scanned(connection: Connection, ids: list[uuid.UUID]) -> dict[uuid.UUID, list[Scanned]]:
    found: dict[uuid.UUID, list[Scanned]] = {}
    runs = last_runs(connection, ids)
    for row in current(connection, ids):
        found.setdefault(row.host_id, []).append(
            Scanned(
                scanner=row.scanner,
                rule=row.rule,
                title=row.title,
                status=row.status,
                said=row.said,
                severity=row.severity,
                since=row.observed_from,
                observed_at=runs.get((row.host_id, row.scanner)),
            )
        )
    return found
