"""The archive shows every change that was made to it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from secmon.reports import archive
from secmon.store.schema import archived_reports
from tests.secmon.reports.conftest import Town

CLOSINGS = {"2026-11": datetime(2026, 12, 1, tzinfo=UTC), "2026-12": datetime(2027, 1, 4, tzinfo=UTC)}


@pytest.fixture
def told(small_town: Town) -> Town:
    return _told(small_town)


def _told(town: Town) -> Town:
    town.tell(town.add_host("pc", zone="lgwan"), datetime(2026, 11, 20, tzinfo=UTC))
    for month, closing in CLOSINGS.items():
        town.archived(month, closing)
    return town


def test_it_chains_each_report_to_the_one_before(town: Town) -> None:
    told = _told(town)
    with told.database.read() as connection:
        first, second = connection.execute(sa.select(archived_reports).order_by(archived_reports.c.report_id)).all()
        chain = archive.verify_chain(connection)
    assert first.hash == hashlib.sha256(bytes(32) + first.model).digest()
    assert second.hash == hashlib.sha256(first.hash + second.model).digest()
    assert (chain.reports, chain.begins_whole, chain.broken) == (2, True, ())


def test_it_returns_the_archived_report_when_the_month_is_made_again(told: Town) -> None:
    closing = CLOSINGS["2026-11"]
    first = told.archived("2026-11", closing)
    told.tell(told.add_host("late", zone="lgwan", at=closing), closing + timedelta(hours=1), telnet=True)
    assert told.archived("2026-11", closing + timedelta(days=9)) == first
    with told.database.read() as connection:
        assert archive.verify_chain(connection).reports == 2


def test_it_notices_a_changed_report(told: Town) -> None:
    with told.database.write() as connection:
        row = connection.execute(sa.select(archived_reports).where(archived_reports.c.period == "2026-11")).one()
        connection.execute(
            sa.update(archived_reports)
            .where(archived_reports.c.report_id == row.report_id)
            .values(model=row.model.replace(b'"passed":1', b'"passed":9'))
        )
        chain = archive.verify_chain(connection)
    assert chain.broken == (row.report_id,)


def test_it_notices_a_report_that_was_made_up_afterwards(told: Town) -> None:
    with told.database.write() as connection:
        row = connection.execute(sa.select(archived_reports).where(archived_reports.c.period == "2026-11")).one()
        forged = row.model.replace(b'"passed":1', b'"passed":9')
        connection.execute(
            sa.update(archived_reports)
            .where(archived_reports.c.report_id == row.report_id)
            .values(model=forged, hash=archive.chain_hash(bytes(32), forged))
        )
        chain = archive.verify_chain(connection)
    assert chain.broken == (row.report_id + 1,)


def test_it_stays_verifiable_when_old_reports_are_gone(told: Town) -> None:
    with told.database.write() as connection:
        connection.execute(sa.delete(archived_reports).where(archived_reports.c.period == "2026-11"))
        chain = archive.verify_chain(connection)
    assert (chain.reports, chain.begins_whole, chain.broken) == (1, False, ())


def test_it_archives_canonical_json(told: Town) -> None:
    model = told.archived("2026-11", CLOSINGS["2026-11"]).model
    assert "点検" not in model.decode()  # texts of the paper are no part of it
    assert "パスワードの長さ" in model.decode()
    assert model == archive.canonical(told.monthly("2026-11", CLOSINGS["2026-11"]))
