"""Attestations in the database: each written once, numbered in its fiscal year."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from secmon.attestations.model import current
from secmon.store import attestations
from secmon.store.attestations import Wanted
from tests.support.office import Office

NOW = datetime(2027, 4, 1, 3, tzinfo=UTC)
WANTED = Wanted(
    question="training", asked="受けましたか。", answer="yes", attested_on=date(2027, 3, 31), due_on=date(2028, 3, 31),
    post="総務課長", name="山田 太郎",
)  # fmt: skip


def test_it_gives_back_what_was_entered_and_numbers_by_the_fiscal_year_of_the_day(office: Office) -> None:
    with office.database.write() as connection:
        first = attestations.add(connection, WANTED, actor="test", now=NOW)
        second = attestations.add(connection, replace(WANTED, answer="no"), actor="test", now=NOW)
        april = attestations.add(connection, replace(WANTED, attested_on=date(2027, 4, 1)), actor="test", now=NOW)
    with office.database.read() as connection:
        records = attestations.read_all(connection)

    assert [each.number for each in records] == ["2026-A01", "2026-A02", "2027-A01"]
    assert records == [first, second, april]


def test_withdrawing_touches_nothing_else_and_the_past_keeps_what_it_knew(office: Office) -> None:
    later = NOW + timedelta(days=1)
    with office.database.write() as connection:
        record = attestations.add(connection, WANTED, actor="test", now=NOW)
        attestations.withdraw(connection, record, reason="誤り", actor="who", now=later)
        attestations.withdraw(connection, record, reason="再び", actor="other", now=later + timedelta(days=1))
        found = attestations.find(connection, "2026-A01")

    assert found == replace(record, withdrawn_at=later, withdrawn_by="who", withdrawn_reason="誤り")
    assert current([found], date(2027, 4, 2), NOW) == {"training": found}
    assert current([found], date(2027, 4, 2), later) == {}
