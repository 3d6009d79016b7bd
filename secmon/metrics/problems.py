"""Unresolved findings of the machines in use."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.exceptions.model import COVERED
from secmon.metrics.fleet import Machine, asset_place
from secmon.metrics.labels import Place
from secmon.store.gaps import unresolved
from secmon.store.schema import findings


class Problem(NamedTuple):
    machine: Machine
    check: str
    item: str
    severity: str
    state: str
    """`open`, `acknowledged`, `excepted` or `disputed`."""
    opened_at: datetime
    due_at: datetime

    @property
    def is_due(self) -> bool:
        """Something is to be done about it."""
        return self.state not in COVERED


class AssetProblem(NamedTuple):
    """Of a machine that never reported: it has no name among the metrics, and only counts."""

    place: Place
    severity: str
    state: str
    due_at: datetime

    @property
    def is_due(self) -> bool:
        return self.state not in COVERED


def read_asset_problems(connection: Connection) -> list[AssetProblem]:
    return [
        AssetProblem(asset_place(row.attributes), row.severity, row.state, row.due_at) for row in unresolved(connection)
    ]


def read_problems(connection: Connection, machines: Mapping[uuid.UUID, Machine]) -> list[Problem]:
    rows = connection.execute(
        sa.select(
            findings.c.host_id,
            findings.c.check_id,
            findings.c["item"],
            findings.c.severity,
            findings.c.state,
            findings.c.opened_at,
            findings.c.due_at,
        ).where(findings.c.resolved_at.is_(None))
    )
    return [Problem(machines[host_id], *rest) for host_id, *rest in rows if host_id in machines]
