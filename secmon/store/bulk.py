"""Statements that every heartbeat pays for: plain SQL and rows of values, the same on both databases."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from secmon.store.types import microseconds

sqlite3.register_adapter(datetime, microseconds)
sqlite3.register_adapter(uuid.UUID, lambda value: value.hex)


def execute_many(connection: Connection, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Run `sql`, which has a `?` for each value, for every row. Instants and UUIDs are given as Python objects.

    Preparing each row by SQLAlchemy's general means costs several times as much as SQLite's work on it.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(sql, rows)
    else:
        connection.exec_driver_sql(sql.replace("?", "%s"), list(rows))


def plain(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The column as the driver gives it: over many rows, making UUIDs and instants costs as much as reading them."""
    return sa.type_coerce(column, sa.types.NullType())


def plain_ids(connection: Connection, ids: Iterable[uuid.UUID]) -> dict[object, uuid.UUID]:
    """Each id under the value that a `plain` column has for it."""
    return {each.hex if connection.dialect.name == "sqlite" else each: each for each in ids}
