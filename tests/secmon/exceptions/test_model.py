"""What a record covers, when it holds, and how an answer stands under it."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from secmon.evaluate.model import Item, Standing, Status
from secmon.exceptions.model import (
    Cover,
    Record,
    Register,
    Scope,
    begins,
    ends,
    fiscal_year,
    fiscal_year_end,
    standing,
)

TOKYO = ZoneInfo("Asia/Tokyo")
PC = uuid.UUID(int=7)
PLACE = {"zone": "lgwan", "department": "総務課", "role": "office-pc"}


def record(number: str = "2026-E01", **changed: object) -> Record:
    fields: dict[str, object] = {
        "exception_id": uuid.uuid4(), "number": number, "kind": "exception", "scope": Scope(check="ports.open"),
        "reason": "納品待ち", "valid_from": begins(date(2026, 11, 2), TOKYO),
        "valid_to": ends(date(2027, 3, 31), TOKYO),
        "recorded_at": datetime(2026, 11, 2, tzinfo=UTC), "recorded_by": "cli",
    }  # fmt: skip
    return Record(**fields | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope(check="ports.open"), True),
        (Scope(check="ports.open", item="tcp/23"), True),
        (Scope(check="ports.open", item="tcp/21"), False),
        (Scope(check="ports.other"), False),
        (Scope(check="ports.open", host_id=PC), True),
        (Scope(check="ports.open", host_id=uuid.UUID(int=8)), False),
        (Scope(check="ports.open", zone="lgwan", department="総務課"), True),
        (Scope(check="ports.open", zone="lgwan", department="町民課"), False),
        (Scope(check="ports.open", role="windows-server"), False),
    ],
)
def test_it_covers_what_all_parts_of_its_scope_name(scope: Scope, covered: bool) -> None:
    assert scope.covers(PC, PLACE, "ports.open", "tcp/23") is covered


def test_it_does_not_cover_a_machine_without_the_attribute() -> None:
    assert not Scope(check="ports.open", zone="lgwan").covers(PC, {}, "ports.open", "")


def test_it_holds_through_its_last_day_at_the_office() -> None:
    held = record(recorded_at=datetime(2026, 4, 1, tzinfo=UTC))
    assert not held.holds(datetime(2026, 11, 1, 23, 59, tzinfo=TOKYO))
    assert held.holds(datetime(2026, 11, 2, 0, 0, tzinfo=TOKYO))
    assert held.holds(datetime(2027, 3, 31, 23, 59, tzinfo=TOKYO))
    assert not held.holds(datetime(2027, 4, 1, 0, 0, tzinfo=TOKYO))
    assert held.last_day(TOKYO) == date(2027, 3, 31)


def test_it_says_of_the_past_what_was_known_then() -> None:
    month_end = datetime(2026, 11, 30, tzinfo=UTC)
    late = record(recorded_at=month_end + timedelta(days=3))
    assert not late.holds(month_end, known_at=month_end)
    assert late.holds(month_end, known_at=month_end + timedelta(days=4))
    ended = record(ended_at=month_end + timedelta(days=3))
    assert ended.holds(month_end, known_at=month_end + timedelta(days=9))
    assert not ended.holds(month_end + timedelta(days=4))


def test_it_prefers_an_exception_to_a_dispute_and_what_lasts_longer() -> None:
    short = record("2026-E01", valid_to=ends(date(2026, 12, 31), TOKYO))
    long, dispute = record("2026-E02"), record("2026-D01", kind="dispute", valid_to=ends(date(2027, 12, 31), TOKYO))
    assert Register([dispute, short, long]).find(PC, PLACE, "ports.open", "tcp/23") == long
    assert Register([dispute]).find(PC, PLACE, "ports.open", "tcp/23") == dispute
    assert Register([long]).find(PC, PLACE, "ports.closed", "tcp/23") is None


FTP, TELNET = Item(key="tcp/21", status="fail"), Item(key="tcp/23", status="fail")
UNREAD = Item(key="tcp/80", status="unknown", reason="process not determined")


@pytest.mark.parametrize(
    ("status", "items", "covered", "expected"),
    [
        ("fail", (FTP, TELNET), {"tcp/21": "excepted"}, ("fail", None)),
        ("fail", (FTP, TELNET), {"tcp/21": "excepted", "tcp/23": "excepted"}, ("excepted", None)),
        ("fail", (FTP, TELNET), {"tcp/21": "excepted", "tcp/23": "disputed"}, ("unknown", "disputed")),
        ("fail", (FTP, UNREAD), {"tcp/21": "excepted"}, ("unknown", "process not determined")),
        ("fail", (), {"": "excepted"}, ("excepted", None)),
        ("fail", (), {}, ("fail", None)),
        ("unknown", (), {"": "excepted"}, ("unknown", None)),
        ("pass", (), {"": "disputed"}, ("pass", None)),
    ],
)
def test_it_excepts_an_answer_only_when_every_failing_item_is(
    status: Status, items: tuple[Item, ...], covered: dict[str, Cover], expected: tuple[Standing, str | None]
) -> None:
    assert standing(status, items, covered.get) == expected


def test_it_ends_the_fiscal_year_on_the_last_of_march() -> None:
    assert fiscal_year_end(date(2026, 11, 28)) == date(2027, 3, 31)
    assert fiscal_year_end(date(2027, 3, 31)) == date(2027, 3, 31)
    assert fiscal_year_end(date(2027, 4, 1)) == date(2028, 3, 31)
    assert fiscal_year(date(2027, 3, 31)) == 2026
