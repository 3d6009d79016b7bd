"""One at a time: transactions of one kind wait for each other. SQLite has one writer anyway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

Kind = Literal["dispatch", "exceptions", "attestations", "gaps", "archive", "enrollment"]
_NUMBERS: Final[Mapping[Kind, int]] = {
    "exceptions": 0x5EC_0E8C,
    "attestations": 0x5EC_0A77,
    "gaps": 0x5EC_06A9,
    "archive": 0x5EC_0A5C,
    "dispatch": 0x5EC_0A1E,
    "enrollment": 0x5EC_0E4A,
}
"""Any numbers of our own, kept from version to version."""


def take(connection: Connection, kind: Kind) -> None:
    """From here until this transaction ends no other one of this kind runs."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_NUMBERS[kind])))
