"""The connection to the database: one writer at a time on SQLite, snapshots for readers, migrations at start-up."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from secmon.errors import UsageError
from secmon.store import schema

_PATIENCE = {
    "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}  # fmt: skip
"""A PostgreSQL server that no longer answers is given up after half a minute; the URL may say otherwise."""
_MIGRATIONS = Path(__file__).with_name("migrations")


class Database:
    """`read()` gives a connection in a transaction that sees one snapshot; `write()` one that commits on leaving.

    On SQLite all writers of this process queue on one lock and begin IMMEDIATE, so that a write never fails half-way
    for want of the lock; other processes wait up to 30 s.
    """

    def __init__(self, url: str | sa.URL) -> None:
        self.engine = _engine(sa.make_url(url))
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writer = threading.RLock()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                yield connection
            return
        with self._writer, self.engine.connect() as connection, _at_once(connection).begin():
            yield connection  # whoever waits holds no connection of the pool

    @contextmanager
    def read(self) -> Iterator[Connection]:
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """Bring the tables to this version. Raises UsageError when the database is of a later version."""
        config = AlembicConfig()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.write() as connection:
            config.attributes["connection"] = connection
            known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
            current = _current_revision(connection)
            if current is not None and current not in known:
                raise UsageError(f"the database is of a later version of secmon (revision {current}); upgrade secmon")
            command.upgrade(config, "head")

    def identity(self, now: datetime) -> tuple[uuid.UUID, int]:
        """This collector's id and generation, drawn on first use."""
        with self.write() as connection:
            row = connection.execute(
                sa.select(schema.collectors.c.collector_id, schema.collectors.c.generation)
            ).first()
            if row is not None:
                return row[0], row[1]
            drawn = uuid.uuid4()
            connection.execute(sa.insert(schema.collectors).values(collector_id=drawn, generation=1, created_at=now))
            return drawn, 1

    def close(self) -> None:
        self.engine.dispose()


def _current_revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    value = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return None if value is None else str(value)


def is_unavailable(error: Exception) -> bool:
    """The database cannot store at the moment (full disk, locked, gone); the same work may succeed later."""
    return isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError, OSError)) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def sqlite_url(path: Path) -> sa.URL:
    return sa.URL.create("sqlite", database=str(path))


def _engine(url: sa.URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": 30.0, "check_same_thread": False})
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.get_backend_name() == "postgresql":
        patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
        return sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=patience)
    raise UsageError(f"database: {url.get_backend_name()!r} is not supported; use sqlite or postgresql")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event below says BEGIN, not the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _at_once(connection: Connection) -> Connection:
    return connection.execution_options(secmon_begin="IMMEDIATE")


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("secmon_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
