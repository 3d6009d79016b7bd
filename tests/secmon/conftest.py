"""A desk at an office, for whoever reads the mails that it gets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.secmon.alerts.desk import Desk
from tests.support.office import Office


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Of an office on SQLite."""
    office = Office(tmp_path)
    yield Desk(office)
    office.database.close()


@pytest.fixture
def either_desk(office: Office) -> Desk:
    """Of an office on SQLite and on PostgreSQL in turn: for what the database has a say in."""
    return Desk(office)
