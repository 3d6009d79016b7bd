"""Statements that every heartbeat pays for: plain SQL and rows of values, the same on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.engine import Connection

from secmon.store.types import microseconds

_SQLITE: Mapping[type, Callable[..., object]] = {datetime: microseconds, uuid.UUID: lambda value: value.hex}


def execute_many(connection: Connection, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Run `sql`, which has a `?` for each value, for every row. Instants and UUIDs are given as Python objects.

    Preparing each row by SQLAlchemy's general means costs several times as much as SQLite's work on it.
    """
    if connection.dialect.name == "sqlite":
        plain = [
            tuple(_SQLITE[type(value)](value) if type(value) in _SQLITE else value for value in row) for row in rows
        ]
        connection.exec_driver_sql(sql, plain)
    else:
        connection.exec_driver_sql(sql.replace("?", "%s"), list(rows))


def _plain(value: object) -> object:
    convert = _SQLITE.get(type(value))
    return value if convert is None else convert(value)
