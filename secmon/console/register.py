"""Exceptions and disputes as a page lists them."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.config import Config
from secmon.exceptions.model import Record
from secmon.store.exceptions import count_covered, read_all
from secmon.store.schema import hosts


class Entry(Struct, frozen=True, kw_only=True):
    record: Record
    host: str
    """Name of the one machine; empty where it is about several."""
    last_day: date
    problems: int
    """Findings that it covers now."""

    def is_to_come(self, now: datetime) -> bool:
        """In force, or not begun yet."""
        return self.record.ended_at is None and now < self.record.valid_to


def read(connection: Connection, config: Config, now: datetime) -> list[Entry]:
    """The earliest end first, what was recorded up to now."""
    names = {row.host_id: row.name for row in connection.execute(sa.select(hosts.c.host_id, hosts.c.name))}
    problems = count_covered(connection)
    entries = [
        Entry(
            record=record,
            host=names.get(record.scope.host_id, "") if record.scope.host_id else "",
            last_day=record.last_day(config.tz),
            problems=problems.get(record.exception_id, 0),
        )
        for record in read_all(connection, now)
    ]
    return sorted(entries, key=lambda each: (each.record.valid_to, each.record.number))
