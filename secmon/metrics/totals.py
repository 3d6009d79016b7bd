"""Counters over append-only transitions that neither restart from 0 nor read the whole history at each scrape."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.store.schema import transitions

_SETTLED_AFTER: Final = timedelta(minutes=10)
"""Row ids are given out before commits; after this long, no smaller id can still appear."""

Key = tuple[str, str, str]
"""(zone, event, cause) as stored."""


class Totals:
    """Counts by (zone, event, cause). What is settled is counted once; rows purged later stay counted."""

    def __init__(self) -> None:
        self._settled: Counter[Key] = Counter()
        self._up_to = 0

    def read(self, connection: Connection, now: datetime) -> Counter[Key]:
        settled_to = connection.execute(
            sa.select(sa.func.max(transitions.c.transition_id)).where(
                transitions.c.transition_id > self._up_to, transitions.c.recorded_at < now - _SETTLED_AFTER
            )
        ).scalar()
        if settled_to is not None:
            self._settled += _counts(connection, self._up_to, settled_to)
            self._up_to = settled_to
        return self._settled + _counts(connection, self._up_to, None)


def _counts(connection: Connection, above: int, up_to: int | None) -> Counter[Key]:
    key = (transitions.c.zone, transitions.c.event, transitions.c.cause)
    query = sa.select(*key, sa.func.count()).where(transitions.c.transition_id > above).group_by(*key)
    if up_to is not None:
        query = query.where(transitions.c.transition_id <= up_to)
    return Counter({(zone, event, cause): count for zone, event, cause, count in connection.execute(query)})
