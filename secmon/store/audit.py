"""Who changed what, when. Append-only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.store import schema


def write(
    connection: Connection,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str = "",
    detail: Mapping[str, object] | None = None,
) -> None:
    """Record an act. `detail` is a JSON object without secrets."""
    connection.execute(
        sa.insert(schema.audit).values(
            at=at, actor=actor, action=action, subject=subject, detail=msgspec.json.encode(detail or {}).decode()
        )
    )
