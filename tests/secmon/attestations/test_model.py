"""Until when an attestation holds, and which one counts."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secmon.attestations.model import Attestation, current, due, latest_due, state

NOON = datetime(2026, 11, 28, 3, tzinfo=UTC)
DAY = date(2026, 11, 28)


def record(number: str, day: date = DAY, *, at: datetime = NOON, withdrawn_at: datetime | None = None) -> Attestation:
    return Attestation(
        attestation_id=uuid.uuid4(), number=number, question="training", asked="?", answer="yes", attested_on=day,
        due_on=date(2027, 3, 31), post="総務課長", name="山田", recorded_at=at, recorded_by="test",
        withdrawn_at=withdrawn_at,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("day", "months", "last"),
    [
        (date(2026, 4, 1), 12, date(2027, 3, 31)),
        (date(2026, 12, 31), 12, date(2027, 3, 31)),
        (date(2027, 1, 1), 12, date(2028, 3, 31)),
        (date(2027, 3, 31), 12, date(2028, 3, 31)),
        (date(2026, 8, 31), 6, date(2026, 9, 30)),
        (date(2026, 9, 1), 6, date(2027, 3, 31)),
        (date(2027, 3, 1), 6, date(2027, 9, 30)),
        (date(2026, 4, 1), 3, date(2026, 6, 30)),
        (date(2026, 6, 1), 3, date(2026, 9, 30)),
    ],
)
def test_it_lasts_to_the_end_of_its_part_of_the_fiscal_year_or_of_the_next_when_that_is_near(
    day: date, months: int, last: date
) -> None:
    assert due(day, months) == last


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from([3, 6, 12]))
def test_it_never_asks_again_at_once_nor_lets_two_years_pass(day: date, months: int) -> None:
    last = due(day, months)

    assert timedelta(days=28) <= last - day <= timedelta(days=31 * (months + max(1, months // 4)))
    assert (last + timedelta(days=1)).day == 1
    assert last <= latest_due(day)


def test_it_counts_the_last_one_that_was_known_and_stood() -> None:
    first = record("2026-A01", DAY - timedelta(days=9))
    wrong = record("2026-A02", at=NOON, withdrawn_at=NOON + timedelta(hours=2))
    same_day = record("2026-A03", at=NOON + timedelta(hours=3))
    told = [same_day, wrong, first]

    def at(hours: int, day: date = DAY) -> set[str]:
        return {each.number for each in current(told, day, NOON + timedelta(hours=hours)).values()}

    assert [at(hours) for hours in (-1, 0, 1, 2, 3)] == [set(), {"2026-A02"}, {"2026-A02"}, {"2026-A01"}, {"2026-A03"}]
    assert at(9, DAY - timedelta(days=1)) == {"2026-A01"}
    assert at(9, DAY - timedelta(days=10)) == set()


def test_it_is_due_soon_in_its_last_thirty_days_and_overdue_on_the_day_after() -> None:
    last = date(2027, 3, 31)
    days = [date(2027, 3, 1), date(2027, 3, 2), last, last + timedelta(days=1)]

    assert [state(record("2026-A01"), day) for day in days] == ["held", "due_soon", "due_soon", "overdue"]
    assert state(None, DAY) == "missing"
