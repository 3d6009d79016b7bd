"""When each machine was seen, kept over time: a contact is overwritten by the next, a month must still be told."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.store.schema import contacts, sightings


def record_sightings(connection: Connection, now: datetime) -> int:
    """Keep the newest contact of every machine that was seen since the last time; number of rows added.

    Called once a day and before a report is made, so a past moment is told to within a day.
    """
    known = sa.exists().where(sightings.c.host_id == contacts.c.host_id, sightings.c.observed_at == contacts.c.observed_at)
    query = sa.select(contacts.c.host_id, contacts.c.observed_at, sa.literal(now, sightings.c.recorded_at.type)).where(~known)
    result = connection.execute(sa.insert(sightings).from_select(["host_id", "observed_at", "recorded_at"], query))
    return int(result.rowcount)
