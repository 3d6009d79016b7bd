"""What the office attested, in the database. A row is written once and withdrawn at most once."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.attestations.model import Answer, Attestation
from secmon.exceptions.model import fiscal_year
from secmon.store import turns
from secmon.store.schema import attestations

_DAYS: Final = ("attested_on", "due_on")


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be recorded."""

    question: str
    asked: str
    answer: Answer
    attested_on: date
    due_on: date
    post: str
    name: str
    evidence: str = ""


def add(connection: Connection, wanted: Wanted, *, actor: str, now: datetime) -> Attestation:
    """Enter it under the next number of the fiscal year in which it was attested."""
    lock(connection)
    record = Attestation(
        attestation_id=uuid.uuid4(),
        number=_next_number(connection, f"{fiscal_year(wanted.attested_on)}-A"),
        question=wanted.question,
        asked=wanted.asked,
        answer=wanted.answer,
        attested_on=wanted.attested_on,
        due_on=wanted.due_on,
        post=wanted.post,
        name=wanted.name,
        evidence=wanted.evidence,
        recorded_at=now,
        recorded_by=actor,
    )
    connection.execute(sa.insert(attestations).values(**_row(record)))
    return record


def withdraw(connection: Connection, record: Attestation, *, reason: str, actor: str, now: datetime) -> None:
    """It was entered wrongly, or turned out not to be so. Reports that were closed before keep it."""
    connection.execute(
        sa.update(attestations)
        .where(attestations.c.attestation_id == record.attestation_id, attestations.c.withdrawn_at.is_(None))
        .values(withdrawn_at=now, withdrawn_by=actor, withdrawn_reason=reason)
    )


def find(connection: Connection, number: str) -> Attestation | None:
    row = connection.execute(sa.select(attestations).where(attestations.c.number == number)).first()
    return None if row is None else _record(row)


def read_all(connection: Connection) -> list[Attestation]:
    """By day and time of entering."""
    order = (attestations.c.attested_on, attestations.c.recorded_at, attestations.c.number)
    return [_record(row) for row in connection.execute(sa.select(attestations).order_by(*order))]


def lock(connection: Connection) -> None:
    """SQLite has one writer anyway."""
    turns.take(connection, "attestations")


def _next_number(connection: Connection, prefix: str) -> str:
    used = connection.execute(
        sa.select(attestations.c.number).where(attestations.c.number.startswith(prefix))
    ).scalars()
    return f"{prefix}{max((int(number.removeprefix(prefix)) for number in used), default=0) + 1:02}"


def _row(record: Attestation) -> dict[str, object]:
    fields: dict[str, object] = {name: getattr(record, name) for name in record.__struct_fields__}
    return fields | {name: getattr(record, name).isoformat() for name in _DAYS}


def _record(row: Row[Any]) -> Attestation:
    values = dict(row._mapping)
    return Attestation(**values | {name: date.fromisoformat(values[name]) for name in _DAYS})
