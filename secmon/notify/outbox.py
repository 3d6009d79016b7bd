"""The outbox: what is due is sent outside any transaction and marked after it happened. Retrying happens only here.

An attempt is counted before it is made. Whoever counted it owns the delivery until its next attempt is due, so that two
processes do not send the same mail; a crash in between leaves it pending, and it goes out again under its Message-ID.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Row

from secmon.notify.channel import Channel, DeliveryError, Parcel
from secmon.store.database import Database
from secmon.store.schema import deliveries

FIRST_DELAY_S: Final = 60
MAX_DELAY_S: Final = 3600
MAX_AGE: Final = timedelta(days=14)
"""Longer than any holiday during which a mail server may be down."""
MAX_ATTEMPTS: Final = 400
BATCH: Final = 100

_log = logging.getLogger(__name__)


class Sent(Struct, frozen=True, kw_only=True):
    """What one round did."""

    sent: int = 0
    retried: int = 0
    """Will be tried again."""
    parked: int = 0
    """Given up; they stay in the table."""


def send_due(database: Database, channels: Mapping[str, Channel], now: datetime, limit: int = BATCH) -> Sent:
    """Send what is due, oldest first. A channel that failed for the moment is left alone until the next round."""
    outcomes = {"sent": 0, "pending": 0, "parked": 0}
    resting: set[str] = set()
    for row in _due(database, sorted(channels), now, limit):
        if row.channel in resting or not _claim(database, row, now):
            continue
        error = _attempt(channels[row.channel], row)
        status = _status(row, error, now)
        _mark(database, row, status, error, now)
        outcomes[status] += 1
        if status == "pending":
            resting.add(row.channel)
    return Sent(sent=outcomes["sent"], retried=outcomes["pending"], parked=outcomes["parked"])


def retry_delay(attempts: int) -> timedelta:
    """How long to wait after this many attempts."""
    return timedelta(seconds=min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(attempts - 1, 10)))


def _due(database: Database, names: list[str], now: datetime, limit: int) -> list[Row[Any]]:
    with database.read() as connection:
        return list(
            connection.execute(
                sa.select(deliveries)
                .where(
                    deliveries.c.status == "pending",
                    deliveries.c.next_attempt_at <= now,
                    deliveries.c.channel.in_(names),
                )
                .order_by(deliveries.c.created_at, deliveries.c.delivery_id)
                .limit(limit)
            )
        )


def _claim(database: Database, row: Row[Any], now: datetime) -> bool:
    attempts = row.attempts + 1
    with database.write() as connection:
        claimed = connection.execute(
            sa.update(deliveries)
            .where(
                deliveries.c.delivery_id == row.delivery_id,
                deliveries.c.status == "pending",
                deliveries.c.attempts == row.attempts,
            )
            .values(attempts=attempts, next_attempt_at=now + retry_delay(attempts))
        )
    return bool(claimed.rowcount)


def _attempt(channel: Channel, row: Row[Any]) -> DeliveryError | None:
    parcel = Parcel(
        delivery_id=row.delivery_id, recipient=row.recipient, message=row.message, created_at=row.created_at
    )
    try:
        channel(parcel)
    except DeliveryError as error:
        return error
    return None


def _status(row: Row[Any], error: DeliveryError | None, now: datetime) -> str:
    if error is None:
        return "sent"
    hopeless = error.permanent or row.attempts + 1 >= MAX_ATTEMPTS or now - row.created_at > MAX_AGE
    return "parked" if hopeless else "pending"


def _mark(database: Database, row: Row[Any], status: str, error: DeliveryError | None, now: datetime) -> None:
    delivery_id: uuid.UUID = row.delivery_id
    values = {"status": status, "last_error": str(error or ""), "sent_at": now if status == "sent" else None}
    with database.write() as connection:
        connection.execute(sa.update(deliveries).where(deliveries.c.delivery_id == delivery_id).values(**values))
    if error is not None:
        _log.warning("delivery %s %s: %s", delivery_id, "parked" if status == "parked" else "waits", error)
