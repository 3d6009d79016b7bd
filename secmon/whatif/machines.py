"""Stored machines, read in small bites: each bite is one short snapshot, so that nobody who writes waits."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from msgspec import Struct

from secmon.config import Config
from secmon.evaluate.model import Machine
from secmon.judging import load_machine
from secmon.store.database import Database
from secmon.store.schema import hosts

BITE = 50
"""Machines read in one transaction; an answer rests on one machine alone, so only a machine must be one moment."""

Progress = Callable[[int, int], None]


class Stored(Struct, frozen=True, kw_only=True):
    """One machine that has reported, under the name that people know."""

    host_id: uuid.UUID
    name: str
    machine: Machine


def stored_machines(database: Database, config: Config, progress: Progress | None = None) -> Iterator[Stored]:
    """Every machine in service that has reported, in the order of names. `progress` hears how many of how many."""
    with database.read() as connection:
        names: dict[uuid.UUID, str] = {
            row.host_id: row.name
            for row in connection.execute(
                sa.select(hosts.c.host_id, hosts.c.name)
                .where(hosts.c.retired_at.is_(None), hosts.c.state.is_not(None))
                .order_by(hosts.c.name)
            )
        }
    ids = list(names)
    for start in range(0, len(ids), BITE):
        with database.read() as connection:
            bite = [
                Stored(host_id=host_id, name=names[host_id], machine=load_machine(connection, config, host_id))
                for host_id in ids[start : start + BITE]
            ]
        yield from bite
        if progress is not None:
            progress(min(start + BITE, len(ids)), len(ids))
