"""Statements that every heartbeat pays for: plain SQL and rows of values, the same on both databases."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.engine import Connection

from secmon.store.types import microseconds

sqlite3.register_adapter(datetime, microseconds)
sqlite3.register_adapter(uuid.UUID, lambda value: value.hex)


def execute_many(connection: Connection, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Run `sql`, which has a `?` for each value, for every row. Instants and UUIDs are given as Python objects.

    Preparing each row by SQLAlchemy's general means costs several times as much as SQLite's work on it.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(sql, rows)
    else:
        connection.exec_driver_sql(sql.replace("?", "%s"), list(rows))
