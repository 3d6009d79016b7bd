"""When each machine was seen, kept over time: a contact is overwritten by the next, a month must still be told."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.store.schema import contacts, sightings


def record_sightings(connection: Connection, now: datetime) -> int:
    """Keep the newest contact of every machine that was seen since the last time; number of rows added.

    Called late in the evening of each day and before a report is made, so a month's end is told almost exactly and any
    other moment to within a day.
    """
    known = sa.exists().where(
        sightings.c.host_id == contacts.c.host_id, sightings.c.observed_at == contacts.c.observed_at
    )
    query = sa.select(contacts.c.host_id, contacts.c.observed_at, sa.literal(now, sightings.c.recorded_at.type)).where(
        contacts.c.received_at <= now, ~known
    )
    columns = ["host_id", "observed_at", "recorded_at"]
    added = sa.insert(sightings).from_select(columns, query).returning(sightings.c.host_id)
    return len(connection.execute(added).all())
