"""Which rules were in force since when, and what each set was, so that the next can be held against it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection

from secmon.evaluate.catalogue import Catalogue, Difference, difference
from secmon.store.schema import rulesets

KEPT = 50
"""Of so many rule sets it is kept what they were; of older ones only when they were in force."""

_decode = msgspec.json.Decoder(Catalogue).decode


class InForce(Struct, frozen=True, kw_only=True):
    version: str
    loaded_at: datetime
    checks: int
    catalogue: Catalogue | None
    """None where it is not kept, or was not yet."""


def history(connection: Connection, most: int = KEPT) -> Sequence[InForce]:
    """The newest first."""
    rows = connection.execute(sa.select(rulesets).order_by(rulesets.c.loaded_at.desc()).limit(most))
    return [
        InForce(version=row.version, loaded_at=row.loaded_at, checks=row.checks, catalogue=_read(row.catalogue))
        for row in rows
    ]


def _read(text: str) -> Catalogue | None:
    try:
        return _decode(text) if text else None
    except msgspec.DecodeError:  # of a later version
        return None


def write(connection: Connection, catalogue: Catalogue, now: datetime) -> None:
    """These rules are in force from now on."""
    connection.execute(
        sa.insert(rulesets).values(
            version=catalogue.version,
            loaded_at=now,
            checks=len(catalogue.checks),
            catalogue=msgspec.json.encode(catalogue).decode(),
        )
    )
    oldest_kept = sa.select(rulesets.c.loaded_at).order_by(rulesets.c.loaded_at.desc()).offset(KEPT - 1).limit(1)
    connection.execute(
        sa.update(rulesets)
        .where(rulesets.c.loaded_at < oldest_kept.scalar_subquery(), rulesets.c.catalogue != "")
        .values(catalogue="")
    )


def difference_over(connection: Connection, versions: Sequence[str]) -> Difference | None:
    """What changed over these steps, from the rules before the first to the last; None where that is not kept."""
    known = history(connection)
    ends = [at for at, each in enumerate(known) if each.version in versions]
    if not ends or ends[-1] + 1 >= len(known):
        return None
    old, new = known[ends[-1] + 1].catalogue, known[ends[0]].catalogue
    return difference(old, new) if old is not None and new is not None else None
