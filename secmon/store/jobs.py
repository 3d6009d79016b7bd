"""Scheduled work claims its period once: the row and the effects of the work are one transaction."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from secmon.store.schema import jobs


def claim(connection: Connection, job: str, period: str, now: datetime) -> bool:
    """True when this transaction may do the work; it is done when the transaction commits, and undone when it fails.

    On PostgreSQL this waits for another process that is at it, and is False once that one has committed.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = insert(jobs).values(job=job, period=period, finished_at=now, detail="").on_conflict_do_nothing()
    return connection.execute(row.returning(jobs.c.job)).first() is not None


def finish(connection: Connection, job: str, period: str, now: datetime, detail: str) -> None:
    """Note in the claiming transaction how it went; `detail` is one line of English."""
    connection.execute(
        sa.update(jobs).where(jobs.c.job == job, jobs.c.period == period).values(finished_at=now, detail=detail)
    )


def last_period(connection: Connection, job: str) -> str | None:
    """The newest period that was done; periods of a job sort by their names."""
    return connection.execute(sa.select(sa.func.max(jobs.c.period)).where(jobs.c.job == job)).scalar()
