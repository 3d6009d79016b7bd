"""The tables are what the schema says, on both databases, and a later version's data is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st

from secmon.errors import UsageError
from secmon.store.bulk import execute_many
from secmon.store.database import Database
from secmon.store.schema import metadata
from secmon.store.types import Instant


def test_its_migrations_lead_to_the_tables_of_the_schema(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()

    assert differences == []


def test_it_refuses_the_data_of_a_later_version(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(UsageError, match="later version"):
        database.migrate()
    database.close()


def test_it_draws_its_identity_once(database_url: str) -> None:
    database = Database(database_url)
    database.migrate()
    now = datetime.now(UTC)

    assert database.identity(now) == database.identity(now + timedelta(days=1))
    database.close()


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_it_gives_back_the_very_instant_however_it_was_written(instant: datetime) -> None:
    engine = sa.create_engine("sqlite://")
    table = sa.Table("t", sa.MetaData(), sa.Column("at", Instant))
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table).values(at=instant))
        execute_many(connection, "INSERT INTO t (at) VALUES (?)", [(instant,)])
        found = connection.execute(sa.select(table.c.at)).scalars().all()
    engine.dispose()

    assert found == [instant, instant]
