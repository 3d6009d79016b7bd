"""The archive: each report's canonical JSON, chained by hash, so that a changed or missing one is seen.

A month is closed once. The first report made after its end fixes the closing time; making it again returns the archived
model. What arrives later stands in the next report, as 訂正. Interim reports are not archived.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Row

from secmon.reports.model import MonthlyReport
from secmon.reports.month import Month
from secmon.store import turns
from secmon.store.schema import archived_reports

KIND = "monthly"
FIRST = bytes(32)
"""What the first report's hash is chained to."""

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(MonthlyReport).decode


class Archived(Struct, frozen=True, kw_only=True):
    model: bytes
    """Canonical JSON: keys sorted, UTF-8, no insignificant blanks."""
    hash: bytes | None
    """SHA-256(hash of the report before + model); None: interim, not archived."""
    created_at: datetime
    renderer: str

    @property
    def report(self) -> MonthlyReport:
        return _decode(self.model)


class Chain(Struct, frozen=True, kw_only=True):
    """The outcome of walking the archive from its oldest report."""

    reports: int
    begins_whole: bool
    """False: older reports were removed after their retention; the chain is whole from the oldest kept on."""
    broken: tuple[int, ...]
    """`report_id` of each report whose content or predecessor is not what its hash says."""


def canonical(report: MonthlyReport) -> bytes:
    return _encode(report)


def chain_hash(previous: bytes, model: bytes) -> bytes:
    return hashlib.sha256(previous + model).digest()


def find(connection: Connection, month: Month) -> Archived | None:
    row = connection.execute(
        sa.select(archived_reports)
        .where(archived_reports.c.kind == KIND, archived_reports.c.period == str(month))
        .order_by(archived_reports.c.report_id)
        .limit(1)
    ).first()
    return None if row is None else _archived(row)


def closing(connection: Connection, month: Month, known_at: datetime) -> datetime | None:
    """When the month was closed, if that was not after `known_at`."""
    return connection.execute(
        sa.select(sa.func.min(archived_reports.c.closed_at)).where(
            archived_reports.c.kind == KIND,
            archived_reports.c.period == str(month),
            archived_reports.c.closed_at <= known_at,
        )
    ).scalar()


def lock(connection: Connection) -> None:
    """Until this transaction ends nobody else adds to the archive. On SQLite a writer is alone anyway."""
    turns.take(connection, "archive")


def append(connection: Connection, report: MonthlyReport, *, created_at: datetime, renderer: str) -> Archived:
    """Add a final report; the caller holds the lock and has made sure that the month is not there."""
    previous = connection.execute(
        sa.select(archived_reports.c.hash).order_by(archived_reports.c.report_id.desc()).limit(1)
    ).scalar()
    model = canonical(report)
    archived = Archived(
        model=model, hash=chain_hash(previous or FIRST, model), created_at=created_at, renderer=renderer
    )
    connection.execute(
        sa.insert(archived_reports).values(
            kind=KIND,
            period=report.month,
            closed_at=report.closed_at,
            created_at=created_at,
            renderer=renderer,
            model=model,
            previous_hash=previous or FIRST,
            hash=archived.hash,
        )
    )
    return archived


def verify_chain(connection: Connection) -> Chain:
    """Walk the whole archive. Nothing is decoded, so reports of any version can be verified."""
    broken: list[int] = []
    previous: bytes | None = None
    first: bytes = FIRST
    number = 0
    for row in connection.execute(sa.select(archived_reports).order_by(archived_reports.c.report_id)):
        if previous is None:
            first = row.previous_hash
        elif row.previous_hash != previous:
            broken.append(row.report_id)
        if chain_hash(row.previous_hash, row.model) != row.hash and row.report_id not in broken:
            broken.append(row.report_id)
        previous = row.hash
        number += 1
    return Chain(reports=number, begins_whole=first == FIRST, broken=tuple(broken))


def _archived(row: Row[Any]) -> Archived:
    return Archived(model=row.model, hash=row.hash, created_at=row.created_at, renderer=row.renderer)
