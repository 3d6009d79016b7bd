"""Deciding by hand that nobody is told of what happened so far: the office has seen it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.alerts.decide import OPENINGS
from secmon.alerts.dispatch import take_turn
from secmon.store.schema import dispatches, host_attributes, transitions

_CHUNK = 500


def waiting(connection: Connection, host_id: uuid.UUID | None, zone: str | None) -> list[int]:
    """Transitions that nobody decided upon yet: problems that appeared, and machines that were new. Of one machine or
    zone, or of all. No dispatcher decides upon them until this transaction ends."""
    take_turn(connection)
    query = (
        sa.select(transitions.c.transition_id)
        .outerjoin(dispatches, dispatches.c.transition_id == transitions.c.transition_id)
        .where(dispatches.c.transition_id.is_(None), transitions.c.event.in_((*OPENINGS, "first_state")))
    )
    if host_id is not None:
        query = query.where(transitions.c.host_id == host_id)
    if zone is not None:
        of_machine = sa.exists().where(
            host_attributes.c.host_id == transitions.c.host_id,
            host_attributes.c.name == "zone",
            host_attributes.c.value == zone,
            host_attributes.c.valid_to.is_(None),
        )
        of_asset = sa.and_(transitions.c.host_id.is_(None), transitions.c.zone == zone)
        query = query.where(sa.or_(of_machine, of_asset))
    return list(connection.execute(query.order_by(transitions.c.transition_id)).scalars())


def silence(connection: Connection, transition_ids: Sequence[int], now: datetime) -> None:
    """They are decided upon."""
    for start in range(0, len(transition_ids), _CHUNK):
        connection.execute(
            sa.insert(dispatches),
            [
                {"transition_id": each, "decided_at": now, "outcome": "suppressed"}
                for each in transition_ids[start : start + _CHUNK]
            ],
        )
